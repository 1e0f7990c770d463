import type { StructuredContent, Verdict } from '@k8s-gpu-mcp/core';
import type { FanOutResult } from '../domain/node-outcome.ts';
import { listBytes, makeClusterAnswer } from './cluster-answer.ts';
import { type FamilyReading, gpuCountOf, gpuRowsOf, readNodes } from './node-report.ts';
import { shownName } from './node-rows.ts';
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
}

/** Who holds the GPUs of all nodes, from answers of `get_gpu_processes`. */
export function presentProcesses(question: ClusterQuestion, result: FanOutResult): StructuredContent {
  const told = new Map<
    StructuredContent,
    { holders: readonly NodeHolder[]; total: number | null; heldGpuCount: number }
  >();
  const reports = readNodes(result.outcomes, (content) => {
    const holders = rowsOf(field(content, 'processes'), maximumProcesses).flatMap(
      (row) => holderOf(row) ?? [],
    );
    const reading = readProcesses(content, holders, question.detail);
    const total = countOf(field(content, 'total'));
    told.set(reading.row, { holders, total, heldGpuCount: reading.heldGpuCount });
    return reading;
  });
  const known = reports.flatMap(({ node, row }) => {
    const each = told.get(row);
    return each ? [{ node, ...each }] : [];
  });
  const holders = known
    .flatMap(({ node, holders: own }) => own.map((holder) => ({ node, holder })))
    .sort(
      (a, b) =>
        (b.holder.memoryUsedBytes ?? 0) - (a.holder.memoryUsedBytes ?? 0) ||
        byText(a.node, b.node) ||
        a.holder.pid - b.holder.pid,
    );
  const processCount = known.reduce(
    (sum, { total, holders: own }) => sum + Math.min(total ?? own.length, 100_000),
    0,
  );
  const heldGpuCount = known.reduce((sum, each) => sum + each.heldGpuCount, 0);
  const gpuCount = reports.reduce((sum, report) => sum + (report.gpuCount ?? 0), 0);
  const nobodys = reports.flatMap(({ node, findings }) =>
    findings
      .filter(({ ruleId }) => nobodysRules.has(ruleId))
      .map((finding) => ({ node: shownName(node), ...finding })),
  );
  const nobodysNodeCount = new Set(nobodys.map(({ node }) => node)).size;
  return makeClusterAnswer(question, result, reports, {
    words: [
      `${plural(processCount, 'process', 'processes')} on ${heldGpuCount} of ${plural(gpuCount, 'GPU')}.`,
      ...(nobodys.length > 0
        ? [`On ${plural(nobodysNodeCount, 'node')} GPUs are held by what nobody owns.`]
        : []),
    ].join(' '),
    payload: {
      gpuCount,
      heldGpuCount,
      processCount,
      outsidePodsCount: holders.filter(({ holder }) => holder.isOutsidePods === true).length,
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
    moreTool: 'get_gpu_processes',
  });
}

function holderOf(row: StructuredContent): NodeHolder | undefined {
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
}: NodeHolder): StructuredContent {
  return {
    pid,
    name,
    user,
    ...(podUid === null ? {} : { podUid }),
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
