import { actions, type Verdict, verdicts } from '@k8s-gpu-mcp/core';
import { isWorthTelling, type NodeFinding, type NodeReport } from './node-report.ts';
import { shownName } from './node-rows.ts';
import { rankOfRule } from './rule-kinds.ts';
import { byText } from './untrusted-content.ts';

const maximumNames = 4;

/** The same finding on one or many nodes. */
export interface FindingGroup extends NodeFinding {
  /** The first node that has it, by name; `gpu` and `what` are of it. */
  readonly node: string;
  readonly nodeCount: number;
  /** The next ones. */
  readonly alsoOn?: readonly string[];
}

/**
 * Findings are the same when rule, verdict and action are. Worst first, a GPU that is gone before all, advice after
 * faults; then what asks for most, then what most nodes have.
 */
export function groupFindings(reports: readonly NodeReport[]): readonly FindingGroup[] {
  const groups = new Map<string, { finding: NodeFinding; nodes: Set<string> }>();
  for (const { node, findings } of reports) {
    for (const finding of findings) {
      if (!isWorthTelling(finding)) continue;
      const key = JSON.stringify([finding.ruleId, finding.verdict, finding.action]);
      const group = groups.get(key);
      if (group) group.nodes.add(node);
      else groups.set(key, { finding, nodes: new Set([node]) });
    }
  }
  return [...groups.values()].map(present).sort(byUrgency);
}

/** The group that a finding is in. */
export const groupOf = (groups: readonly FindingGroup[], { ruleId, verdict, action }: NodeFinding) =>
  groups.find((group) => group.ruleId === ruleId && group.verdict === verdict && group.action === action);

function present({ finding, nodes }: { finding: NodeFinding; nodes: ReadonlySet<string> }): FindingGroup {
  const [node = '', ...others] = [...nodes].map(shownName);
  const alsoOn = others.slice(0, maximumNames);
  return { node, ...finding, nodeCount: nodes.size, ...(alsoOn.length > 0 ? { alsoOn } : {}) };
}

export const rankOf = (verdict: Verdict) => verdicts.indexOf(verdict);

function byUrgency(a: FindingGroup, b: FindingGroup): number {
  return (
    rankOf(a.verdict) - rankOf(b.verdict) ||
    rankOfRule(a) - rankOfRule(b) ||
    actions.indexOf(b.action) - actions.indexOf(a.action) ||
    b.nodeCount - a.nodeCount ||
    byText(a.ruleId, b.ruleId)
  );
}
