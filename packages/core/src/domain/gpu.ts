import type { Gap } from './gap.ts';

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
  'utilization',
  'ecc',
  'rowRemap',
  'pcie',
  'mig',
  'recovery',
] as const;
export type GpuSection = (typeof gpuSections)[number];

export interface GpuIdentity {
  readonly name: string | null;
  readonly uuid: string | null;
  readonly serial: string | null;
  readonly boardPartNumber: string | null;
  readonly vbiosVersion: string | null;
  readonly inforomVersion: string | null;
  /** Vendor's family name in lower case: `turing`, `ampere`, `ada`, `hopper`, `blackwell`. */
  readonly architecture: string | null;
  /** `major.minor`, for example `9.0`. */
  readonly computeCapability: string | null;
  /** N in /dev/nvidiaN. */
  readonly minorNumber: number | null;
  readonly persistenceModeEnabled: boolean | null;
}

export interface GpuMemory {
  readonly totalBytes: number | null;
  readonly usedBytes: number | null;
  readonly freeBytes: number | null;
  /** Held by driver and firmware; not part of `usedBytes` where the driver tells them apart. */
  readonly reservedBytes: number | null;
}

export interface GpuThermal {
  readonly temperatureCelsius: number | null;
  readonly memoryTemperatureCelsius: number | null;
  readonly slowdownThresholdCelsius: number | null;
  readonly shutdownThresholdCelsius: number | null;
  readonly maxOperatingThresholdCelsius: number | null;
  readonly memoryMaxThresholdCelsius: number | null;
  /** Degrees left before the GPU throttles (T.Limit). Signed: negative is beyond the limit. Hopper and newer. */
  readonly marginCelsius: number | null;
  /** T.Limit margin at which hardware slowdown starts, usually negative. */
  readonly slowdownMarginCelsius: number | null;
  /** T.Limit margin at which the GPU shuts down, usually negative. */
  readonly shutdownMarginCelsius: number | null;
  /** Null on passively cooled boards. */
  readonly fanSpeedPercent: number | null;
}

export interface GpuPower {
  /** The driver's default power reading: a one-second average on Ampere and newer, instantaneous before. */
  readonly drawWatts: number | null;
  readonly instantDrawWatts: number | null;
  readonly enforcedLimitWatts: number | null;
  readonly defaultLimitWatts: number | null;
  readonly minLimitWatts: number | null;
  readonly maxLimitWatts: number | null;
  /** Since the driver was loaded. */
  readonly energyJoules: number | null;
}

/** Why clocks are below the maximum. Idle and a power cap under load are normal. */
export const clockEventReasons = [
  'idle',
  'application-clocks',
  'software-power-cap',
  'hardware-slowdown',
  'sync-boost',
  'software-thermal-slowdown',
  'hardware-thermal-slowdown',
  'hardware-power-brake',
  'display-clocks',
] as const;
export type ClockEventReason = (typeof clockEventReasons)[number];

export interface GpuClocks {
  readonly smClockMegahertz: number | null;
  readonly memoryClockMegahertz: number | null;
  readonly maxSmClockMegahertz: number | null;
  readonly maxMemoryClockMegahertz: number | null;
  /** `P0` (fastest) to `P15`. */
  readonly performanceState: string | null;
  /** At the moment of reading; empty when clocks are not held back. */
  readonly eventReasons: readonly ClockEventReason[] | null;
}

export interface GpuUtilization {
  /** Share of the last sampling period in which a kernel ran. Not available while MIG is enabled. */
  readonly gpuPercent: number | null;
  readonly memoryPercent: number | null;
  readonly encoderPercent: number | null;
  readonly decoderPercent: number | null;
}

/** Volatile: since the driver was loaded. Aggregate: over the life of the board. */
export interface GpuEcc {
  readonly enabled: boolean | null;
  readonly pendingEnabled: boolean | null;
  readonly correctableVolatileCount: number | null;
  readonly uncorrectableVolatileCount: number | null;
  readonly correctableAggregateCount: number | null;
  readonly uncorrectableAggregateCount: number | null;
  readonly sramUncorrectableVolatileCount: number | null;
  readonly sramUncorrectableAggregateCount: number | null;
  /** The driver's own field-diagnostic signal. */
  readonly sramThresholdExceeded: boolean | null;
}

/** Ampere and newer remap rows; older products retire pages. */
export interface GpuRowRemap {
  readonly correctableRowCount: number | null;
  readonly uncorrectableRowCount: number | null;
  /** A remap waits for the next GPU reset. */
  readonly pending: boolean | null;
  /** A remap has failed at some time. */
  readonly failureOccurred: boolean | null;
  readonly retiredPagesPending: boolean | null;
  readonly retiredPageCount: number | null;
}

export interface GpuPcie {
  /** Drops when idle; only meaningful under load. */
  readonly currentGeneration: number | null;
  readonly maxGeneration: number | null;
  readonly currentLinkWidthLanes: number | null;
  readonly maxLinkWidthLanes: number | null;
  /** Monotonic since the driver was loaded. */
  readonly replayCount: number | null;
}

export interface MigDevice {
  readonly index: number;
  readonly uuid: string | null;
  readonly gpuInstanceId: number | null;
  readonly computeInstanceId: number | null;
  /** For example `1g.10gb`. */
  readonly profile: string | null;
  readonly memoryTotalBytes: number | null;
  readonly memoryUsedBytes: number | null;
}

export interface GpuMig {
  readonly enabled: boolean | null;
  readonly pendingEnabled: boolean | null;
  readonly devices: readonly MigDevice[] | null;
}

/** The driver's own advice. Source: NVML field 230 (recovery action), driver branch R565 and newer. */
export const recoveryActions = [
  'none',
  'reset',
  'reboot',
  'drain-p2p',
  'drain-and-reset',
  'recover-imex-domain',
] as const;
export type RecoveryAction = (typeof recoveryActions)[number];

export interface GpuRecovery {
  readonly action: RecoveryAction | null;
}

/** The readings by section. A section that was not asked for is absent; one that could not be read holds nulls and gaps. */
export interface GpuSectionReadings {
  readonly identity?: GpuIdentity;
  readonly memory?: GpuMemory;
  readonly thermal?: GpuThermal;
  readonly power?: GpuPower;
  readonly clocks?: GpuClocks;
  readonly utilization?: GpuUtilization;
  readonly ecc?: GpuEcc;
  readonly rowRemap?: GpuRowRemap;
  readonly pcie?: GpuPcie;
  readonly mig?: GpuMig;
  readonly recovery?: GpuRecovery;
}

/** What an adapter returns for one GPU: readings, and one gap for each null among them. */
export interface GpuSample extends GpuSectionReadings {
  readonly gaps: readonly Gap[];
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
  /** Every GPU the driver counts, also those that cannot be opened, in index order. */
  readonly gpus: readonly GpuRef[];
  readonly gaps: readonly Gap[];
}
