const openBrace = 0x7b;
const closeBrace = 0x7d;
const openBracket = 0x5b;
const closeBracket = 0x5d;
const quote = 0x22;
const backslash = 0x5c;
const lineFeed = 0x0a;

/** Measures how deep JSON is nested, as it comes in, before anything parses it. In a stream of events, each event begins anew. */
export function nestingMeter(): { add(bytes: Uint8Array): number } {
  let depthBefore = 0;
  let deepestBefore = 0;
  let wasInString = false;
  let wasEscaped = false;
  return {
    /** The deepest so far. */
    add(bytes) {
      // Every byte of every answer comes through here: variables of this function alone, and loops without calls.
      let depth = depthBefore;
      let deepest = deepestBefore;
      let isInString = wasInString;
      const { length } = bytes;
      if (length === 0) return deepest;
      let index = wasEscaped && bytes[0] !== lineFeed ? 1 : 0;
      while (index < length) {
        const byte = bytes[index];
        index += 1;
        if (isInString) {
          if (byte === backslash) {
            // Nothing escapes the end of a line.
            if (bytes[index] !== lineFeed) index += 1;
          } else if (byte === quote || byte === lineFeed) isInString = false;
        } else if (byte === quote) {
          isInString = true;
        } else if (byte === openBrace || byte === openBracket) {
          depth += 1;
          if (depth > deepest) deepest = depth;
        } else if ((byte === closeBrace || byte === closeBracket) && depth > 0) {
          depth -= 1;
        }
      }
      depthBefore = depth;
      deepestBefore = deepest;
      // No string goes over a line: what looks like one (a comment in a stream) must not hide what follows.
      wasInString = isInString;
      wasEscaped = index > length;
      return deepest;
    },
  };
}
