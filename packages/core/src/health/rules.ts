import { clockRules } from './clock-rules.ts';
import { eccRules } from './ecc-rules.ts';
import { fabricRules } from './fabric-rules.ts';
import { memoryRules } from './memory-rules.ts';
import { nvlinkRules } from './nvlink-rules.ts';
import { pcieRules } from './pcie-rules.ts';
import { platformRules } from './platform-rules.ts';
import { powerRules } from './power-rules.ts';
import type { HealthRule } from './rule.ts';
import { stateRules } from './state-rules.ts';
import { thermalRules } from './thermal-rules.ts';

/** Every rule on the readings of one GPU. A later rule only ever adds a row; each file has the rows of one kind of fault. */
export const healthRules: readonly HealthRule[] = [
  ...stateRules,
  ...eccRules,
  ...memoryRules,
  ...thermalRules,
  ...clockRules,
  ...powerRules,
  ...pcieRules,
  ...nvlinkRules,
  ...fabricRules,
  ...platformRules,
];
