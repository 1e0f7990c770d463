import { crossCheckRules } from '../diagnosis/cross-check.ts';
import { diagnosticTestRules } from '../diagnosis/diagnostic-tests.ts';
import { driftRules } from '../diagnosis/drift.ts';
import { holderRules } from '../diagnosis/holder-findings.ts';
import { nodeRules } from './node-rules.ts';
import type { PublishedRule } from './rule.ts';
import { healthRules } from './rules.ts';

/** Every rule that a finding of a reading can name: of one GPU, of the node, of what exists, of who holds it, and of what differs. */
export const publishedRules: readonly PublishedRule[] = [
  ...healthRules,
  ...nodeRules,
  ...crossCheckRules,
  ...holderRules,
  ...diagnosticTestRules,
  ...driftRules,
];
