import { type Action, actions, verdicts } from '@k8s-gpu-mcp/core';
import { type NodeStatus, nodeStatuses } from '../domain/node-outcome.ts';
import type { ClusterPart } from './cluster-part.ts';
import type { FindingGroup } from './finding-groups.ts';
import type { NodeReport } from './node-report.ts';
import { isNodeName, plural, sayNode, titleOfRule } from './words.ts';

export interface ClusterStep {
  readonly action: Action;
  /** Absent when its name is not one that Kubernetes allows: then the list of nodes has it. */
  readonly node?: string;
  readonly reason: string;
  readonly tool: string;
  readonly arguments?: { readonly node: string };
}

const failures = nodeStatuses.filter((status): status is Exclude<NodeStatus, 'ok'> => status !== 'ok');

/** The one thing to do first; then the nodes that did not answer, which may hide something worse. */
export function nextSteps(
  reports: readonly NodeReport[],
  groups: readonly FindingGroup[],
  { moreTool, step: another }: ClusterPart,
  directoryKind: string,
): readonly ClusterStep[] {
  const steps: ClusterStep[] = [];
  const lead = leadOf(reports);
  if (lead) {
    const { node, finding } = lead;
    const { ruleId, gpu, action, verdict } = finding;
    const alike = groups.find(
      (group) => group.ruleId === ruleId && group.verdict === verdict && group.action === action,
    );
    const others = (alike?.nodeCount ?? 1) - 1;
    const more = others > 0 ? ` The same on ${plural(others, 'more node', 'more nodes')}.` : '';
    const where = gpu === undefined ? sayNode(node) : `${sayNode(node)}, GPU ${gpu}`;
    steps.push(stepAt(node, action, `${where}: ${titleOfRule(ruleId)}.${more}`, moreTool));
  } else if (another) steps.push(stepAt(another.node, 'none', another.reason, another.tool));
  // A GPU that is lost has no finding in every tool; the node's health has.
  const rank = ({ verdict }: NodeReport) => verdicts.indexOf(verdict);
  const [untold] = reports
    .filter(({ status, verdict, lead: own }) => status === 'ok' && verdict !== 'ok' && !own)
    .toSorted((a, b) => rank(a) - rank(b));
  if (untold && steps.length === 0) {
    const why = untold.verdict === 'unknown' ? 'not all of it could be read' : `it is ${untold.verdict}`;
    steps.push(
      stepAt(untold.node, 'none', `${sayNode(untold.node)} answered, but ${why}: see why.`, 'get_gpu_health'),
    );
  }
  const failed = reports.filter(({ status }) => status !== 'ok');
  const [first] = failed;
  if (first) {
    const how = failed.map(({ status, isIncompatible }) => (isIncompatible ? 'incompatible' : status));
    const list = [...failures, 'incompatible' as const].flatMap((each) => {
      const count = how.filter((one) => one === each).length;
      return count > 0 ? [`${count} ${each}`] : [];
    });
    const todo = first.isIncompatible ? 'upgrade as its reason says' : 'see what is wrong there';
    const reason = `${plural(failed.length, 'node')} did not answer (${list.join(', ')}): ${todo}, ${sayNode(first.node)} first.`;
    // Of a node without an agent only the API server can tell.
    const hasNoAgent = first.status === 'not-ready' && directoryKind === 'kubernetes';
    steps.push(stepAt(first.node, 'none', reason, hasNoAgent ? 'describe_gpu_node' : 'get_gpu_health'));
  }
  return steps;
}

/** Of the nodes of the worst verdict what the one asks for that asks for most; among equals the first by name. */
function leadOf(reports: readonly NodeReport[]) {
  const leads = reports.flatMap(({ node, lead: finding, verdict }) =>
    finding
      ? [{ node, finding, rank: verdicts.indexOf(verdict), drastic: actions.indexOf(finding.action) }]
      : [],
  );
  return leads.toSorted((a, b) => a.rank - b.rank || b.drastic - a.drastic)[0];
}

function stepAt(node: string, action: Action, reason: string, tool: string): ClusterStep {
  return isNodeName(node) ? { action, node, reason, tool, arguments: { node } } : { action, reason, tool };
}
