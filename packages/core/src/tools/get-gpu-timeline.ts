import { z } from 'zod';
import type { Gap } from '../domain/gap.ts';
import type { GpuRef } from '../domain/gpu.ts';
import { GpuError, isGpuError } from '../errors.ts';
import { gapReasonOf } from '../gpu-reader.ts';
import { compareAround } from '../recorder/before-after.ts';
import type { FlightRecorder } from '../recorder/flight-recorder.ts';
import { type RecordedSeriesId, recordedSeries, recordedSeriesIds } from '../recorder/series.ts';
import { type Buckets, bucketsOver, gapsIn, type SeriesSummary, summarise } from '../recorder/timeline.ts';
import { parseGpuSelector, resolveGpu } from '../selector.ts';
import { groupIncidents } from '../xid/incidents.ts';
import { answerSchema, type Detail, gpuBackendCoverage, makeAnswer } from './answer.ts';
import { detailArgument, gpuArgument, timeArgument } from './arguments.ts';
import { gpusForAttribution, readKernelEvents } from './kernel-events.ts';
import { pointFormat, presentChange, presentSeries } from './timeline/present-series.ts';
import { recorderCoverage, recorderGaps } from './timeline/recorder-coverage.ts';
import { type TimeSpan, timeSpanOf } from './timeline/time-span.ts';
import {
  concerns,
  eventSeriesIds,
  type GpuRows,
  presentEvents,
  timelineEvents,
} from './timeline/timeline-events.ts';
import type { TimelineRequest } from './timeline/timeline-request.ts';
import { timelineSteps, timelineSummary } from './timeline/timeline-words.ts';
import { defineTool, type StructuredContent } from './tool.ts';
import type { Toolkit } from './toolkit.ts';

/** What tells most of a failure in the least space. */
const tellingSeries: readonly RecordedSeriesId[] = [
  'temperatureCelsius',
  'powerDrawWatts',
  'smClockMegahertz',
  'gpuUtilizationPercent',
  'memoryUsedMebibytes',
  'clockEventReasons',
  'thermalViolationMicroseconds',
  'eccUncorrectableCount',
];
/** Counts of errors are told when they grew, whether or not they were asked for. */
const errorSeries = recordedSeries.flatMap((series) =>
  'counts' in series && series.counts === 'events' ? [series.id] : [],
);

/** Four bytes are a token. */
const budgetBytes: Readonly<Record<Detail, number>> = { summary: 2_400 * 4, full: 10_000 * 4 };
const maximumPoints = 200;
const maximumEvents: Readonly<Record<Detail, number>> = { summary: 12, full: 100 };
const maximumChanges: Readonly<Record<Detail, number>> = { summary: 4, full: 30 };
/** How long an answer waits for what the store kept. */
const loadMilliseconds = 3_000;
/** Fewer are no curve. */
const leastPoints = 6;

const seriesExpected = `expected a list of 1 to ${recordedSeries.length} of ${recordedSeriesIds.join(', ')}`;
const pointsExpected = `expected a whole number from 1 to ${maximumPoints}`;

/** What the flight recorder kept: statistics, curves, and what happened when. */
export function getGpuTimeline(toolkit: Toolkit) {
  return defineTool({
    name: 'get_gpu_timeline',
    title: 'GPU timeline',
    description:
      'The past: recorded readings of each GPU (statistics, curves that keep spikes), with kernel-log errors, state changes and gaps on the same time axis. With around: what changed most after a moment.',
    inputSchema: z.strictObject({
      gpu: gpuArgument,
      since: timeArgument('Default 10m. From'),
      until: timeArgument('To'),
      around: timeArgument('Compare 5 minutes before and after'),
      series: z
        .array(z.enum(recordedSeriesIds, { error: seriesExpected }), seriesExpected)
        .min(1, seriesExpected)
        .max(recordedSeries.length, seriesExpected)
        .describe('Default: the eight that tell most; with around, all.')
        .optional(),
      points: z
        .int(pointsExpected)
        .min(1, pointsExpected)
        .max(maximumPoints, pointsExpected)
        .describe('Most per curve. Default: as many as fit.')
        .optional(),
      detail: detailArgument,
    }),
    outputSchema: answerSchema({
      startAt: z.string(),
      seconds: z.number(),
      gpus: z.array(z.looseObject({ index: z.number(), sampleCount: z.number() })),
      events: z.array(z.looseObject({ atSeconds: z.number(), kind: z.string() })),
      eventCount: z.number(),
    }),
    async handle({ gpu, since, until, around, series, points, detail }, signal) {
      const span = timeSpanOf({ since, until, around }, toolkit.clock.now());
      if (gpu !== undefined) parseGpuSelector(gpu);
      // Asked at the same time: neither must wait for a driver that hangs.
      const reading = readKernelEvents(toolkit, new Date(span.fromMilliseconds).toISOString(), signal);
      const node = await gpusForAttribution(toolkit, signal);
      await loadedInTime(toolkit, signal);
      const gone = goneGpus(toolkit.recorder, isGpuError(node) ? [] : node);
      const asked = await askedFor(toolkit, gpu, node, gone, signal);
      const log = await reading;
      const incidents = groupIncidents(log.events, { gpus: isGpuError(node) ? gone : node }).filter(
        (incident) => gpu === undefined || asked.some((ref) => concerns(incident, ref)),
      );
      const everything = detail === 'full' || around !== undefined;
      const ids = [...new Set(series ?? (everything ? recordedSeriesIds : tellingSeries))];
      return answerOf(toolkit, { span, ids, asked, gone, incidents, log, node, detail, points });
    },
  });
}

async function loadedInTime({ recorder, clock }: Toolkit, signal: AbortSignal): Promise<void> {
  if (!recorder?.status.loading) return;
  const limit = new AbortController();
  const cancel = clock.after(loadMilliseconds, () => limit.abort());
  await recorder.loaded(AbortSignal.any([signal, limit.signal])).finally(cancel);
}

/** GPUs that were recorded and that the driver does not list now: perhaps what the timeline is asked about. */
function goneGpus(recorder: FlightRecorder | null, live: readonly GpuRef[]): readonly GpuRef[] {
  const isListed = (ref: GpuRef) =>
    live.some(({ uuid, index }) => (uuid === null ? index === ref.index : uuid === ref.uuid));
  return (recorder?.gpus ?? []).filter((ref) => !isListed(ref));
}

/** @throws GpuError the driver's own, when it could not be asked and the selector names no GPU that was recorded. */
async function askedFor(
  toolkit: Toolkit,
  selector: string | number | undefined,
  node: readonly GpuRef[] | GpuError,
  gone: readonly GpuRef[],
  signal: AbortSignal,
): Promise<readonly GpuRef[]> {
  const live = isGpuError(node) ? [] : node;
  if (selector === undefined) return [...live, ...gone];
  if (isGpuError(node) && gone.length === 0) {
    const asked = JSON.stringify(selector);
    throw new GpuError(node.code, `gpu = ${asked} cannot be looked up: ${node.message}.`, {
      hint: 'Leave gpu out for what the kernel log tells.',
    });
  }
  const [first, second] = isGpuError(node) ? [gone, []] : [live, gone];
  try {
    return [await resolveGpu(selector, first, toolkit.reader, signal)];
  } catch (error) {
    const isUnknown = isGpuError(error) && error.code === 'GPU_NOT_FOUND';
    const found = isUnknown
      ? await resolveGpu(selector, second, toolkit.reader, signal).catch(() => null)
      : null;
    if (found) return [found];
    throw error;
  }
}

function answerOf(toolkit: Toolkit, request: TimelineRequest): StructuredContent {
  const { recorder } = toolkit;
  const { span, detail, log, node } = request;
  const all = recorder ? request.asked.map((ref) => rowsOf(recorder, ref, request)) : [];
  const isOfInterest = (gpu: GpuRows) => all.length === 1 || !request.gone.includes(gpu.ref) || hasRows(gpu);
  const gpus = all.filter(isOfInterest);
  const status = recorder?.status;
  const events = status ? timelineEvents(gpus, request.incidents, span, status) : [];
  const hasSamples = gpus.some(hasRows);
  const shown = gpus.filter(({ rows }) => rows !== undefined);
  const states = shown.flatMap((gpu) => lastState(gpu) ?? []);
  const isBackendDown = isGpuError(node) && !hasSamples;
  const verdict = isBackendDown ? 'unknown' : verdictOf(states);
  const build = (buckets: Buckets | null): StructuredContent => {
    const answer = makeAnswer(toolkit, detail, {
      ...(verdict === undefined ? {} : { verdict }),
      summary: timelineSummary(request, gpus, events.length, status, hasSamples),
      payload: {
        startAt: new Date(span.fromMilliseconds).toISOString(),
        seconds: Math.round((span.toMilliseconds - span.fromMilliseconds) / 1_000),
        ...(span.aroundMilliseconds === undefined
          ? {}
          : { aroundAt: new Date(span.aroundMilliseconds).toISOString() }),
        ...(buckets ? presentBuckets(buckets, span) : {}),
        gpus: shown.map((gpu) => presentGpu(gpu, request, buckets)),
        events: presentEvents(events, maximumEvents[detail], span),
        eventCount: events.length,
      },
      gaps: [...log.gaps, ...backendGaps(node), ...recorderGaps(gpus, status, request)],
      gpuCount: gpus.length,
      gpuBackend: gpuBackendCoverage(toolkit, isGpuError(node) ? node : undefined),
      kernelLog: log.coverage,
      nextSteps: timelineSteps(request, status, hasSamples, buckets !== null),
    });
    return {
      ...answer,
      coverage: { ...(answer['coverage'] as object), recorder: recorderCoverage(status, detail) },
    };
  };
  if (!hasSamples || span.aroundMilliseconds !== undefined) return build(null);
  return withinBudget(build, request, curveSpan(shown, span), status?.intervalMilliseconds ?? 1);
}

const hasRows = ({ rows }: GpuRows) => (rows?.firstAtMilliseconds.length ?? 0) > 0;

/** Curves begin with the first sample: points before it would say nothing, and coarsen the rest. */
function curveSpan(gpus: readonly GpuRows[], { fromMilliseconds, toMilliseconds }: TimeSpan): TimeSpan {
  const firsts = gpus.flatMap(({ rows }) => rows?.firstAtMilliseconds[0] ?? []);
  return { fromMilliseconds: Math.max(fromMilliseconds, Math.min(...firsts)), toMilliseconds };
}

function presentBuckets({ bucketMilliseconds, fromMilliseconds }: Buckets, span: TimeSpan) {
  const isLater = fromMilliseconds > span.fromMilliseconds;
  return {
    bucketSeconds: bucketMilliseconds / 1_000,
    ...(isLater ? { pointsStartAt: new Date(fromMilliseconds).toISOString() } : {}),
    pointFormat,
  };
}

/** The most points that fit: each try is measured, as flat curves cost nothing. */
function withinBudget(
  build: (buckets: Buckets | null) => StructuredContent,
  { detail, points = maximumPoints }: TimelineRequest,
  span: TimeSpan,
  intervalMilliseconds: number,
): StructuredContent {
  const plain = build(null);
  const room = budgetBytes[detail] - bytesOf(plain);
  for (let wanted = points; wanted >= Math.min(leastPoints, points); ) {
    const buckets = bucketsOver(span.fromMilliseconds, span.toMilliseconds, wanted, intervalMilliseconds);
    const answer = build(buckets);
    const excess = bytesOf(answer) - budgetBytes[detail];
    if (excess <= 0) return answer;
    const fitting = Math.floor((buckets.count * Math.max(0, room)) / (room + excess));
    wanted = Math.min(Math.min(wanted, buckets.count) - 1, fitting);
  }
  return plain;
}

/** In UTF-8; whatever is not ASCII here is a few names. */
const bytesOf = (answer: StructuredContent): number => JSON.stringify(answer).length;

function rowsOf(recorder: FlightRecorder, ref: GpuRef, { span, ids }: TimelineRequest): GpuRows {
  const read = [...new Set([...ids, ...errorSeries, ...eventSeriesIds])];
  const { fromMilliseconds, toMilliseconds } = span;
  const rows = recorder.series(ref, read, fromMilliseconds, toMilliseconds);
  const summaries = new Map<RecordedSeriesId, SeriesSummary | null>();
  const summaryOf = (id: RecordedSeriesId) => {
    const known = summaries.get(id);
    if (known !== undefined) return known;
    const summary = rows ? summarise(rows, id) : null;
    summaries.set(id, summary);
    return summary;
  };
  const gaps = gapsIn(rows, fromMilliseconds, toMilliseconds, recorder.cadence);
  return { ref, rows, gaps, firstAtMilliseconds: recorder.firstAtMilliseconds(ref), summaryOf };
}

function lastState({ summaryOf }: GpuRows): string | undefined {
  const state = summaryOf('state');
  return state?.kind === 'state' ? state.last[0] : undefined;
}

/** As readings have it: no verdict on what answers. */
function verdictOf(states: readonly string[]): 'critical' | 'unknown' | undefined {
  const broken = states.filter((state) => state !== 'ok');
  if (broken.length === 0) return undefined;
  return broken.some((state) => state !== 'unreadable') ? 'critical' : 'unknown';
}

function presentGpu(gpu: GpuRows, request: TimelineRequest, buckets: Buckets | null) {
  const { ref, rows, summaryOf } = gpu;
  const { ids, detail, span } = request;
  const head = {
    index: ref.index,
    uuid: ref.uuid,
    ...(request.gone.includes(ref) && !isGpuError(request.node) ? { isListed: false } : {}),
    state: lastState(gpu) ?? null,
    sampleCount: rows?.sampleCounts.reduce((sum, count) => sum + count, 0) ?? 0,
  };
  if (!rows || head.sampleCount === 0) return head;
  if (span.aroundMilliseconds !== undefined) {
    const changes = compareAround(rows, ids, span.aroundMilliseconds);
    return { ...head, changedMost: changes.slice(0, maximumChanges[detail]).map(presentChange) };
  }
  const increased = errorSeries.flatMap((id) => {
    const summary = ids.includes(id) ? null : summaryOf(id);
    return summary?.kind === 'counter' && summary.increase > 0 ? [[id, summary.increase] as const] : [];
  });
  return {
    ...head,
    series: Object.fromEntries(
      ids.map((id) => [id, presentSeries(rows, id, summaryOf(id), buckets, detail)]),
    ),
    ...(increased.length > 0 ? { increased: Object.fromEntries(increased) } : {}),
  };
}

function backendGaps(node: readonly GpuRef[] | GpuError): Gap[] {
  if (!isGpuError(node)) return [];
  return [{ field: 'gpuBackend', reason: gapReasonOf(node), detail: `${node.code}: ${node.message}` }];
}
