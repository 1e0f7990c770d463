import type { CapturedGpu } from '../src/recording.ts';

/** What an extraction of its own says of a leaf. */
export interface Expectation {
  readonly leaf: string;
  /** `none`: absent or not printed, for a source that does not tell them apart. */
  readonly is: 'value' | 'absent' | 'not printed' | 'none';
  readonly value?: unknown;
  /** Share of the value by which two moments may differ. */
  readonly within?: number;
  /** What to compare of the reading. */
  readonly compare?: (reading: unknown) => unknown;
}

export function readingOf(gpu: CapturedGpu | undefined, leaf: string): unknown {
  const [section = '', name = ''] = leaf.split('.');
  return (gpu?.readings as Readonly<Record<string, Readonly<Record<string, unknown>>>>)?.[section]?.[name];
}

/** Where a GPU as read is not as expected, in words. */
export function differences(gpu: CapturedGpu, expectations: readonly Expectation[]): readonly string[] {
  return expectations.flatMap(({ leaf, is, value, within, compare = (reading) => reading }) => {
    const reading = readingOf(gpu, leaf);
    const hasGap = gpu.gaps.some(({ field }) => field === leaf);
    const say = (what: string) => [`${leaf}: ${what}`];
    if (is === 'not printed') return reading === undefined && !hasGap ? [] : say('read, but not printed');
    if (is === 'none') return reading === undefined ? [] : say('read, but absent');
    if (is === 'absent') return reading === undefined && hasGap ? [] : say('printed as absent, but read');
    if (reading === undefined || reading === null) return say(`not read, expected ${JSON.stringify(value)}`);
    const found = compare(reading);
    const isNear =
      within !== undefined &&
      typeof found === 'number' &&
      typeof value === 'number' &&
      Math.abs(found - value) <= Math.max(Math.abs(value) * within, 3);
    if (isNear || JSON.stringify(found) === JSON.stringify(value)) return [];
    return say(`${JSON.stringify(found)}, expected ${JSON.stringify(value)}`);
  });
}
