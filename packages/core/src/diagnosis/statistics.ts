// Numbers about numbers. Pure: no reading, clock or tool is known here.

/** A value and when it was read, in milliseconds since 1970. */
export interface TimedValue {
  readonly atMilliseconds: number;
  readonly value: number;
}

/** Of a value that goes up and down. The mean is over the samples, each counted once. */
export interface GaugeStatistics {
  readonly min: number;
  readonly mean: number;
  readonly max: number;
  readonly last: number;
}

/** Of a value that only grows. */
export interface CounterStatistics {
  readonly increase: number;
  readonly perSecond: number;
}

/** Six significant digits: more than any sensor has, and no floating-point dust. */
export const rounded = (value: number): number => Number(value.toPrecision(6));

/** `undefined` for no values at all. */
export function gaugeOf(values: readonly number[]): GaugeStatistics | undefined {
  const last = values.at(-1);
  if (last === undefined) return undefined;
  let [min, max, sum] = [last, last, 0];
  for (const value of values) {
    min = Math.min(min, value);
    max = Math.max(max, value);
    sum += value;
  }
  return { min, mean: rounded(sum / values.length), max, last };
}

/**
 * How much a counter grew from its first to its last sample. `went-back`: it was smaller than before at some time, as after a reset, so
 * that its growth is not known. `too-few`: less than two samples, or none apart in time.
 */
export function counterOf(samples: readonly TimedValue[]): CounterStatistics | 'went-back' | 'too-few' {
  const [first, last] = [samples[0], samples.at(-1)];
  if (!first || !last || last.atMilliseconds <= first.atMilliseconds) return 'too-few';
  const wentBack = samples.some(({ value }, index) => value < (samples[index - 1]?.value ?? value));
  if (wentBack) return 'went-back';
  const increase = last.value - first.value;
  const seconds = (last.atMilliseconds - first.atMilliseconds) / 1_000;
  return { increase: rounded(increase), perSecond: rounded(increase / seconds) };
}

/** The share of the samples in which each member was present, in percent; members that never were are left out. */
export function sharesOf(samples: readonly (readonly string[])[]): Readonly<Record<string, number>> {
  const counts = new Map<string, number>();
  for (const members of samples) {
    for (const member of new Set(members)) counts.set(member, (counts.get(member) ?? 0) + 1);
  }
  return Object.fromEntries(
    [...counts].map(([member, count]) => [member, rounded((count / samples.length) * 100)]),
  );
}

/** `undefined` for no values at all; between the middle two of an even number. */
export function medianOf(values: readonly number[]): number | undefined {
  const sorted = [...values].sort((a, b) => a - b);
  const low = sorted[Math.floor((sorted.length - 1) / 2)];
  const high = sorted[Math.floor(sorted.length / 2)];
  return low === undefined || high === undefined ? undefined : (low + high) / 2;
}
