// One for all: a decoder costs more to make than most bodies to decode, and without `stream` it keeps nothing.
const utf8 = new TextDecoder('utf-8', { fatal: true });

export type BodyOutcome =
  | { readonly kind: 'json'; readonly value: unknown }
  | { readonly kind: 'too-large' | 'not-utf8' | 'not-json' | 'broken-off' };

/** Reads at most `maxBytes` of a request body, declared or chunked, and parses it. */
export async function readJsonBody(request: Request, maxBytes: number): Promise<BodyOutcome> {
  const declared = request.headers.get('content-length');
  if (declared !== null && Number(declared) > maxBytes) return { kind: 'too-large' };
  let bytes: Uint8Array;
  try {
    // With a declared length the HTTP parser already holds the sender to it.
    const read = declared === null ? await readBounded(request.body, maxBytes) : await request.arrayBuffer();
    if (read === undefined || read.byteLength > maxBytes) return { kind: 'too-large' };
    bytes = new Uint8Array(read);
  } catch {
    return { kind: 'broken-off' };
  }
  let text: string;
  try {
    text = utf8.decode(bytes);
  } catch {
    return { kind: 'not-utf8' };
  }
  try {
    return { kind: 'json', value: JSON.parse(text) };
  } catch {
    return { kind: 'not-json' };
  }
}

async function readBounded(
  body: ReadableStream<Uint8Array> | null,
  maxBytes: number,
): Promise<Uint8Array | undefined> {
  if (body === null) return new Uint8Array();
  const reader = body.getReader();
  const chunks: Uint8Array[] = [];
  let total = 0;
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    total += part.value.byteLength;
    if (total > maxBytes) return undefined;
    chunks.push(part.value);
  }
  return Buffer.concat(chunks, total);
}
