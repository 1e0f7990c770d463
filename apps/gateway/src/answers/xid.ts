import {
  type Action,
  actions,
  kernelEventKinds,
  type StructuredContent,
  type Verdict,
} from '@k8s-gpu-mcp/core';
import type { FanOutResult } from '../domain/node-outcome.ts';
import type { JoinedPod, KnownPods, PodJoin } from '../domain/pod-join.ts';
import { listBytes, makeClusterAnswer } from './cluster-answer.ts';
import { rankOf } from './finding-groups.ts';
import { type FamilyReading, type NodeFinding, readNodes } from './node-report.ts';
import { shownName } from './node-rows.ts';
import { hasFacts, type OwnerName, ownerName, placeOf, presentJoined } from './processes-pods.ts';
import type { ClusterQuestion } from './question.ts';
import {
  actionOf,
  byText,
  countOf,
  field,
  fieldsOf,
  fitting,
  gpuIndexOf,
  rowsOf,
  textOf,
  timeOf,
  verdictOf,
} from './untrusted-content.ts';
import { plural, titleOfCode } from './words.ts';

const maximumIncidents = 200;
const maximumNames = 4;
const maximumProcesses = 16;
const maximumOwners = 3;
const podsShown = { summary: 1, full: 4 } as const;
const incidentsShown = { summary: 2, full: 10 } as const;

/** An incident as an agent told it. */
interface NodeIncident {
  /** `Xid 79 (GPU has fallen off the bus)`, from the catalogue here. */
  readonly title: string;
  readonly kind: string;
  readonly xid?: number;
  readonly sxid?: number;
  readonly verdict: Verdict;
  readonly action: Action;
  readonly gpu?: number;
  readonly pciAddress: string | null;
  readonly count: number;
  readonly firstAt: string | null;
  readonly lastAt: string | null;
  /** False: a program may have written it, so that no conclusion is drawn from it. */
  readonly trusted: boolean;
  readonly isPrimary: boolean;
  readonly raw: string | null;
  /** Of the processes that the lines name and that still run, each pod once; empty where the pods are not known. */
  readonly joined: readonly JoinedPod[];
}

/**
 * GPU errors in the kernel logs of all nodes, from answers of `analyze_xid_errors`.
 *
 * @param known The pods of these nodes; absent where there is no API server to ask.
 */
export function presentXidErrors(
  question: ClusterQuestion,
  result: FanOutResult,
  known: KnownPods | null = null,
): StructuredContent {
  const told = new Map<StructuredContent, readonly NodeIncident[]>();
  let eventCount = 0;
  const reports = readNodes(result.outcomes, (content, node) => {
    const incidents = incidentsOf(content, node, known?.join ?? null);
    const reading = readXidErrors(content, incidents, question.detail);
    told.set(reading.row, incidents);
    eventCount += countOf(field(content, 'eventCount')) ?? 0;
    return reading;
  });
  const all = reports.flatMap(({ node, row }) =>
    (told.get(row) ?? []).map((incident) => ({ node, incident })),
  );
  const groups = groupIncidents(all);
  const blind = reports.filter(({ canReadKernelLog }) => canReadKernelLog === false).length;
  const isRead = reports.some(({ canReadKernelLog }) => canReadKernelLog === true);
  const noErrors = isRead ? ['No GPU errors in the kernel logs that were read.'] : [];
  const words = [
    ...(all.length === 0
      ? noErrors
      : [
          `${plural(all.length, 'incident')} of ${plural(groups.length, 'kind')} on ${plural(new Set(all.map(({ node }) => node)).size, 'node')}.`,
        ]),
    ...(blind > 0 ? [`The kernel log of ${plural(blind, 'node')} could not be read.`] : []),
  ];
  return makeClusterAnswer(question, result, reports, {
    ...(words.length > 0 ? { words: words.join(' ') } : {}),
    payload: {
      eventCount,
      incidentCount: all.length,
      incidents: fitting(groups, listBytes[question.detail]),
      ...(groups.length > 0 ? { incidentGroupCount: groups.length } : {}),
    },
    gaps: known?.gaps ?? [],
    moreTool: 'explain_failure',
  });
}

function incidentsOf(
  content: StructuredContent,
  node: string,
  join: PodJoin | null,
): readonly NodeIncident[] {
  return rowsOf(field(content, 'incidents'), maximumIncidents).flatMap(
    (row) => incidentOf(row, joinedOf(row, node, join)) ?? [],
  );
}

/** What an agent tells of the place of a process, it has found to be still the one of the log line. Forged lines could blame anybody. */
function joinedOf(row: StructuredContent, node: string, join: PodJoin | null): readonly JoinedPod[] {
  if (join === null || field(row, 'trusted') === false) return [];
  const pods = new Map<string, JoinedPod>();
  for (const process of rowsOf(field(row, 'processes'), maximumProcesses)) {
    const place = placeOf(process);
    if (!hasFacts(place)) continue;
    const joined = join(node, place);
    pods.set(joined.pod === null ? joined.because : joined.pod.uid, joined);
  }
  // Pods before reasons why there is none.
  return [...pods.values()].sort(
    (a, b) => Number(a.pod === null) - Number(b.pod === null) || byText(keyOf(a), keyOf(b)),
  );
}

const keyOf = (joined: JoinedPod) =>
  joined.pod === null ? joined.because : `${joined.pod.namespace}/${joined.pod.name}`;

function incidentOf(row: StructuredContent, joined: readonly JoinedPod[]): NodeIncident | undefined {
  const verdict = verdictOf(field(row, 'verdict'));
  const kind = kernelEventKinds.find((each) => each === field(row, 'kind'));
  if (verdict === null || kind === undefined) return undefined;
  const xid = codeOf(field(row, 'xid'));
  const sxid = codeOf(field(row, 'sxid'));
  const gpu = gpuIndexOf(field(row, 'gpu'));
  const [raw] = Array.isArray(field(row, 'raw')) ? (field(row, 'raw') as readonly unknown[]) : [];
  return {
    title: xid !== null ? titleOfCode('Xid', xid) : sxid !== null ? titleOfCode('SXid', sxid) : kind,
    kind,
    ...(xid === null ? {} : { xid }),
    ...(sxid === null ? {} : { sxid }),
    verdict,
    action: actionOf(field(row, 'action')) ?? 'none',
    ...(gpu === null ? {} : { gpu }),
    pciAddress: textOf(field(row, 'pciAddress'), 20),
    count: countOf(field(row, 'count')) ?? 1,
    firstAt: timeOf(field(row, 'firstAt')),
    lastAt: timeOf(field(row, 'lastAt')),
    trusted: field(row, 'trusted') !== false,
    isPrimary: field(row, 'standing') === 'primary',
    raw: textOf(raw, 200),
    joined,
  };
}

const codeOf = (value: unknown) => {
  const code = countOf(value);
  return code !== null && code <= 99_999 ? code : null;
};

function readXidErrors(
  content: StructuredContent,
  incidents: readonly NodeIncident[],
  detail: ClusterQuestion['detail'],
): FamilyReading {
  const log = fieldsOf(field(fieldsOf(field(content, 'coverage')), 'kernelLog'));
  const isRead = field(log, 'readable') === true && Array.isArray(field(content, 'incidents'));
  const total = countOf(field(content, 'total')) ?? incidents.length;
  const shown = incidents
    .slice(0, incidentsShown[detail])
    .map((incident) => presentIncident(incident, detail));
  return {
    gpuCount: null,
    verdicts: isRead ? [] : ['unknown'],
    findings: incidents.filter(({ trusted, isPrimary }) => trusted && isPrimary).map(findingOf),
    row: {
      ...(total > 0 ? { incidentCount: total } : {}),
      ...(shown.length > 0 ? { incidents: shown } : {}),
    },
  };
}

function findingOf({ title, kind, xid, sxid, verdict, action, gpu, count }: NodeIncident): NodeFinding {
  const code = xid === undefined ? (sxid === undefined ? kind : `sxid-${sxid}`) : `xid-${xid}`;
  return {
    ruleId: `log.${code}`,
    verdict,
    ...(gpu === undefined ? {} : { gpu }),
    what: `The kernel log has ${title} ${count === 1 ? 'once' : `${count} times`}.`,
    action,
  };
}

function presentIncident(incident: NodeIncident, detail: ClusterQuestion['detail']): StructuredContent {
  const { kind, xid, sxid, verdict, action, gpu, pciAddress, count, firstAt, lastAt, trusted, raw } =
    incident;
  const pods = incident.joined.slice(0, podsShown[detail]).map(presentJoined);
  return {
    ...(xid === undefined ? (sxid === undefined ? { kind } : { sxid }) : { xid }),
    verdict,
    action,
    ...(gpu === undefined ? { pciAddress } : { gpu }),
    count,
    lastAt,
    ...(trusted ? {} : { trusted }),
    ...(pods.length > 0 ? { pods } : {}),
    ...(detail === 'full' ? { firstAt, raw } : {}),
  };
}

interface IncidentGroup {
  readonly xid?: number;
  readonly sxid?: number;
  readonly kind: string;
  readonly title: string;
  readonly verdict: Verdict;
  readonly action: Action;
  readonly count: number;
  readonly nodeCount: number;
  readonly nodes: readonly string[];
  readonly firstAt: string | null;
  readonly lastAt: string | null;
  /** Whose processes the lines name, as far as they still run: those of the most incidents first. */
  readonly owners?: readonly OwnerName[];
  readonly ownerCount?: number;
  readonly trusted?: false;
}

/** By number or kind, and by whether it can be relied on: worst first, then on most nodes. */
function groupIncidents(all: readonly { readonly node: string; readonly incident: NodeIncident }[]) {
  const groups = new Map<string, { nodes: Set<string>; incidents: NodeIncident[] }>();
  for (const { node, incident } of all) {
    const { kind, xid, sxid, trusted } = incident;
    const key = JSON.stringify([kind, xid, sxid, trusted]);
    const group = groups.get(key) ?? { nodes: new Set(), incidents: [] };
    group.nodes.add(node);
    group.incidents.push(incident);
    groups.set(key, group);
  }
  return [...groups.values()]
    .flatMap(presentGroup)
    .sort(
      (a, b) =>
        Number(a.trusted === false) - Number(b.trusted === false) ||
        rankOf(a.verdict) - rankOf(b.verdict) ||
        actions.indexOf(b.action) - actions.indexOf(a.action) ||
        b.nodeCount - a.nodeCount ||
        byText(a.title, b.title),
    );
}

function presentGroup({
  nodes,
  incidents,
}: {
  readonly nodes: ReadonlySet<string>;
  readonly incidents: readonly NodeIncident[];
}): IncidentGroup[] {
  const [worst] = incidents.toSorted(
    (a, b) => rankOf(a.verdict) - rankOf(b.verdict) || actions.indexOf(b.action) - actions.indexOf(a.action),
  );
  if (!worst) return [];
  const { xid, sxid, kind, title, verdict, action, trusted } = worst;
  const times = incidents.flatMap(({ firstAt, lastAt }) => [firstAt ?? [], lastAt ?? []].flat());
  const ordered = times.toSorted((a, b) => Date.parse(a) - Date.parse(b));
  return [
    {
      ...(xid === undefined ? {} : { xid }),
      ...(sxid === undefined ? {} : { sxid }),
      kind,
      title,
      verdict,
      action,
      count: incidents.reduce((sum, { count }) => sum + count, 0),
      nodeCount: nodes.size,
      nodes: [...nodes].slice(0, maximumNames).map(shownName),
      firstAt: ordered[0] ?? null,
      lastAt: ordered.at(-1) ?? null,
      ...ownersOf(incidents),
      ...(trusted ? {} : { trusted: false as const }),
    },
  ];
}

function ownersOf(incidents: readonly NodeIncident[]): Pick<IncidentGroup, 'owners' | 'ownerCount'> {
  const counts = new Map<string, { readonly owner: OwnerName; count: number }>();
  for (const { joined } of incidents) {
    for (const owner of joined.flatMap((each) => ownerName(each) ?? [])) {
      const key = `${owner.namespace}/${owner.kind}/${owner.name}`;
      const entry = counts.get(key) ?? { owner, count: 0 };
      entry.count += 1;
      counts.set(key, entry);
    }
  }
  if (counts.size === 0) return {};
  const owners = [...counts]
    .sort(([a, { count }], [b, { count: other }]) => other - count || byText(a, b))
    .map(([, { owner }]) => owner);
  return { owners: owners.slice(0, maximumOwners), ownerCount: owners.length };
}
