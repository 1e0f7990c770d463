/**
 * Characters of kernel-log text, the most frequent first; what is not listed is rare. Only speed depends on it.
 * Source: counted over dmesg and syslog of several Linux servers; ties are arbitrary.
 */
const frequentFirst = ' 0123456789etaoinrsdlcupmf:.=[]hgb-_/vyk()w,xqzj"ADSCTEIRPOMNLBFUGHWKVYXQZJ';
const rankOf = (character: string): number => {
  const rank = frequentFirst.indexOf(character);
  return rank < 0 ? frequentFirst.length : rank;
};

/** Buffer.indexOf looks for the first byte with memchr up to this length; for longer patterns it runs a slower skip loop. */
const longestMemchrPattern = 6;
const shortestPattern = 2;

/** What to search for instead of a needle: its part from its rarest character on. */
export interface NeedleAnchor {
  readonly pattern: Buffer;
  /** Where the pattern stands in the needle. */
  readonly offset: number;
  readonly needle: Buffer;
}

/** One anchor per needle, without needles that contain another needle. */
export function chooseAnchors(needles: readonly string[]): readonly NeedleAnchor[] {
  const distinct = [...new Set(needles)].filter((needle) => needle.length > 0);
  const needed = distinct.filter(
    (needle) => !distinct.some((other) => other !== needle && needle.includes(other)),
  );
  return needed.map((needle) => {
    let offset = 0;
    for (let index = 1; index <= needle.length - shortestPattern; index += 1) {
      if (rankOf(needle.charAt(index)) > rankOf(needle.charAt(offset))) offset = index;
    }
    const pattern = needle.slice(offset, offset + longestMemchrPattern);
    return { pattern: Buffer.from(pattern), offset, needle: Buffer.from(needle) };
  });
}

/** Finds the next place where any needle stands, in one forward pass over a chunk. */
export function createNeedleSearch(
  anchors: readonly NeedleAnchor[],
  chunk: Buffer,
  start: number,
): (from: number) => number {
  const next = anchors.map((anchor) => findNeedle(anchor, chunk, start));
  return (from) => {
    let nearest = Number.POSITIVE_INFINITY;
    for (let index = 0; index < next.length; index += 1) {
      let position = next[index] as number;
      if (position < from) {
        position = findNeedle(anchors[index] as NeedleAnchor, chunk, from);
        next[index] = position;
      }
      if (position < nearest) nearest = position;
    }
    return nearest;
  };
}

function findNeedle({ pattern, offset, needle }: NeedleAnchor, chunk: Buffer, from: number): number {
  let found = chunk.indexOf(pattern, from + offset);
  for (;;) {
    if (found < 0) return Number.POSITIVE_INFINITY;
    if (chunk.compare(needle, 0, needle.length, found - offset, found - offset + needle.length) === 0) {
      return found - offset;
    }
    found = chunk.indexOf(pattern, found + 1);
  }
}
