import type { GpuRef } from '../../domain/gpu.ts';
import type { Incident } from '../../domain/incident.ts';
import { pciDeviceKey } from '../../domain/pci-address.ts';
import type { RecorderStatus } from '../../recorder/flight-recorder.ts';
import type { RecordedRows } from '../../recorder/ring.ts';
import { type RecordedSeriesId, recordedSeries } from '../../recorder/series.ts';
import { type RecordedGap, type SeriesSummary, stateChanges } from '../../recorder/timeline.ts';
import type { TimeSpan } from './time-span.ts';

/** One GPU and what was recorded of it; rows are absent when nothing ever was. */
export interface GpuRows {
  readonly ref: GpuRef;
  readonly rows: RecordedRows | undefined;
  readonly gaps: readonly RecordedGap[];
  /** Of its oldest sample that is kept; Infinity when there is none. */
  readonly firstAtMilliseconds: number;
  /** Null when nothing of the series was read. Reckoned once. */
  summaryOf(id: RecordedSeriesId): SeriesSummary | null;
}

/** Something that happened at a moment of the timeline. Our own words and numbers only. */
export interface TimelineEvent {
  readonly atMilliseconds: number;
  /** Less is more important. */
  readonly rank: number;
  readonly told: Readonly<Record<string, unknown>>;
}

const stateIds = recordedSeries.flatMap(({ id, kind }) => (kind === 'state' ? [id] : []));

/** The states are read for the events, whichever series were asked for. */
export const eventSeriesIds = stateIds;

export function timelineEvents(
  gpus: readonly GpuRows[],
  incidents: readonly Incident[],
  span: TimeSpan,
  status: RecorderStatus,
): readonly TimelineEvent[] {
  return [
    ...incidents.flatMap((incident) => incidentEvent(incident, span) ?? []),
    ...gpus.flatMap(changeEvents),
    ...gapEvents(gpus, status),
  ];
}

/** The most important ones that fit, in the order in which they happened. */
export function presentEvents(
  events: readonly TimelineEvent[],
  limit: number,
  { fromMilliseconds }: TimeSpan,
) {
  return events
    .toSorted((a, b) => a.rank - b.rank || b.atMilliseconds - a.atMilliseconds)
    .slice(0, limit)
    .toSorted((a, b) => a.atMilliseconds - b.atMilliseconds)
    .map(({ atMilliseconds, told }) => ({
      atSeconds: Math.round((atMilliseconds - fromMilliseconds) / 100) / 10,
      ...told,
    }));
}

/** Undefined for incidents outside the span, and those of which the log tells no time of day. */
function incidentEvent(incident: Incident, span: TimeSpan): TimelineEvent | undefined {
  const times = [incident.firstAt, incident.lastAt].flatMap((time) =>
    time === null ? [] : [Date.parse(time)],
  );
  const atMilliseconds = times.find((time) => time >= span.fromMilliseconds && time <= span.toMilliseconds);
  if (atMilliseconds === undefined) return undefined;
  const { kind, xid, sxid, gpu, pciAddress, title, verdict, count } = incident;
  return {
    atMilliseconds,
    rank: verdict === 'critical' ? 0 : verdict === 'warning' ? 1 : 4,
    told: {
      kind,
      ...(xid === undefined ? {} : { xid }),
      ...(sxid === undefined ? {} : { sxid }),
      ...(gpu ? { gpu: gpu.index } : { pciAddress }),
      verdict,
      title,
      ...(count > 1 ? { count } : {}),
    },
  };
}

/** Whether an incident is about this GPU, or about none that can be told. */
export function concerns({ gpu, pciAddress }: Incident, ref: GpuRef): boolean {
  if (gpu) return gpu.index === ref.index;
  return pciAddress === null || pciAddress === pciDeviceKey(ref.pciAddress);
}

function changeEvents({ ref, rows }: GpuRows): readonly TimelineEvent[] {
  if (!rows) return [];
  return stateIds.flatMap((id) =>
    stateChanges(rows, id).map(({ atMilliseconds, series, from, to }) => ({
      atMilliseconds,
      rank: 2,
      told: { kind: 'state-change', gpu: ref.index, series, from, to },
    })),
  );
}

/** A gap of every GPU is one event without `gpu`. */
function gapEvents(gpus: readonly GpuRows[], status: RecorderStatus): readonly TimelineEvent[] {
  interface Group {
    readonly gap: RecordedGap;
    readonly reason: string;
    readonly holders: number[];
  }
  const groups: Group[] = [];
  // GPUs are read one after another, each at its own pace: the same pause begins and ends a little apart for each.
  const isSame = (a: number, b: number) => Math.abs(a - b) <= Math.max(1_000, status.intervalMilliseconds);
  for (const gpu of gpus) {
    for (const gap of gpu.gaps) {
      const reason = gapReason(gap, gpu, status);
      const group = groups.find(
        (each) =>
          each.reason === reason &&
          isSame(each.gap.fromMilliseconds, gap.fromMilliseconds) &&
          isSame(each.gap.toMilliseconds, gap.toMilliseconds),
      );
      if (group) group.holders.push(gpu.ref.index);
      else groups.push({ gap, reason, holders: [gpu.ref.index] });
    }
  }
  return groups.flatMap(({ gap, reason, holders }) => {
    const event = (gpu?: number): TimelineEvent => ({
      atMilliseconds: gap.fromMilliseconds,
      rank: 3,
      told: {
        kind: 'recorder-gap',
        seconds: Math.round((gap.toMilliseconds - gap.fromMilliseconds) / 1_000),
        reason,
        ...(gpu === undefined ? {} : { gpu }),
      },
    });
    return holders.length === gpus.length ? [event()] : holders.map((gpu) => event(gpu));
  });
}

/** What the recorder knows of why there are no samples. */
export function gapReason(
  gap: RecordedGap,
  { firstAtMilliseconds }: Pick<GpuRows, 'firstAtMilliseconds'>,
  { gaps, loading }: RecorderStatus,
): string {
  if (loading) return 'loading';
  if (gap.toMilliseconds <= firstAtMilliseconds) return 'not-recorded-yet';
  const overlap = (pause: RecordedGap) =>
    Math.min(pause.toMilliseconds, gap.toMilliseconds) -
    Math.max(pause.fromMilliseconds, gap.fromMilliseconds);
  const pause = gaps.find((each) => overlap(each) > (gap.toMilliseconds - gap.fromMilliseconds) / 2);
  return pause?.reason ?? 'no-samples';
}
