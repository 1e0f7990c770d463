import type { GpuSection } from '@k8s-gpu-mcp/core';
import type { Device, ReadContext, SectionResult } from '../device/device.ts';
import { readClocks } from './clocks.ts';
import { readEcc } from './ecc.ts';
import { readEvents } from './events.ts';
import { readFabric } from './fabric.ts';
import { readIdentity } from './identity.ts';
import { readMemory } from './memory.ts';
import { readMig } from './mig.ts';
import { readNvLinks } from './nvlink.ts';
import { readPcie, readPcieTraffic } from './pcie.ts';
import { readPower } from './power.ts';
import { readProcesses } from './processes.ts';
import { readProfiling } from './profiling.ts';
import { readRecovery } from './recovery.ts';
import { readRowRemap } from './row-remap.ts';
import { readThermal } from './thermal.ts';
import { readTopology } from './topology.ts';
import { readUtilization } from './utilization.ts';
import { readViolations } from './violations.ts';

/** How each section is read. */
export const sectionReaders: {
  readonly [Section in GpuSection]: (device: Device, context: ReadContext) => SectionResult<Section>;
} = {
  identity: (device) => ({ leaves: readIdentity(device) }),
  memory: (device) => ({ leaves: readMemory(device) }),
  thermal: readThermal,
  power: (device) => ({ leaves: readPower(device) }),
  clocks: (device) => ({ leaves: readClocks(device) }),
  violations: (device) => ({ leaves: readViolations(device) }),
  utilization: (device) => ({ leaves: readUtilization(device) }),
  profiling: (device, context) => ({ leaves: readProfiling(device, context) }),
  ecc: readEcc,
  rowRemap: (device) => ({ leaves: readRowRemap(device) }),
  pcie: (device) => ({ leaves: readPcie(device) }),
  pcieTraffic: (device) => ({ leaves: readPcieTraffic(device) }),
  nvlink: readNvLinks,
  fabric: (device) => ({ leaves: readFabric(device) }),
  topology: readTopology,
  processes: readProcesses,
  mig: readMig,
  recovery: (device) => ({ leaves: readRecovery(device) }),
  events: (device) => ({ leaves: readEvents(device) }),
};
