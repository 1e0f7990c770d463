import type { Verdict } from '@k8s-gpu-mcp/core';

/** A GPU that cannot be used at all any more: nothing runs there until it is back. */
const goneRules: ReadonlySet<string> = new Set([
  'gpu.lost',
  'gpu.hung',
  'gpu.missing-all',
  'gpu.missing-from-driver',
  'gpu.not-on-bus',
  'gpu.config-space-dead',
  'log.xid-79',
  'log.bus-loss',
]);

interface RuleVerdict {
  readonly ruleId: string;
  readonly verdict: Verdict;
}

export const isGone = ({ ruleId, verdict }: RuleVerdict) => verdict === 'critical' && goneRules.has(ruleId);

/** What the driver advises (Xid 154 is "GPU recovery action changed" in the NVIDIA Xid catalogue): it comes of a fault, and is none. */
export const isAdvice = ({ ruleId }: Pick<RuleVerdict, 'ruleId'>) =>
  ruleId === 'log.xid-154' || ruleId.startsWith('recovery.');

/** Among findings of one verdict: a GPU that is gone, other faults, then advice. */
export const rankOfRule = (finding: RuleVerdict) => (isGone(finding) ? 0 : isAdvice(finding) ? 2 : 1);
