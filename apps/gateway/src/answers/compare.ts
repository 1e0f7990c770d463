import { comparisonMetrics, type StructuredContent, type Verdict } from '@k8s-gpu-mcp/core';
import type { FanOutResult, NodeOutcome } from '../domain/node-outcome.ts';
import { listBytes, makeClusterAnswer } from './cluster-answer.ts';
import {
  compareFleet,
  type FleetComparison,
  type FleetGpu,
  type FleetOutlier,
  minimumPeers,
} from './cohort.ts';
import { allGpus, type JobShares, type NodeShare, presentJob, sayJob } from './compare-job.ts';
import {
  type FamilyReading,
  findingsOf,
  gpuRowsOf,
  maximumGpus,
  type NodeFinding,
  readNodes,
} from './node-report.ts';
import { shownName } from './node-rows.ts';
import type { ClusterQuestion } from './question.ts';
import {
  field,
  fieldsOf,
  fitting,
  flagOf,
  gpuIndexOf,
  numberOf,
  rowsOf,
  textOf,
  verdictOf,
} from './untrusted-content.ts';
import { plural } from './words.ts';

const metricNames: readonly string[] = comparisonMetrics.map(({ name }) => name);
const maximumSiblingOutliers = 40;

/** The same nodes, asked for both: who their GPUs are, and what was read of them. */
export interface ComparisonAnswers {
  /** Of `get_gpu_inventory` with detail `summary`. */
  readonly inventory: FanOutResult;
  /** Of `compare_gpus` with detail `full`, which has the values of every GPU. */
  readonly comparison: FanOutResult;
}

/**
 * Which GPU is unlike those of the same product and driver on any node. A node counts as answering when it answered both questions.
 *
 * @param job When only the GPUs of one job are compared with each other.
 */
export function presentComparison(
  question: ClusterQuestion,
  answers: ComparisonAnswers,
  job?: JobShares,
): StructuredContent {
  const { comparison, inventory } = answers;
  const identities = new Map(inventory.outcomes.map((outcome) => [outcome.node, outcome]));
  const outcomes = comparison.outcomes.map((outcome) => {
    const identity = identities.get(outcome.node);
    return outcome.status === 'ok' && identity && identity.status !== 'ok' ? identity : outcome;
  });
  const known = new Map(
    outcomes.map((outcome) => [
      outcome.node,
      gpusOf(outcome, identities.get(outcome.node), job?.shares.get(outcome.node)),
    ]),
  );
  const fleet = compareFleet([...known.values()].flatMap(({ gpus }) => gpus));
  const outliers = new Map<string, FleetOutlier[]>();
  for (const outlier of fleet.outliers) {
    outliers.set(outlier.node, [...(outliers.get(outlier.node) ?? []), outlier]);
  }
  const reports = readNodes(outcomes, (content, node) => {
    const { gpus, ...own } = known.get(node) ?? nothingKnown;
    const comparedCount = gpus.filter((gpu) => fleet.compared.has(gpu)).length;
    return readComparison(content, { ...own, comparedCount, outliers: outliers.get(node) ?? [] });
  });
  const gpuCount = reports.reduce((sum, report) => sum + (report.gpuCount ?? 0), 0);
  const lostCount = [...known.values()].reduce((sum, each) => sum + each.lostCount, 0);
  return makeClusterAnswer(question, comparison, reports, {
    words: [...(job ? [sayJob(job)] : []), summarise(gpuCount, lostCount, fleet)].join(' '),
    payload: { ...(job ? { job: presentJob(job) } : {}), ...payloadOf(question, gpuCount, fleet) },
    gaps: job?.gaps ?? [],
    moreTool: 'compare_gpus',
  });
}

/** The GPUs of a node that can be compared, and how many it has. */
interface KnownGpus {
  readonly gpus: readonly FleetGpu[];
  readonly gpuCount: number | null;
  /** Which of them are meant; null for all. */
  readonly only: ReadonlySet<number> | null;
  /** Of those that are meant, where not all are. */
  readonly states: readonly Verdict[];
  /** Off the bus, so that nothing of them can be compared. */
  readonly lostCount: number;
}

const nothingKnown: KnownGpus = { gpus: [], gpuCount: null, only: null, states: [], lostCount: 0 };

function gpusOf(
  comparison: NodeOutcome,
  inventory: NodeOutcome | undefined,
  { gpus: only }: NodeShare = allGpus,
): KnownGpus {
  if (comparison.status !== 'ok' || inventory?.status !== 'ok') return nothingKnown;
  const { node } = comparison;
  const identity = fieldsOf(inventory.content);
  const driverVersion = textOf(field(identity, 'driverVersion'), 40);
  const listed = gpuRowsOf(identity);
  const isMeant = (row: StructuredContent) =>
    only === null || only.has(gpuIndexOf(field(row, 'index')) ?? -1);
  const rows = listed === null ? null : listed.filter(isMeant);
  const values = new Map(
    rowsOf(field(fieldsOf(comparison.content), 'values'), maximumGpus).map((row) => [
      gpuIndexOf(field(row, 'index')),
      row,
    ]),
  );
  const seen = new Set<number>();
  const gpus = (rows ?? []).flatMap((row): FleetGpu[] => {
    const index = gpuIndexOf(field(row, 'index'));
    const product = textOf(field(row, 'name'), 80);
    const read = values.get(index);
    const isUsable = field(row, 'state') === 'ok' && read !== undefined;
    if (index === null || product === null || driverVersion === null || !isUsable || seen.has(index))
      return [];
    seen.add(index);
    const told = metricNames.flatMap((name) => {
      const value = numberOf(field(read, name));
      return value === null ? [] : [[name, value] as const];
    });
    const migEnabled = flagOf(field(row, 'migEnabled')) === true;
    const utilizationPercent = numberOf(field(read, 'utilizationPercent'));
    return [{ node, index, product, driverVersion, migEnabled, utilizationPercent, values: new Map(told) }];
  });
  const states = only === null ? [] : (rows ?? []).map(stateOf);
  const lostCount = (rows ?? []).filter((row) => field(row, 'state') === 'lost').length;
  return { gpus, gpuCount: rows === null ? null : rows.length, only, states, lostCount };
}

function stateOf(row: StructuredContent): Verdict {
  const state = field(row, 'state');
  if (state === 'ok') return 'ok';
  return typeof state !== 'string' || state === 'unreadable' ? 'unknown' : 'critical';
}

interface NodeComparison extends Omit<KnownGpus, 'gpus' | 'lostCount'> {
  readonly comparedCount: number;
  readonly outliers: readonly FleetOutlier[];
}

function readComparison(
  content: StructuredContent,
  { gpuCount, only, states, comparedCount, outliers }: NodeComparison,
): FamilyReading {
  // What the agent makes of all its GPUs says nothing of some of them.
  const told = only === null ? verdictOf(field(content, 'verdict')) : null;
  const siblings = only === null ? siblingOutliersOf(content) : [];
  const isMeant = ({ gpu }: NodeFinding) => only === null || (gpu !== undefined && only.has(gpu));
  const isWhole = gpuCount !== null && gpuCount > 0 && comparedCount === gpuCount;
  return {
    gpuCount,
    // Too few siblings on a node is what the cluster makes up for; a GPU that is down is not.
    told: told === 'critical' || told === 'warning' ? told : 'ok',
    verdicts: isWhole ? states : [...states, 'unknown'],
    findings: [...findingsOf(content).filter(isMeant), ...outliers.map(findingOf), ...siblings],
    row: {
      ...(only === null ? {} : { gpus: [...only].sort((a, b) => a - b).slice(0, maximumGpus) }),
      ...(comparedCount === gpuCount ? {} : { comparedCount }),
    },
  };
}

function findingOf({ gpus, metric, value, median, peerCount }: FleetOutlier): NodeFinding {
  const [gpu] = gpus;
  return {
    ruleId: 'compare.fleet-outlier',
    verdict: 'warning',
    ...(gpu === undefined ? {} : { gpu }),
    what: `GPU ${gpus.slice(0, 8).join(', ')}: ${metric} ${value}, median ${median} of ${peerCount} GPUs.`,
    action: 'monitor',
  };
}

/** Siblings on one node often run one job, so that they are told apart where the cluster is too mixed. */
function siblingOutliersOf(content: StructuredContent): readonly NodeFinding[] {
  return rowsOf(field(content, 'outliers'), maximumSiblingOutliers).flatMap((row): NodeFinding[] => {
    const gpu = gpuIndexOf(field(row, 'gpu'));
    const metric = metricNames.find((name) => name === field(row, 'metric'));
    const value = numberOf(field(row, 'value'));
    const median = numberOf(field(row, 'median'));
    if (gpu === null || metric === undefined || value === null || median === null) return [];
    const what = `GPU ${gpu}: ${metric} ${value}, median ${median} of its siblings on the node.`;
    return [{ ruleId: 'compare.sibling-outlier', verdict: 'warning', gpu, what, action: 'monitor' }];
  });
}

function summarise(
  gpuCount: number,
  lostCount: number,
  { compared, outliers, tooSmall }: FleetComparison,
): string {
  const parts = [
    `${compared.size} of ${plural(gpuCount, 'GPU')} compared with those of the same product and driver.`,
  ];
  if (compared.size > 0) {
    const count = outliers.reduce((sum, { gpus }) => sum + gpus.length, 0);
    const nodeCount = new Set(outliers.map(({ node }) => node)).size;
    parts.push(
      count === 0
        ? 'None of the compared is unlike its cohort.'
        : `${plural(count, 'reading')} on ${plural(nodeCount, 'node')} unlike the cohort.`,
    );
  }
  if (tooSmall.length > 0) {
    const few = tooSmall.reduce((sum, each) => sum + each.gpuCount, 0);
    parts.push(`${plural(few, 'GPU')} in cohorts of fewer than ${minimumPeers} not compared.`);
  }
  if (lostCount > 0) {
    parts.push(`${plural(lostCount, 'GPU')} not compared because lost.`);
  }
  return parts.join(' ');
}

function payloadOf({ detail }: ClusterQuestion, gpuCount: number, fleet: FleetComparison): StructuredContent {
  const { cohorts, outliers, tooSmall, compared } = fleet;
  const bytes = listBytes[detail];
  const shown = cohorts.map(({ medians, ...cohort }) =>
    detail === 'full' ? { ...cohort, medians } : cohort,
  );
  return {
    gpuCount,
    comparedCount: compared.size,
    cohorts: fitting(shown, bytes / 2),
    ...(cohorts.length > 0 ? { cohortCount: cohorts.length } : {}),
    outliers: fitting(
      outliers.map((outlier) => ({ ...outlier, node: shownName(outlier.node) })),
      bytes,
    ),
    ...(outliers.length > 0 ? { outlierCount: outliers.length } : {}),
    notCompared: fitting(tooSmall, bytes / 3),
    ...(tooSmall.length > 0 ? { notComparedCount: tooSmall.length } : {}),
  };
}
