import { type Action, actions } from '@k8s-gpu-mcp/core';
import { type NodeStatus, nodeStatuses } from '../domain/node-outcome.ts';
import type { ClusterPart } from './cluster-part.ts';
import { type FindingGroup, groupOf, rankOf } from './finding-groups.ts';
import type { NodeFinding, NodeReport } from './node-report.ts';
import { isGone } from './rule-kinds.ts';
import { byText, field, numberOf } from './untrusted-content.ts';
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

const maximumLeads = 3;

/**
 * The one thing to do first; what other critical nodes ask for, where that is something else; then the nodes that did not answer, which
 * may hide something worse.
 */
export function nextSteps(
  reports: readonly NodeReport[],
  groups: readonly FindingGroup[],
  { moreTool, step: another }: ClusterPart,
  directoryKind: string,
): readonly ClusterStep[] {
  const steps: ClusterStep[] = [];
  const leads = leadsOf(reports);
  for (const { node, finding } of stepsOf(leads)) {
    const { ruleId, gpu, action } = finding;
    const others = (groupOf(groups, finding)?.nodeCount ?? 1) - 1;
    const more = others > 0 ? ` The same on ${plural(others, 'more node', 'more nodes')}.` : '';
    const where = gpu === undefined ? sayNode(node) : `${sayNode(node)}, GPU ${gpu}`;
    steps.push(stepAt(node, action, `${where}: ${titleOfRule(ruleId)}.${more}`, moreTool));
  }
  if (steps.length === 0 && another) steps.push(stepAt(another.node, 'none', another.reason, another.tool));
  // A GPU that is lost has no finding in every tool; the node's health has.
  const [untold] = reports
    .filter(({ status, verdict, lead: own }) => status === 'ok' && verdict !== 'ok' && !own)
    .toSorted((a, b) => rankOf(a.verdict) - rankOf(b.verdict));
  const [lead] = leads;
  const isWorse = untold && lead && rankOf(untold.verdict) < rankOf(lead.verdict);
  if (untold && (steps.length === 0 || isWorse)) {
    const why = untold.verdict === 'unknown' ? 'not all of it could be read' : `it is ${untold.verdict}`;
    steps.unshift(
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
    // Its agent would fail again; the API server tells of the node and of the agent's pod.
    const isDescribed = !first.isIncompatible && directoryKind === 'kubernetes';
    steps.push(stepAt(first.node, 'none', reason, isDescribed ? 'describe_gpu_node' : 'get_gpu_health'));
  }
  return steps;
}

interface NodeLead {
  readonly node: string;
  readonly finding: NodeFinding;
  readonly verdict: NodeReport['verdict'];
}

/**
 * What each node's one action is for, the most urgent node first: of the worst verdict, with a GPU that is gone, of the lowest score, asking
 * for most, then by name. How many GPUs or nodes one action would stop must not alone decide.
 */
export function leadsOf(reports: readonly NodeReport[]): readonly NodeLead[] {
  return reports
    .flatMap(({ node, lead: finding, verdict, findings, row }) => {
      if (!finding) return [];
      const gone = findings.some(isGone) ? 0 : 1;
      // The row leaves a full score out.
      const score = numberOf(field(row, 'score')) ?? 100;
      return [{ node, finding, verdict, gone, score, drastic: actions.indexOf(finding.action) }];
    })
    .toSorted(
      (a, b) =>
        rankOf(a.verdict) - rankOf(b.verdict) ||
        a.gone - b.gone ||
        a.score - b.score ||
        b.drastic - a.drastic ||
        byText(a.node, b.node),
    );
}

/** The first lead, and of the critical ones after it those that ask for something else. */
function stepsOf([first, ...others]: readonly NodeLead[]): readonly NodeLead[] {
  if (!first) return [];
  const chosen = [first];
  for (const lead of others) {
    if (chosen.length === maximumLeads) break;
    const isAsked = chosen.some(({ finding }) => finding.action === lead.finding.action);
    if (lead.verdict === 'critical' && !isAsked) chosen.push(lead);
  }
  return chosen;
}

function stepAt(node: string, action: Action, reason: string, tool: string): ClusterStep {
  return isNodeName(node) ? { action, node, reason, tool, arguments: { node } } : { action, reason, tool };
}
