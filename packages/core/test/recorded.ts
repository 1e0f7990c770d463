import { recorderOptions } from '../src/recorder/options.ts';
import { GpuRing, type RecordedRows } from '../src/recorder/ring.ts';
import {
  type RecordedSeriesId,
  recordedSeries,
  recordedSeriesIds,
  seriesIndex,
} from '../src/recorder/series.ts';

export const recordedStart = Date.parse('2026-03-01T00:00:00.000Z');

export type SampleValues = Partial<Record<RecordedSeriesId, number>>;

/** One value for each series; those left out were not read. */
export function sampleValues(given: SampleValues): Float64Array {
  const list = new Float64Array(recordedSeries.length).fill(Number.NaN);
  for (const id of recordedSeriesIds) {
    const value = given[id];
    if (value !== undefined) list[seriesIndex(id)] = value;
  }
  return list;
}

/** A ring with one sample for each second from `recordedStart`; null for none in that second. */
export function recordedRing(seconds: number, of: (second: number) => SampleValues | null): GpuRing {
  const ring = new GpuRing(recorderOptions());
  for (let second = 0; second < seconds; second += 1) {
    const given = of(second);
    if (given) ring.push(recordedStart + second * 1_000, sampleValues(given));
  }
  return ring;
}

export const allRows = (ring: GpuRing): RecordedRows =>
  ring.rows(recordedSeriesIds, 0, Number.POSITIVE_INFINITY);
