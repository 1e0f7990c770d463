// The offset basis in two halves of 32 bits, whose products with the prime's low part are still exact numbers.
const offsetBasisHigh = 0xcbf29ce4;
const offsetBasisLow = 0x84222325;
/** The prime is this and 2^40. */
const primeLow = 0x1b3;

/** A name for facts: `rep-` and 16 hexadecimal digits of FNV-1a, 64 bits. It names, it does not protect. */
export function contentId(text: string): string {
  let [high, low] = [offsetBasisHigh, offsetBasisLow];
  for (const byte of new TextEncoder().encode(text)) {
    const mixed = (low ^ byte) >>> 0;
    const product = mixed * primeLow;
    low = product >>> 0;
    // What carries over from the low half, and the low half times 2^40.
    high = (high * primeLow + Math.floor(product / 2 ** 32) + ((mixed << 8) >>> 0)) >>> 0;
  }
  return `rep-${hex(high)}${hex(low)}`;
}

const hex = (half: number) => half.toString(16).padStart(8, '0');

/** When we looked: the same facts read at another time are the same facts. Times of log lines are facts. */
const timesOfLooking = new Set(['countersBeforeAt', 'identityAt', 'observedAt']);

/** JSON in which the order of lists and keys, and the time of looking, make no difference. */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).sort().join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null';
  const entries = Object.entries(value)
    .filter(([key, each]) => each !== undefined && !timesOfLooking.has(key))
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${entries.map(([key, each]) => `${JSON.stringify(key)}:${canonicalJson(each)}`).join(',')}}`;
}
