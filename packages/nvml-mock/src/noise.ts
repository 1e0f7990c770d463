/** A number from 0 (inclusive) to 1 (exclusive) that depends on the keys alone. FNV-1a with the final mix of MurmurHash3. */
export function unitNoise(...keys: readonly (string | number)[]): number {
  let hash = 0x811c9dc5;
  for (const character of keys.join('\u0000')) {
    hash = Math.imul(hash ^ (character.codePointAt(0) ?? 0), 0x01000193);
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return ((hash ^ (hash >>> 16)) >>> 0) / 2 ** 32;
}

export function hexNoise(digits: number, ...keys: readonly (string | number)[]): string {
  return Array.from({ length: digits }, (_, position) =>
    Math.floor(unitNoise(...keys, position) * 16).toString(16),
  ).join('');
}

/**
 * A slow wave between -1 and 1 with a known integral, so that what accumulates (energy) agrees with what is read (power). The phase
 * comes from the keys.
 */
export function wave(periodSeconds: number, ...keys: readonly (string | number)[]) {
  const offset = unitNoise(...keys, periodSeconds) * 2 * Math.PI;
  const angle = (seconds: number) => (2 * Math.PI * seconds) / periodSeconds + offset;
  return {
    at: (seconds: number) => Math.sin(angle(seconds)),
    /** Integral over time, in seconds. */
    integral: (from: number, to: number) =>
      ((Math.cos(angle(from)) - Math.cos(angle(to))) * periodSeconds) / (2 * Math.PI),
  };
}
