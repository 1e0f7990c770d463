import type { GpuReading, GpuState } from '../domain/gpu.ts';
import type { RecoveryAction } from '../domain/readings/recovery.ts';

/** What readings tell of one GPU. A fact that is absent or null is not known, which is not the same as no. */
export interface GpuFacts {
  readonly state?: GpuState;
  /** The driver's own advice, as NVML gives it now. */
  readonly recoveryAction?: RecoveryAction | null;
  readonly isRemapPending?: boolean | null;
  readonly hasRemapFailed?: boolean | null;
  readonly isSramThresholdExceeded?: boolean | null;
  /** Uncorrectable ECC errors since the driver was loaded. */
  readonly uncorrectableVolatileCount?: number | null;
  /** Whether its NVLinks end in an NVSwitch. */
  readonly isOnSwitch?: boolean | null;
  /** Whether it is registered with the NVLink fabric and that is well. */
  readonly isFabricHealthy?: boolean | null;
  /** Whether its clocks are held down by the hardware for power or heat. */
  readonly isHardwareSlowed?: boolean | null;
}

/** What else is known while the log is judged. Everything is optional. */
export interface WorkflowFacts {
  /** By index of the inventory. */
  readonly gpus?: ReadonlyMap<number, GpuFacts>;
  /** ISO 8601; when the readings were taken. They say nothing of what came later. Absent: after the whole log. */
  readonly observedAt?: string;
  /** ISO 8601. */
  readonly bootedAt?: string;
  /** ISO 8601; when the kernel module was loaded last. */
  readonly driverLoadedAt?: string;
}

/** The facts that readings hold. */
export function workflowFactsOf(
  readings: readonly GpuReading[],
  node: Omit<WorkflowFacts, 'gpus'> = {},
): WorkflowFacts {
  return { ...node, gpus: new Map(readings.map((reading) => [reading.gpu.index, factsOf(reading)])) };
}

function factsOf(reading: GpuReading): GpuFacts {
  const { state, recovery, rowRemap, ecc, nvlink, fabric, clocks } = reading;
  const links = nvlink?.links ?? null;
  const ends = links?.map(({ remoteDeviceType }) => remoteDeviceType) ?? [];
  const fabricState = fabric?.state ?? null;
  const isSwitched = ends.includes('switch') || (fabricState !== null && fabricState !== 'not-supported');
  const reasons = clocks?.eventReasons ?? null;
  return {
    state,
    recoveryAction: recovery?.action ?? null,
    isRemapPending: rowRemap?.pending ?? null,
    hasRemapFailed: rowRemap?.failureOccurred ?? null,
    isSramThresholdExceeded: ecc?.sramThresholdExceeded ?? null,
    uncorrectableVolatileCount: ecc?.uncorrectableVolatileCount ?? null,
    isOnSwitch: isSwitched ? true : links === null || ends.includes(null) ? null : false,
    isFabricHealthy: fabricHealth(reading),
    isHardwareSlowed: reasons === null ? null : reasons.some((reason) => hardwareSlowdowns.includes(reason)),
  };
}

const hardwareSlowdowns: readonly string[] = [
  'hardware-slowdown',
  'hardware-thermal-slowdown',
  'hardware-power-brake',
];

function fabricHealth({ fabric }: GpuReading): boolean | null {
  if (!fabric || fabric.state === null || fabric.state === 'not-supported') return null;
  if (fabric.state !== 'completed' || fabric.healthSummary === 'unhealthy') return false;
  return fabric.status === null ? null : fabric.status === 'NVML_SUCCESS';
}
