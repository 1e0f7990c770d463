import { type RecordedSeries, recordedSeries } from './series.ts';

/** How much is kept. Both tiers hold every series. */
export interface RecorderOptions {
  /** Between two readings of a GPU. 200 to 60,000; default 1,000. */
  readonly intervalMilliseconds: number;
  /** How long each reading is kept as it was. At least a coarse interval, at most 1 h; default 10 min. */
  readonly fineRetentionMilliseconds: number;
  /** What is older is kept in steps of this: at least the interval, at most 10 min; default 10 s, or the interval where that is longer. */
  readonly coarseIntervalMilliseconds: number;
  /** 1 min to 7 d; default 24 h. Time in which nothing is recorded does not count. */
  readonly coarseRetentionMilliseconds: number;
  /** GPUs beyond are not recorded, and the status says so. 1 to 64; default 16. */
  readonly maximumGpus: number;
}

const minute = 60_000;
const hour = 60 * minute;

/** What `maximumGpus` of them may take together: a typing error in a retention must not take a node's memory. */
export const maximumRecorderBytes = 512 * 1_048_576;

/** @throws RangeError naming the option, its value and its range. */
export function recorderOptions(given: Partial<RecorderOptions> = {}): RecorderOptions {
  const intervalMilliseconds = given.intervalMilliseconds ?? 1_000;
  const coarseIntervalMilliseconds =
    given.coarseIntervalMilliseconds ?? Math.max(10_000, intervalMilliseconds);
  const options: RecorderOptions = {
    intervalMilliseconds,
    fineRetentionMilliseconds:
      given.fineRetentionMilliseconds ?? Math.max(10 * minute, coarseIntervalMilliseconds),
    coarseIntervalMilliseconds,
    coarseRetentionMilliseconds: given.coarseRetentionMilliseconds ?? 24 * hour,
    maximumGpus: given.maximumGpus ?? 16,
  };
  check('intervalMilliseconds', options, 200, 60_000);
  check('coarseIntervalMilliseconds', options, intervalMilliseconds, 10 * minute);
  check('fineRetentionMilliseconds', options, coarseIntervalMilliseconds, hour);
  check('coarseRetentionMilliseconds', options, Math.max(minute, coarseIntervalMilliseconds), 7 * 24 * hour);
  check('maximumGpus', options, 1, 64);
  const bytes = recorderBytes(options, options.maximumGpus);
  if (bytes > maximumRecorderBytes) {
    throw new RangeError(
      `coarseRetentionMilliseconds = ${options.coarseRetentionMilliseconds} in steps of ${coarseIntervalMilliseconds} ms would take ${bytes} bytes for ${options.maximumGpus} GPUs; at most ${maximumRecorderBytes}`,
    );
  }
  return options;
}

function check(name: keyof RecorderOptions, options: RecorderOptions, least: number, most: number): void {
  const value = options[name];
  if (Number.isInteger(value) && value >= least && value <= most) return;
  throw new RangeError(`${name} = ${value}: expected a whole number from ${least} to ${most}`);
}

export const fineRowCount = (options: RecorderOptions): number =>
  Math.ceil(options.fineRetentionMilliseconds / options.intervalMilliseconds);

export const coarseRowCount = (options: RecorderOptions): number =>
  Math.ceil(options.coarseRetentionMilliseconds / options.coarseIntervalMilliseconds);

/** Bytes of one row of a tier, by the kind of the series. Counters are 64 bits wide: see docs/flight-recorder.md. */
const fineBytes = (series: RecordedSeries): number =>
  ({ gauge: 4, counter: 8, flags: 2, state: 1 })[series.kind];
const coarseBytes = (series: RecordedSeries): number =>
  ({ gauge: 12, counter: 16, flags: series.labels?.length ?? 0, state: 1 })[series.kind];

const total = (bytesOf: (series: RecordedSeries) => number): number =>
  recordedSeries.reduce((sum, series) => sum + bytesOf(series), 0);

/** Time of the reading; of a step its first time, how long it lasted and how many readings it holds. */
const fineRowBytes = 8 + total(fineBytes);
const coarseRowBytes = 8 + 4 + 2 + total(coarseBytes);
/** The step that is being filled: least, sum, greatest and count of each series, and the readings with each flag. */
const openStepBytes =
  4 * 8 * recordedSeries.length +
  8 *
    recordedSeries.reduce(
      (sum, series: RecordedSeries) => sum + (series.kind === 'flags' ? (series.labels?.length ?? 0) : 0),
      0,
    );

/** What the recorder takes for this many GPUs: a pure function of the options, whatever is recorded. */
export function recorderBytes(options: RecorderOptions, gpuCount: number): number {
  const perGpu =
    fineRowCount(options) * fineRowBytes + coarseRowCount(options) * coarseRowBytes + openStepBytes;
  return Math.min(gpuCount, options.maximumGpus) * perGpu;
}
