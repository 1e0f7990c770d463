import { linkRules } from './link-rules.ts';
import { memoryRules } from './memory-rules.ts';
import type { HealthRule } from './rule.ts';
import { stateRules } from './state-rules.ts';
import { thermalRules } from './thermal-rules.ts';

/** Every rule on the readings of one GPU. A later rule only ever adds a row; each file has the rows of one kind of fault. */
export const healthRules: readonly HealthRule[] = [
  ...stateRules,
  ...memoryRules,
  ...thermalRules,
  ...linkRules,
];
