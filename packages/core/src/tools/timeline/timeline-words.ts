import { compareAround } from '../../recorder/before-after.ts';
import type { RecorderStatus } from '../../recorder/flight-recorder.ts';
import { type RecordedSeriesId, seriesOf } from '../../recorder/series.ts';
import type { NextStep } from '../answer.ts';
import type { GpuRows } from './timeline-events.ts';
import type { TimelineRequest } from './timeline-request.ts';

const rangeSeries: readonly RecordedSeriesId[] = [
  'temperatureCelsius',
  'powerDrawWatts',
  'smClockMegahertz',
  'gpuUtilizationPercent',
];
const units: Readonly<Record<string, string>> = {
  temperatureCelsius: 'C',
  powerDrawWatts: 'W',
  smClockMegahertz: 'MHz',
  gpuUtilizationPercent: '%',
};

/** The sentence to begin with. */
export function timelineSummary(
  { span, ids }: TimelineRequest,
  gpus: readonly GpuRows[],
  eventCount: number,
  status: RecorderStatus | undefined,
  hasSamples: boolean,
): string {
  if (!status) return 'This server has no flight recorder, so nothing but the kernel log tells of the past.';
  const happened = `${eventCount} event${eventCount === 1 ? '' : 's'}`;
  if (status.loading) return `What was kept is still being read from its directory. ${happened} so far.`;
  if (status.from === null)
    return `Nothing has been recorded yet; ${whyNothing(status)}. ${happened} in the time asked for.`;
  if (!hasSamples) return `Nothing was recorded in the time asked for. ${happened} in it.`;
  const seconds = Math.round((span.toMilliseconds - span.fromMilliseconds) / 1_000);
  const count = gpus.filter(({ rows }) => (rows?.firstAtMilliseconds.length ?? 0) > 0).length;
  const of = `${count} of ${gpus.length} GPU${gpus.length === 1 ? '' : 's'}`;
  if (span.aroundMilliseconds !== undefined)
    return aroundSummary(gpus, ids, span.aroundMilliseconds, happened);
  const ranges = rangeSeries.flatMap((id) => {
    if (!ids.includes(id)) return [];
    const told = gpus.flatMap(({ summaryOf }) => summaryOf(id) ?? []);
    const gauges = told.flatMap((each) => (each.kind === 'gauge' ? [each] : []));
    if (gauges.length === 0) return [];
    const low = Math.round(Math.min(...gauges.map(({ min }) => min)));
    const high = Math.round(Math.max(...gauges.map(({ max }) => max)));
    const unit = units[id] ?? '';
    return [`${seriesOf(id).title} ${low === high ? low : `${low} to ${high}`} ${unit}`];
  });
  return `${[`${of} recorded over ${seconds} s`, ...ranges, happened].join(', ')}.`;
}

function whyNothing({ recording, always, detail }: RecorderStatus): string {
  if (!recording) return 'and nothing is being recorded';
  if (detail !== undefined) return 'the driver does not say which GPUs there are';
  return always ? 'recording has just begun' : 'recording began with this call';
}

/** The largest difference of any GPU, as the sentence to begin with. */
function aroundSummary(
  gpus: readonly GpuRows[],
  ids: readonly RecordedSeriesId[],
  aroundMilliseconds: number,
  happened: string,
): string {
  const firsts = gpus.flatMap(({ ref, rows }) => {
    const [change] = rows ? compareAround(rows, ids, aroundMilliseconds) : [];
    return change ? [{ ref, change }] : [];
  });
  const size = ({ change }: (typeof firsts)[number]) =>
    change.standardisedDifference === null
      ? Number.POSITIVE_INFINITY
      : Math.abs(change.standardisedDifference);
  const [first] = firsts.toSorted((a, b) => (size(b) > size(a) ? 1 : size(b) < size(a) ? -1 : 0));
  if (!first)
    return `Nothing that was recorded differs before and after the moment, or it was not recorded on both sides. ${happened}.`;
  return `What changed most: ${seriesOf(first.change.series).title} of GPU ${first.ref.index}; ${firsts.length} of ${gpus.length} GPU${gpus.length === 1 ? '' : 's'} changed. ${happened}.`;
}

export function timelineSteps(
  { span, asked, detail }: TimelineRequest,
  status: RecorderStatus | undefined,
  hasSamples: boolean,
  hasPoints: boolean,
): NextStep[] {
  const live: NextStep = {
    action: 'none',
    reason: 'Until then: readings of now, or of the next seconds with window.',
    tool: 'get_gpu_telemetry',
  };
  if (!status) return [live];
  if (status.loading)
    return [{ action: 'none', reason: 'Ask again in 5 seconds.', tool: 'get_gpu_timeline' }, live];
  if (!hasSamples) {
    const again: NextStep = {
      action: 'none',
      reason: status.recording
        ? 'Ask again in 60 seconds: samples are being taken now, until 15 minutes after the last call (always with --record).'
        : 'Ask again for a time that was recorded; coverage.recorder says from when to when.',
      tool: 'get_gpu_timeline',
    };
    return status.recording ? [again, live] : [again];
  }
  if (hasPoints || span.aroundMilliseconds !== undefined || detail === 'full' || asked.length < 2) return [];
  return [
    {
      action: 'none',
      reason: 'There was no room for curves: ask for one gpu, or fewer series.',
      tool: 'get_gpu_timeline',
    },
  ];
}
