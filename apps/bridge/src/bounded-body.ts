const NEWLINE = 0x0a;
const CARRIAGE_RETURN = 0x0d;

export class TooLargeError extends Error {
  override readonly name = 'TooLargeError';
}

/**
 * Passes bytes on until one message is longer than `maxBytes`, which fails the stream with `TooLargeError`.
 * In an event stream a message ends at a blank line (WHATWG HTML, section 9.2.5); any other body is one message.
 */
export function boundedBody(
  maxBytes: number,
  body: 'event-stream' | 'whole',
): TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>> {
  let heldBytes = 0;
  let isLineEmpty = true;
  const count = (chunk: Uint8Array) => {
    if (body === 'whole') return chunk.length;
    // Bytes since the last blank line; the largest such count inside the chunk is what a parser would hold.
    let most = heldBytes;
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end !== -1; end = chunk.indexOf(NEWLINE, start)) {
      const lineBytes = end - start;
      const isBlank =
        isLineEmpty && (lineBytes === 0 || (lineBytes === 1 && chunk[start] === CARRIAGE_RETURN));
      heldBytes += lineBytes + 1;
      most = Math.max(most, heldBytes);
      if (isBlank) heldBytes = 0;
      isLineEmpty = true;
      start = end + 1;
    }
    if (start < chunk.length) {
      const rest = chunk.subarray(start);
      heldBytes += rest.length;
      isLineEmpty = isLineEmpty && rest.length === 1 && rest[0] === CARRIAGE_RETURN;
    }
    return Math.max(most, heldBytes);
  };
  return new TransformStream({
    transform(chunk, controller) {
      const bytes = count(chunk);
      if (body === 'whole') heldBytes += bytes;
      if ((body === 'whole' ? heldBytes : bytes) > maxBytes) {
        controller.error(new TooLargeError(`The gateway sent a message of more than ${maxBytes} bytes`));
        return;
      }
      controller.enqueue(chunk);
    },
  });
}
