import type { GpuErrorCode } from '../errors.ts';
import type { Citation } from './citation.ts';
import type { Gap } from './gap.ts';
import type { GpuClocks, GpuViolations } from './readings/clocks.ts';
import type { GpuEcc, GpuRowRemap } from './readings/ecc.ts';
import type { GpuEvents } from './readings/events.ts';
import type { GpuIdentity } from './readings/identity.ts';
import type { GpuMemory } from './readings/memory.ts';
import type { GpuMig } from './readings/mig.ts';
import type { GpuFabric, GpuNvLinks } from './readings/nvlink.ts';
import type { GpuPcie, GpuPcieTraffic } from './readings/pcie.ts';
import type { GpuPower } from './readings/power.ts';
import type { GpuProcesses } from './readings/process.ts';
import type { GpuRecovery } from './readings/recovery.ts';
import type { GpuThermal } from './readings/thermal.ts';
import type { GpuTopology } from './readings/topology.ts';
import type { GpuProfiling, GpuUtilization } from './readings/utilization.ts';

/** What is needed to address one GPU. A GPU that cannot be opened has an index and nothing else. */
export interface GpuRef {
  /** Position in the driver's enumeration, from 0. Not stable across reboots. */
  readonly index: number;
  readonly uuid: string | null;
  /** `domain:bus:device.function`, lower case, as sysfs prints it. */
  readonly pciAddress: string | null;
  readonly name: string | null;
}

/** The groups a caller can ask for; reading fewer is faster. */
export const gpuSections = [
  'identity',
  'memory',
  'thermal',
  'power',
  'clocks',
  'violations',
  'utilization',
  'profiling',
  'ecc',
  'rowRemap',
  'pcie',
  'pcieTraffic',
  'nvlink',
  'fabric',
  'topology',
  'processes',
  'mig',
  'recovery',
  'events',
] as const;
export type GpuSection = (typeof gpuSections)[number];

/** The readings by section. A section that was not asked for is absent; one that could not be read holds nulls and gaps. */
export interface GpuSectionReadings {
  readonly identity?: GpuIdentity;
  readonly memory?: GpuMemory;
  readonly thermal?: GpuThermal;
  readonly power?: GpuPower;
  readonly clocks?: GpuClocks;
  readonly violations?: GpuViolations;
  readonly utilization?: GpuUtilization;
  readonly profiling?: GpuProfiling;
  readonly ecc?: GpuEcc;
  readonly rowRemap?: GpuRowRemap;
  readonly pcie?: GpuPcie;
  readonly pcieTraffic?: GpuPcieTraffic;
  readonly nvlink?: GpuNvLinks;
  readonly fabric?: GpuFabric;
  readonly topology?: GpuTopology;
  readonly processes?: GpuProcesses;
  readonly mig?: GpuMig;
  readonly recovery?: GpuRecovery;
  readonly events?: GpuEvents;
}

/**
 * What an adapter returns for one GPU: readings, and one gap `section.leaf` for each null among them. Nulls inside the members of a list
 * have a gap `section.leaf.member` for each reason, not for each member.
 */
export interface GpuSample extends GpuSectionReadings {
  readonly gaps: readonly Gap[];
  /** How long the driver took, without the time spent waiting for a turn. An adapter that cannot tell leaves it out. */
  readonly probeMilliseconds?: number;
  /** Where each leaf (`section.leaf`) stands, for readings that come from files. */
  readonly citations?: Readonly<Record<string, Citation>>;
}

/**
 * `ok`: it answered (readings may still have gaps). `lost`: it does not answer on its bus. `hung`: the driver did not come back
 * for it in time. `reset-required`: the driver refuses it until it is reset. `unreadable`: we may not or could not read it.
 */
export const gpuStates = ['ok', 'lost', 'hung', 'reset-required', 'unreadable'] as const;
export type GpuState = (typeof gpuStates)[number];

export interface GpuReading extends GpuSample {
  readonly gpu: GpuRef;
  readonly state: GpuState;
  /** Why the state is not `ok`. */
  readonly stateDetail?: string;
  /** The code of the error behind a state that is not `ok`. */
  readonly errorCode?: GpuErrorCode;
  /** ISO 8601. */
  readonly observedAt: string;
}

/** What the driver says about the node as a whole. */
export interface NodeDescription {
  readonly driverVersion: string | null;
  /** Version of the management library (NVML, ROCm SMI). */
  readonly libraryVersion: string | null;
  /** Newest CUDA (or HIP) version that the driver supports. */
  readonly computeApiVersion: string | null;
  /** Release branch of the driver, for example `r580_00`. */
  readonly driverBranch: string | null;
  readonly confidentialComputingEnabled: boolean | null;
  /** Every GPU the driver counts, also those that cannot be opened, in index order. */
  readonly gpus: readonly GpuRef[];
  readonly gaps: readonly Gap[];
}
