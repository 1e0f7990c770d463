const openings: ReadonlySet<number> = new Set(Buffer.from('{['));
const closings: ReadonlySet<number> = new Set(Buffer.from('}]'));
const quote = 0x22;
const backslash = 0x5c;
const lineFeed = 0x0a;

/** Measures how deep JSON is nested, as it comes in, before anything parses it. In a stream of events, each event begins anew. */
export function nestingMeter(): { add(bytes: Uint8Array): number } {
  let depth = 0;
  let deepest = 0;
  let isInString = false;
  let isEscaped = false;
  return {
    /** The deepest so far. */
    add(bytes) {
      for (const byte of bytes) {
        // No string goes over a line: what looks like one (a comment in a stream) must not hide what follows.
        if (byte === lineFeed) isInString = false;
        else if (isInString) {
          if (isEscaped) isEscaped = false;
          else if (byte === backslash) isEscaped = true;
          else if (byte === quote) isInString = false;
        } else if (byte === quote) {
          isInString = true;
          isEscaped = false;
        } else if (openings.has(byte)) {
          depth += 1;
          deepest = Math.max(deepest, depth);
        } else if (closings.has(byte)) depth = Math.max(depth - 1, 0);
      }
      return deepest;
    },
  };
}
