import type { GpuSection } from '@k8s-gpu-mcp/core';
import type { Device, Leaves, ReadContext, SectionResult } from '../device.ts';
import { readClocks } from './clocks.ts';
import { readEcc } from './ecc.ts';
import { readIdentity } from './identity.ts';
import { readMemory } from './memory.ts';
import { readMig } from './mig.ts';
import { readPcie } from './pcie.ts';
import { readPower } from './power.ts';
import { readRecovery } from './recovery.ts';
import { readRowRemap } from './row-remap.ts';
import { readThermal } from './thermal.ts';
import { readUtilization } from './utilization.ts';

/** How each section is read. */
export const sectionReaders: {
  readonly [Section in GpuSection]: (device: Device, context: ReadContext) => SectionResult<Section>;
} = {
  identity: (device) => ({ leaves: readIdentity(device) }),
  memory: (device) => ({ leaves: readMemory(device) }),
  thermal: (device) => ({ leaves: readThermal(device) }),
  power: (device) => ({ leaves: readPower(device) }),
  clocks: (device) => ({ leaves: readClocks(device) }),
  violations: () => ({ leaves: {} as Leaves<'violations'> }),
  utilization: (device) => ({ leaves: readUtilization(device) }),
  profiling: () => ({ leaves: {} as Leaves<'profiling'> }),
  ecc: (device) => ({ leaves: readEcc(device) }),
  rowRemap: (device) => ({ leaves: readRowRemap(device) }),
  pcie: (device) => ({ leaves: readPcie(device) }),
  nvlink: () => ({ leaves: {} as Leaves<'nvlink'> }),
  fabric: () => ({ leaves: {} as Leaves<'fabric'> }),
  topology: () => ({ leaves: {} as Leaves<'topology'> }),
  processes: () => ({ leaves: {} as Leaves<'processes'> }),
  mig: readMig,
  recovery: (device) => ({ leaves: readRecovery(device) }),
  events: () => ({ leaves: {} as Leaves<'events'> }),
};
