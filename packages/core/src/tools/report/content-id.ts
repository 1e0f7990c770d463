const offsetBasis = 0xcbf29ce484222325n;
const prime = 0x100000001b3n;
const mask = 0xffffffffffffffffn;

/** A name for facts: `rep-` and 16 hexadecimal digits of FNV-1a, 64 bits. It names, it does not protect. */
export function contentId(text: string): string {
  let hash = offsetBasis;
  for (const byte of new TextEncoder().encode(text)) {
    hash = ((hash ^ BigInt(byte)) * prime) & mask;
  }
  return `rep-${hash.toString(16).padStart(16, '0')}`;
}

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
