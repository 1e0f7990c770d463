import {
  type GapReason,
  gapReasons,
  quarantine,
  type StructuredContent,
  verdicts,
  worstVerdict,
} from '@k8s-gpu-mcp/core';
import { type FanOutResult, type NodeStatus, nodeStatuses } from '../domain/node-outcome.ts';
import { agentVersionsOf } from './agent-versions.ts';
import type { ClusterPart } from './cluster-part.ts';
import { type FindingGroup, groupFindings, groupOf, rankOf } from './finding-groups.ts';
import { leadsOf, nextSteps } from './next-steps.ts';
import type { NodeReport } from './node-report.ts';
import { presentNode, shownName } from './node-rows.ts';
import { type ClusterQuestion, cursorAt, pageRequestOf } from './question.ts';
import { byText, fitting, sizeOf } from './untrusted-content.ts';
import { plural, sayNode, titleOfRule } from './words.ts';

/** In bytes of compact JSON; a token is counted as four. */
const budgets = {
  /** 2,500 tokens. */
  summary: 10_000,
  /** 800 tokens, when no node has anything to tell. */
  healthy: 3_200,
  /** 10,000 tokens a page. */
  full: 40_000,
} as const;
/** Of lists beside the one of nodes. */
export const listBytes = { summary: 1_800, full: 12_000 } as const;
const gapBytes = { summary: 1_000, full: 6_000 } as const;
const maximumNames = 4;

/**
 * The answer of a cluster: counts and what is worst first, then a page of nodes. The same facts make the same bytes, in whatever order
 * they arrived.
 *
 * @throws GpuError INVALID_INPUT for a cursor or limit that is not of this question.
 */
export function makeClusterAnswer(
  question: ClusterQuestion,
  result: Pick<FanOutResult, 'staleSince' | 'directoryProblem'>,
  reports: readonly NodeReport[],
  part: ClusterPart,
): StructuredContent {
  const { detail } = question;
  const { offset, limit } = pageRequestOf(question);
  const groups = groupFindings(reports);
  const verdict = worstVerdict(reports.map((report) => report.verdict));
  const head = {
    apiVersion: 'v1',
    scope: 'cluster',
    observedAt: question.observedAt,
    verdict,
    summary: summarise(reports, groups, result, part.words),
    nodeCount: reports.length,
    statusCounts: countBy(
      nodeStatuses,
      reports.map(({ status }) => status),
    ),
    directory: directoryOf(question, result),
    verdictCounts: countBy(
      verdicts,
      reports.map((report) => report.verdict),
    ),
    ...part.payload,
    findings: fitting(groups, listBytes[detail] + 400),
    ...(groups.length > 0 ? { findingGroupCount: groups.length } : {}),
    ...agentVersionsOf(reports, detail),
    gaps: fitting([...ownGaps(part), ...gapsOf(reports, result, detail)], gapBytes[detail]),
    coverage: coverageOf(reports),
    nextSteps: nextSteps(reports, groups, part, question.directoryKind),
  };
  const isHealthy = verdict === 'ok' && question.limit === undefined;
  const budget = detail === 'full' ? budgets.full : isHealthy ? budgets.healthy : budgets.summary;
  const page = pageOf(reports, offset, limit, detail, budget - sizeOf(head) - 120);
  const end = offset + page.length;
  const truncated = end < reports.length;
  return {
    ...head,
    nodes: page,
    total: reports.length,
    truncated,
    ...(truncated ? { nextCursor: cursorAt(end, question) } : {}),
  };
}

/** Worst first, then by name. At least one, so that paging comes to an end. */
function pageOf(
  reports: readonly NodeReport[],
  offset: number,
  limit: number,
  detail: ClusterQuestion['detail'],
  bytes: number,
): readonly StructuredContent[] {
  const rows = [...reports]
    .sort((a, b) => rankOf(a.verdict) - rankOf(b.verdict) || byText(a.node, b.node))
    .slice(offset, offset + limit)
    .map((report) => presentNode(report, detail));
  const page = fitting(rows, bytes);
  return page.length > 0 ? page : rows.slice(0, 1);
}

function countBy<Key extends string>(keys: readonly Key[], values: readonly Key[]): Record<Key, number> {
  const counts = Object.fromEntries(keys.map((key) => [key, 0])) as Record<Key, number>;
  for (const value of values) counts[value] += 1;
  return counts;
}

function directoryOf(
  { directoryKind }: ClusterQuestion,
  { staleSince, directoryProblem }: Pick<FanOutResult, 'staleSince' | 'directoryProblem'>,
) {
  const problem = directoryProblem === null ? null : quarantine(directoryProblem, 200);
  return { kind: directoryKind, staleSince, problem };
}

function summarise(
  reports: readonly NodeReport[],
  groups: readonly FindingGroup[],
  { staleSince }: Pick<FanOutResult, 'staleSince'>,
  words: string | undefined,
): string {
  const old = staleSince === null ? '' : ` The list of nodes may be out of date, since ${staleSince}.`;
  if (reports.length === 0) return `No GPU nodes are known here, so nothing was asked.${old}`;
  const counts = countBy(
    verdicts,
    reports.map(({ verdict }) => verdict),
  );
  const told = verdicts
    .filter((verdict) => counts[verdict] > 0)
    .map((verdict) => `${counts[verdict]} ${verdict}`);
  const worst = worstOf(reports, groups);
  const parts = [
    `${plural(reports.length, 'node')}: ${told.join(', ')}.`,
    ...(words === undefined ? [] : [words]),
    ...(worst && worst.verdict !== 'ok' ? [`Worst: ${sayGroup(worst)}.`] : []),
    ...sayFailures(reports),
  ];
  return `${parts.join(' ')}${old}`;
}

/** What the first step is for, told of the same node; of nodes without a lead the most urgent finding. */
function worstOf(reports: readonly NodeReport[], groups: readonly FindingGroup[]): FindingGroup | undefined {
  const [lead] = leadsOf(reports);
  const group = lead && groupOf(groups, lead.finding);
  return group ? { ...lead.finding, node: lead.node, nodeCount: group.nodeCount } : groups[0];
}

/** `GPU lost on gpu-07, GPU 3, and on 36 more nodes`. */
export function sayGroup({ ruleId, node, gpu, nodeCount }: FindingGroup): string {
  const where = gpu === undefined ? sayNode(node) : `${sayNode(node)}, GPU ${gpu}`;
  const more = nodeCount > 1 ? `, and on ${plural(nodeCount - 1, 'more node', 'more nodes')}` : '';
  return `${titleOfRule(ruleId)} on ${where}${more}`;
}

function sayFailures(reports: readonly NodeReport[]): readonly string[] {
  const failed = reports.filter(({ status }) => status !== 'ok');
  if (failed.length === 0) return [];
  const counts = countBy(
    nodeStatuses,
    failed.map(({ status }) => status),
  );
  const list = nodeStatuses
    .filter((status) => counts[status] > 0)
    .map((status) => `${counts[status]} ${status}`);
  return [`${failed.length} of ${plural(reports.length, 'node')} did not answer (${list.join(', ')}).`];
}

const reasonOfStatus: Readonly<Record<Exclude<NodeStatus, 'ok'>, GapReason>> = {
  error: 'error',
  timeout: 'timeout',
  'circuit-open': 'error',
  'not-ready': 'not-observable',
  stale: 'not-observable',
};

interface ClusterGap {
  readonly field: string;
  readonly reason: GapReason;
  readonly detail: string;
  readonly nodeCount?: number;
  readonly nodes?: readonly string[];
}

const ownGaps = ({ gaps = [] }: ClusterPart): readonly ClusterGap[] =>
  gaps.map(({ field, reason, detail }) => ({ field, reason, detail: quarantine(detail, 200) }));

/** What is not known, and of how many nodes: the directory, nodes, answers, then readings. */
function gapsOf(
  reports: readonly NodeReport[],
  { staleSince, directoryProblem }: Pick<FanOutResult, 'staleSince' | 'directoryProblem'>,
  detail: ClusterQuestion['detail'],
): readonly ClusterGap[] {
  const gaps: ClusterGap[] = [];
  if (staleSince !== null || directoryProblem !== null) {
    const since = staleSince === null ? 'see directory.problem' : `out of date since ${staleSince}`;
    gaps.push({ field: 'directory', reason: 'not-observable', detail: since });
  }
  const groups = new Map<string, { gap: ClusterGap; nodes: Set<string> }>();
  const add = (node: string, field: string, reason: GapReason, words: string) => {
    const key = JSON.stringify([field, reason, words]);
    const group = groups.get(key);
    if (group) group.nodes.add(node);
    else groups.set(key, { gap: { field, reason, detail: words }, nodes: new Set([node]) });
  };
  for (const { node, status, isIncompatible } of reports) {
    if (isIncompatible) add(node, 'node', 'unsupported', 'incompatible: another version, or no agent');
    else if (status !== 'ok') add(node, 'node', reasonOfStatus[status], status);
  }
  for (const { node, gaps: own } of reports) {
    for (const gap of own) {
      const reason = gapReasons.find((each) => each === gap.reason);
      // What a product does not have is no news in a summary.
      const isTold = detail === 'full' || reason !== 'unsupported';
      if (reason && isTold) add(node, gap.field, reason, 'see the node');
    }
  }
  const counted = [...groups.values()].map(({ gap, nodes }) => ({
    ...gap,
    nodeCount: nodes.size,
    nodes: [...nodes].slice(0, maximumNames).map(shownName),
  }));
  const isOfNode = ({ field }: ClusterGap) => field === 'node';
  counted.sort((a, b) => b.nodeCount - a.nodeCount || byText(a.field, b.field) || byText(a.reason, b.reason));
  return [...gaps, ...counted.filter(isOfNode), ...counted.filter((gap) => !isOfNode(gap))];
}

/** From how many nodes what could be read; those that do not say are in neither count. */
function coverageOf(reports: readonly NodeReport[]): StructuredContent {
  const count = (isCounted: (report: NodeReport) => boolean) => reports.filter(isCounted).length;
  const simulated = count(({ isSimulated }) => isSimulated);
  const tellsLog = count(({ canReadKernelLog }) => canReadKernelLog !== null);
  return {
    gpuBackend: {
      readableNodeCount: count(({ canReadGpus }) => canReadGpus === true),
      unreadableNodeCount: count(({ canReadGpus }) => canReadGpus === false),
      ...(simulated > 0 ? { simulatedNodeCount: simulated } : {}),
    },
    ...(tellsLog > 0
      ? {
          kernelLog: {
            readableNodeCount: count(({ canReadKernelLog }) => canReadKernelLog === true),
            unreadableNodeCount: count(({ canReadKernelLog }) => canReadKernelLog === false),
          },
        }
      : {}),
  };
}
