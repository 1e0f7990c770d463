import { terminationCause } from '../../../cluster/termination.ts';
import { isNear, timeOf, type WorkloadFacts } from '../../../cluster/workload-failure-facts.ts';
import type { ClusterEvent, ClusterPod } from '../../../domain/cluster.ts';
import type { Incident } from '../../../domain/incident.ts';
import { hasChanged } from '../../report/counters.ts';
import { quarantine } from '../../untrusted-text.ts';
import type { WorkloadEvidence, WorkloadNodeEvidence } from '../gather-workload.ts';
import { clean } from '../present-cluster.ts';
import { type CitedIncident, type CitedReport, errorOf, titleOfError } from './agent-report.ts';
import type { WorkloadRedaction } from './workload-redaction.ts';

export const timelineSources = [
  'pod',
  'container',
  'event',
  'node-condition',
  'kernel-log',
  'application-log',
  'counters',
] as const;

/** One thing that happened, or several that are alike. */
export interface TimelineRow {
  /** ISO 8601, as its source tells it; null when it tells no time. */
  readonly at: string | null;
  /** Of the last, where the row stands for several. */
  readonly until?: string;
  /** At least 2. */
  readonly count?: number;
  readonly source: (typeof timelineSources)[number];
  /** Whose clock stamped it: clocks of nodes and of the control plane are not compared. */
  readonly clock: 'node' | 'control-plane' | 'unknown';
  /** What `at` is rounded to: the API server tells whole seconds. */
  readonly resolutionSeconds: number | null;
  readonly node?: string;
  readonly pod?: string;
  readonly container?: string;
  readonly gpu?: number;
  /** Our own words. */
  readonly what: string;
  /** A word of the kubelet or of a controller. */
  readonly reason?: string;
  /** Untrusted: the message of an event, a line of a log. */
  readonly raw?: string;
}

/** A row whose text is as its source has it, and how much it tells of the failure: 0 is most. */
interface Weighed {
  readonly row: TimelineRow;
  readonly weight: number;
}

/** A row with what it is ordered by. */
interface Placed extends Weighed {
  readonly time: number;
  readonly key: string;
}

/** Of rows that are alike so many stand alone; the others are one. */
const maximumAlike = 3;
/** Pods whose course is told. */
const maximumPods = 2_000;
const rawLength = 240;

export interface Timeline {
  /** Oldest first; what has no time comes last. */
  readonly rows: readonly TimelineRow[];
  /** Of how many; rows that stand for several count as one. */
  readonly rowCount: number;
}

/** All that happened to the workload and to its nodes near the failure, oldest first. */
export type Course = readonly Placed[];

export function courseOf(evidence: WorkloadEvidence, reports: ReadonlyMap<string, CitedReport>): Course {
  const { ends, pods, nodes, events } = evidence;
  const isAt = isOfFailure(evidence);
  // Pods of earlier runs have nothing to do with it.
  const others = (pods ?? []).filter(({ phase }) => phase === 'Running' || phase === 'Pending');
  const shown = [...new Set([...ends.map(({ pod }) => pod), ...others])].slice(0, maximumPods);
  const firstPods = new Set(ends.slice(0, maximumAlike).map(({ pod }) => pod));
  const all = [
    ...shown.flatMap((pod) => rowsOfPod(pod, firstPods.has(pod))),
    ...(events ?? []).map(rowOfEvent),
    ...nodes.flatMap((node) => rowsOfNode(node, reports.get(node.name))),
  ].filter(
    ({ row }) =>
      row.source === 'pod' || row.source === 'counters' || isAt(row.at) || isAt(row.until ?? row.at),
  );
  return merge(all.map(placed).sort(byTime));
}

/** In one order; of more than `maximum` rows those that tell most. */
export function timelineOf(course: Course, { text, message }: WorkloadRedaction, maximum: number): Timeline {
  const kept = course.toSorted((a, b) => a.weight - b.weight || byTime(a, b)).slice(0, maximum);
  const rows = kept.sort(byTime).map(({ row }): TimelineRow => {
    if (row.raw === undefined) return row;
    const raw = row.source === 'event' ? message(row.raw) : text(row.raw);
    return { ...row, raw: quarantine(raw, rawLength) };
  });
  return { rows, rowCount: course.length };
}

/** Whether a time is near the failure: from what can be behind its first end to what follows its last. */
export function isOfFailure({ moment, ends }: WorkloadFacts): (at: string | null) => boolean {
  const times = ends.flatMap(({ endedAt }) => timeOf(endedAt) ?? []);
  const first = timeOf(moment.at) ?? 0;
  const last = times.reduce((most, time) => Math.max(most, time), first);
  const lastAt = new Date(last).toISOString();
  return (at) => {
    const time = timeOf(at);
    return isNear(at, moment.at) || isNear(at, lastAt) || (time !== undefined && time > first && time < last);
  };
}

function placed({ row, weight }: Weighed): Placed {
  const { at, source, node, pod, container, gpu, what, raw } = row;
  const key = JSON.stringify([source, node, pod, container, gpu, what, raw]);
  return { row, weight, time: timeOf(at) ?? Number.MAX_SAFE_INTEGER, key };
}

const byTime = (a: Placed, b: Placed) =>
  a.time - b.time || a.weight - b.weight || (a.key < b.key ? -1 : a.key > b.key ? 1 : 0);

/** Of rows that say the same of many pods and nodes the first stand alone, and the others are one. */
function merge(sorted: Course): Course {
  const groups = new Map<string, Placed[]>();
  for (const each of sorted) {
    const { source, what, reason } = each.row;
    const key = JSON.stringify([source, what, reason]);
    const group = groups.get(key);
    if (group) group.push(each);
    else groups.set(key, [each]);
  }
  return [...groups.values()].flatMap((group) => {
    const alone = group.slice(0, group.length > maximumAlike + 1 ? maximumAlike : group.length);
    const rest = group.slice(alone.length);
    const [first] = rest;
    const until = rest.findLast(({ row }) => row.at !== null)?.row.at;
    if (!first) return alone;
    const { at, source, clock, resolutionSeconds, what, reason } = first.row;
    const row: TimelineRow = {
      at,
      ...(until ? { until } : {}),
      count: rest.reduce((sum, each) => sum + (each.row.count ?? 1), 0),
      source,
      clock,
      resolutionSeconds,
      what,
      ...(reason === undefined ? {} : { reason }),
    };
    return [...alone, placed({ row, weight: Math.min(...rest.map(({ weight }) => weight)) + 0.5 })];
  });
}

/** Whole seconds unless a fraction is told. */
const resolutionOf = (at: string | null) =>
  at === null ? null : /\.\d*[1-9]\d*(?:Z|[+-])/i.test(at) ? 0.001 : 1;
const stamp = (at: string | null) => {
  const told = at === null || timeOf(at) === undefined ? null : quarantine(at, 40);
  return { at: told, resolutionSeconds: resolutionOf(told) };
};

function rowsOfPod(pod: ClusterPod, isFirst: boolean): readonly Weighed[] {
  const { name, node, conditions, startedAt, deletionRequestedAt } = pod;
  const place = { ...(node === null ? {} : { node: clean(node) }), pod: clean(name) };
  const scheduled = conditions.find(({ type, status }) => type === 'PodScheduled' && status === 'True');
  const course = (at: string | null, clock: TimelineRow['clock'], what: string, weight: number): Weighed[] =>
    at === null ? [] : [{ row: { ...stamp(at), source: 'pod', clock, ...place, what }, weight }];
  const facts = terminationCause(pod).facts.filter(({ which }) => which !== 'waiting');
  return [
    ...course(scheduled?.lastTransitionAt ?? null, 'control-plane', 'Pod scheduled.', 4),
    ...course(startedAt, 'node', 'Pod accepted by its node.', 3),
    ...course(deletionRequestedAt, 'control-plane', 'Deletion of the pod requested.', 2),
    ...facts
      .filter(({ finishedAt }) => finishedAt !== null)
      .map(({ container, finishedAt, reason, exitCode, signal, which, kind }): Weighed => {
        const code = exitCode === null ? '' : `, exit code ${exitCode}`;
        const by = signal === null ? '' : `, signal ${signal}`;
        const run = which === 'previous' ? 'An earlier run of the container' : 'Container';
        return {
          row: {
            ...stamp(finishedAt),
            source: container === null ? 'pod' : 'container',
            clock: 'node',
            ...place,
            ...(container === null ? {} : { container: clean(container) }),
            what: `${container === null ? 'Pod' : run} ended (${kind}${code}${by}).`,
            ...(reason === null ? {} : { reason: quarantine(reason, 64) }),
          },
          weight: isFirst ? 0 : 2,
        };
      }),
  ];
}

function rowOfEvent(event: ClusterEvent): Weighed {
  const { about, type, reason, count, firstAt, lastAt } = event;
  const name = clean(about.name);
  const from = firstAt ?? lastAt;
  const isTelling = type === 'Warning' || reason === 'Killing' || reason === 'Preempted';
  return {
    row: {
      ...stamp(from),
      ...(count > 1 && lastAt !== null && lastAt !== from ? { until: quarantine(lastAt, 40) } : {}),
      ...(count > 1 ? { count } : {}),
      source: 'event',
      clock: 'unknown',
      ...(about.kind === 'Node' ? { node: name } : about.kind === 'Pod' ? { pod: name } : {}),
      what: whatOfEvent(event),
      reason: quarantine(reason, 64),
      ...(event.message === '' ? {} : { raw: event.message }),
    },
    weight: isTelling ? 1 : 4,
  };
}

function whatOfEvent({ about, type, reason }: ClusterEvent): string {
  if (about.kind === 'Node' && reason === 'Rebooted') return 'The node was started again.';
  const subject = about.kind === 'Node' ? 'node' : about.kind === 'Pod' ? 'pod' : 'owner';
  return `${type} event of the ${subject}.`;
}

function rowsOfNode(
  { name, node, events, incidents }: WorkloadNodeEvidence,
  report: CitedReport | undefined,
): readonly Weighed[] {
  const place = { node: clean(name) };
  const conditions = (node?.conditions ?? []).filter(
    ({ lastTransitionAt, type, status }) =>
      lastTransitionAt !== null && (type === 'Ready' || status !== 'False'),
  );
  return [
    ...(events ?? []).map(rowOfEvent),
    ...conditions.map(({ type, status, reason, lastTransitionAt }): Weighed => {
      const isWell = type === 'Ready' && status === 'True';
      return {
        row: {
          ...stamp(lastTransitionAt),
          source: 'node-condition',
          clock: 'unknown',
          ...place,
          what: `A condition of the node became ${status}.`,
          reason: quarantine(reason === null ? type : `${type}: ${reason}`, 96),
        },
        weight: isWell ? 2 : 1,
      };
    }),
    ...incidentsOf(report, incidents).map(({ row, weight }) => ({
      row: { ...row, ...place },
      weight,
    })),
    ...(report?.applicationErrors ?? []).map(
      ({ at, raw }): Weighed => ({
        row: {
          ...stamp(at),
          source: 'application-log',
          clock: 'node',
          ...place,
          what: 'A program wrote an error into its own log.',
          raw,
        },
        weight: 2,
      }),
    ),
    ...countersOf(report).map(({ row, weight }) => ({ row: { ...row, ...place }, weight })),
  ];
}

/** The agent's report has the lines; without it only what the explanation rests on. */
function incidentsOf(
  report: CitedReport | undefined,
  incidents: readonly Incident[] | null,
): readonly Weighed[] {
  const cited = new Set(report?.incidents.map(({ id }) => id));
  return [
    ...(report?.incidents ?? []).map(rowOfIncident),
    ...(incidents ?? [])
      .filter(({ id }) => id === '' || !cited.has(id))
      .map((incident) =>
        rowOfIncident({
          ...incident,
          gpu: incident.gpu?.index ?? null,
          error: errorOf(incident),
          title: titleOfError(incident),
          raw: [],
        }),
      ),
  ];
}

type ToldIncident = Pick<CitedIncident, 'error' | 'title' | 'gpu' | 'count' | 'standing' | 'trusted'> & {
  readonly firstAt?: string | null | undefined;
  readonly lastAt?: string | null | undefined;
  readonly raw: readonly string[];
};

function rowOfIncident(incident: ToldIncident): Weighed {
  const { error, title, gpu, count, standing, trusted, firstAt, lastAt } = incident;
  const from = firstAt ?? lastAt ?? null;
  const [raw] = incident.raw;
  const isOwn = trusted !== false;
  const role = isOwn ? (standing === 'primary' ? '' : ` (${standing})`) : ' (not written by the kernel)';
  return {
    row: {
      ...stamp(from),
      ...(count > 1 && lastAt && lastAt !== from ? { until: lastAt } : {}),
      ...(count > 1 ? { count } : {}),
      source: 'kernel-log',
      clock: 'node',
      ...(gpu === null ? {} : { gpu }),
      what: `${error}: ${title}${role}.`,
      ...(raw === undefined ? {} : { raw }),
    },
    weight: isOwn ? (standing === 'primary' ? 0 : 1) : 4,
  };
}

/** What changed between the agent's earlier reading and its report. */
function countersOf(report: CitedReport | undefined): readonly Weighed[] {
  return (report?.gpus ?? []).flatMap(({ index, countersBeforeAt, counters }) =>
    counters.filter(hasChanged).map(({ field, before, after }): Weighed => {
      const now = after === null ? 'can no longer be read' : `is ${after}`;
      return {
        row: {
          ...stamp(countersBeforeAt ?? null),
          ...(report?.observedAt ? { until: report.observedAt } : {}),
          source: 'counters',
          clock: 'node',
          gpu: index,
          what: `${field} was ${before} and ${now}: it changed between the two times.`,
        },
        weight: 1,
      };
    }),
  );
}
