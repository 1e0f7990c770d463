/** Goes forward through a chunk, from one needle to the next, and counts the line feeds on the way. */
export interface ByteSearch {
  /** What is searched until the next call; at most `maximumSearchBytes`. Unchanged as long as `next` is asked. */
  take(chunk: Buffer): void;
  /**
   * The first place at or after `from` where one of the needles stands; the chunk's length when there is none. Of a needle longer than
   * eight bytes it may be the first eight.
   */
  next(from: number): number;
  /** Line feeds from the last `from` to the place that `next` gave for it. */
  readonly lineFeedCount: number;
}

/** Finds, going forward through one chunk, the next place where any of the needles stands. */
export function createNeedleSearch(
  needles: readonly Buffer[],
  chunk: Buffer,
  start: number,
): (from: number) => number {
  const positionOf = (needle: Buffer, from: number): number => {
    // Up to six bytes, indexOf looks for the first one with memchr: a short needle that begins with a rare letter costs next to nothing.
    const position = chunk.indexOf(needle, from);
    return position < 0 ? Number.POSITIVE_INFINITY : position;
  };
  const next = needles.map((needle) => positionOf(needle, start));
  return (from) => {
    let nearest = Number.POSITIVE_INFINITY;
    for (const [index, needle] of needles.entries()) {
      let position = next[index] ?? Number.POSITIVE_INFINITY;
      if (position < from) {
        position = positionOf(needle, from);
        next[index] = position;
      }
      if (position < nearest) nearest = position;
    }
    return nearest;
  };
}
