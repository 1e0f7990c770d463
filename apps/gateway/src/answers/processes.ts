import type { StructuredContent, Verdict } from '@k8s-gpu-mcp/core';
import type { FanOutResult } from '../domain/node-outcome.ts';
import type { JoinedPod, KnownPods } from '../domain/pod-join.ts';
import { listBytes, makeClusterAnswer } from './cluster-answer.ts';
import { type FamilyReading, gpuCountOf, gpuRowsOf, readNodes } from './node-report.ts';
import { shownName } from './node-rows.ts';
import { gpuOwners, placeOf, presentJoined, sayOwners } from './processes-pods.ts';
import type { ClusterQuestion } from './question.ts';
import {
  byText,
  countOf,
  field,
  fieldsOf,
  fitting,
  gpuIndexOf,
  identifierOf,
  numberOf,
  rowsOf,
  textOf,
} from './untrusted-content.ts';
import { plural } from './words.ts';

const maximumProcesses = 200;
const maximumShares = 64;
const holdersShown = { summary: 1, full: 20 } as const;

/** Rules for memory or processes that belong to nobody. */
const nobodysRules: ReadonlySet<string> = new Set([
  'processes.memory-held-by-nobody',
  'processes.holder-gone',
  'processes.zombie-holder',
]);

interface NodeHolder {
  readonly pid: number;
  readonly name: string | null;
  readonly user: string | null;
  readonly podUid: string | null;
  readonly slurmJobId: string | null;
  readonly gpus: readonly number[];
  /** Null when one of its shares is not told. */
  readonly memoryUsedBytes: number | null;
  /** Null when the operating system does not show the process, so that its container cannot be known. */
  readonly isOutsidePods: boolean | null;
  /** Undefined where the pods are not known; null when the agent does not see the process. */
  readonly joined: JoinedPod | null | undefined;
}

/**
 * Who holds the GPUs of all nodes, from answers of `get_gpu_processes`.
 *
 * @param known The pods of these nodes; absent where there is no API server to ask.
 */
export function presentProcesses(
  question: ClusterQuestion,
  result: FanOutResult,
  known: KnownPods | null = null,
): StructuredContent {
  const join = known?.join ?? null;
  const told = new Map<
    StructuredContent,
    { holders: readonly NodeHolder[]; total: number | null; heldGpuCount: number }
  >();
  const reports = readNodes(result.outcomes, (content, node) => {
    const joinedOf = (row: StructuredContent) => {
      if (join === null) return undefined;
      const place = placeOf(row);
      return place && join(node, place);
    };
    const holders = rowsOf(field(content, 'processes'), maximumProcesses).flatMap(
      (row) => holderOf(row, joinedOf) ?? [],
    );
    const reading = readProcesses(content, holders, question.detail);
    const total = countOf(field(content, 'total'));
    told.set(reading.row, { holders, total, heldGpuCount: reading.heldGpuCount });
    return reading;
  });
  const heard = reports.flatMap(({ node, row }) => {
    const each = told.get(row);
    return each ? [{ node, ...each }] : [];
  });
  const holders = heard
    .flatMap(({ node, holders: own }) => own.map((holder) => ({ node, holder })))
    .sort(
      (a, b) =>
        (b.holder.memoryUsedBytes ?? 0) - (a.holder.memoryUsedBytes ?? 0) ||
        byText(a.node, b.node) ||
        a.holder.pid - b.holder.pid,
    );
  const processCount = heard.reduce(
    (sum, { total, holders: own }) => sum + Math.min(total ?? own.length, 100_000),
    0,
  );
  const heldGpuCount = heard.reduce((sum, each) => sum + each.heldGpuCount, 0);
  const gpuCount = reports.reduce((sum, report) => sum + (report.gpuCount ?? 0), 0);
  const nobodys = reports.flatMap(({ node, findings }) =>
    findings
      .filter(({ ruleId }) => nobodysRules.has(ruleId))
      .map((finding) => ({ node: shownName(node), ...finding })),
  );
  const owners = gpuOwners(
    holders.map(({ node, holder }) => ({ ...holder, node, joined: holder.joined ?? null })),
  );
  const notJoinedCount = Math.max(0, processCount - holders.length);
  const nobodysNodeCount = new Set(nobodys.map(({ node }) => node)).size;
  return makeClusterAnswer(question, result, reports, {
    words: [
      `${plural(processCount, 'process', 'processes')} on ${heldGpuCount} of ${plural(gpuCount, 'GPU')}.`,
      ...sayOwners(owners),
      ...(nobodys.length > 0
        ? [`On ${plural(nobodysNodeCount, 'node')} GPUs are held by what nobody owns.`]
        : []),
    ].join(' '),
    payload: {
      gpuCount,
      heldGpuCount,
      processCount,
      outsidePodsCount: holders.filter(({ holder }) => holder.isOutsidePods === true).length,
      ...(join === null
        ? {}
        : {
            owners: fitting(
              owners.slice(0, question.detail === 'full' ? 50 : 5),
              listBytes[question.detail] / 3,
            ),
            ownerCount: owners.length,
            // Agents list so many processes and no more.
            ...(notJoinedCount > 0 ? { notJoinedCount } : {}),
          }),
      holders: fitting(
        holders
          .slice(0, question.detail === 'full' ? 50 : 5)
          .map(({ node, holder }) => ({ node: shownName(node), ...presentHolder(holder) })),
        listBytes[question.detail] / 2,
      ),
      heldByNobody: fitting(
        nobodys.map(({ node, ruleId, gpu, action }) => ({
          node,
          ...(gpu === undefined ? {} : { gpu }),
          ruleId,
          action,
        })),
        listBytes[question.detail] / 2,
      ),
      heldByNobodyCount: nobodys.length,
    },
    gaps: known?.gaps ?? [],
    moreTool: 'get_gpu_processes',
  });
}

function holderOf(
  row: StructuredContent,
  joinedOf: (row: StructuredContent) => NodeHolder['joined'],
): NodeHolder | undefined {
  const pid = countOf(field(row, 'pid'));
  if (pid === null) return undefined;
  const shares = rowsOf(field(row, 'gpus'), maximumShares);
  const bytes = shares.map((share) => numberOf(field(share, 'memoryUsedBytes')));
  const name = textOf(field(row, 'name'), 32);
  const podUid = textOf(field(row, 'podUid'), 64);
  const slurmJobId = textOf(field(row, 'slurmJobId'), 32);
  const isContained = Object.keys(fieldsOf(field(row, 'container'))).length > 0;
  const gpus = new Set(shares.flatMap((share) => gpuIndexOf(field(share, 'index')) ?? []));
  return {
    pid,
    name,
    user: textOf(field(row, 'user'), 32),
    podUid,
    slurmJobId,
    gpus: [...gpus].sort((a, b) => a - b),
    memoryUsedBytes:
      bytes.length === 0 || bytes.includes(null)
        ? null
        : bytes.reduce<number>((sum, each) => sum + (each ?? 0), 0),
    isOutsidePods: name === null ? null : podUid === null && slurmJobId === null && !isContained,
    joined: joinedOf(row),
  };
}

function presentHolder({
  pid,
  name,
  user,
  podUid,
  slurmJobId,
  gpus,
  memoryUsedBytes,
  isOutsidePods,
  joined,
}: NodeHolder): StructuredContent {
  return {
    pid,
    name,
    user,
    // The name says it better.
    ...(podUid === null || joined?.pod ? {} : { podUid }),
    ...(joined === undefined ? {} : presentJoined(joined)),
    ...(slurmJobId === null ? {} : { slurmJobId }),
    ...(isOutsidePods === true ? { isOutsidePods } : {}),
    gpus,
    memoryUsedBytes,
  };
}

function readProcesses(
  content: StructuredContent,
  holders: readonly NodeHolder[],
  detail: ClusterQuestion['detail'],
): FamilyReading & { readonly heldGpuCount: number } {
  const rows = gpuRowsOf(content) ?? [];
  const gpuCount = gpuCountOf(content);
  const states = rows.map((row): Verdict => {
    const state = identifierOf(field(row, 'state'));
    if (state === 'ok') return countOf(field(row, 'processCount')) === null ? 'unknown' : 'ok';
    return state === null || state === 'unreadable' ? 'unknown' : 'critical';
  });
  const isWhole =
    gpuCount !== null &&
    gpuCount > 0 &&
    rows.length === gpuCount &&
    Array.isArray(field(content, 'processes'));
  const heldGpuCount = rows.filter((row) => (countOf(field(row, 'processCount')) ?? 0) > 0).length;
  const processCount = countOf(field(content, 'total'));
  const shown = holders.slice(0, holdersShown[detail]).map(presentHolder);
  return {
    gpuCount,
    heldGpuCount,
    verdicts: isWhole ? states : [...states, 'unknown'],
    row: {
      heldGpuCount,
      ...(processCount === null ? {} : { processCount }),
      ...(shown.length > 0 ? { holders: shown } : {}),
    },
  };
}
