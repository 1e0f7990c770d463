import {
  GpuError,
  type GpuProvider,
  type GpuSample,
  type GpuSection,
  type GpuSectionReadings,
  gpuSectionLeaves,
  gpuSections,
  makeSample,
  type NodeDescription,
} from '@k8s-gpu-mcp/core';
import { isProfiled } from './readings/activity.ts';
import { simulateReadings } from './readings/readings.ts';
import {
  type SimulatedGpu,
  type SimulatedNode,
  type SimulationOptions,
  simulateNode,
} from './simulated-node.ts';

/**
 * A provider that invents a node. Values follow the clock smoothly; a GPU with a failure fails as the real driver does.
 * @throws RangeError for a scenario that does not exist.
 */
export function createMockProvider(options: SimulationOptions): GpuProvider {
  const node = simulateNode(options);
  const { clock } = options;
  const readingsAt = simulateReadings(node);
  /** When each GPU's engines were asked for last, in milliseconds since 1970. */
  const profiledAt = new Map<number, number>();
  return {
    manifest: {
      contractVersion: 1,
      backend: 'mock',
      vendor: 'nvidia',
      simulated: true,
      sections: [...gpuSections],
      mig: true,
    },
    async describeNode(signal) {
      refuseAborted(signal);
      return describe(node);
    },
    async readGpu(ref, sections, signal) {
      refuseAborted(signal);
      const gpu = node.gpus[ref.index];
      if (!gpu) throw new GpuError('GPU_NOT_FOUND', `this node has no GPU ${ref.index}`);
      await failAsConditioned(gpu, signal);
      const now = clock.now();
      const asked = gpuSections.filter((section) => sections.includes(section));
      const readings = readingsAt(gpu, asked, now, profiledAt.get(gpu.index));
      if (sections.includes('profiling')) profiledAt.set(gpu.index, now);
      return complete(gpu, asked, readings);
    },
    async close() {
      profiledAt.clear();
    },
  };
}

function describe({ model, gpus }: SimulatedNode): NodeDescription {
  const { version, cudaVersion, tellsRecentReadings } = model.driver;
  const major = version.split('.')[0];
  const isConfidentialCapable = model.architecture === 'hopper' || model.architecture === 'blackwell';
  const notTold = {
    driverBranch: !tellsRecentReadings,
    confidentialComputingEnabled: !isConfidentialCapable,
  };
  return {
    driverVersion: version,
    libraryVersion: `${cudaVersion.split('.')[0]}.${version}`,
    computeApiVersion: cudaVersion,
    driverBranch: notTold.driverBranch ? null : `r${major}_00`,
    confidentialComputingEnabled: notTold.confidentialComputingEnabled ? null : false,
    gpus: gpus.map(({ ref }) => ({ ...ref })),
    gaps: [
      ...Object.entries(notTold)
        .filter(([, isMissing]) => isMissing)
        .map(([field]) => ({ field, reason: 'unsupported', detail: notSupported }) as const),
      ...gpus
        .filter(({ ref }) => ref.uuid === null)
        .map(
          ({ index }) =>
            ({
              gpu: index,
              field: 'identity',
              reason: 'gpu-lost',
              detail: 'nvmlDeviceGetHandleByIndex_v2 returned 15 (GPU is lost)',
            }) as const,
        ),
    ],
  };
}

function refuseAborted(signal: AbortSignal): void {
  if (signal.aborted) throw new GpuError('TIMEOUT', 'the call was cut off before it began');
}

async function failAsConditioned(gpu: SimulatedGpu, signal: AbortSignal): Promise<void> {
  const about = { gpuId: String(gpu.index) };
  switch (gpu.condition.failure) {
    case undefined:
      return;
    case 'off-bus':
      throw new GpuError('GPU_LOST', `GPU ${gpu.index} is lost (return code 15)`, about);
    case 'gsp-timeout':
      throw new GpuError('RESET_REQUIRED', `GPU ${gpu.index} requires a reset (return code 16)`, about);
    case 'hung':
      await new Promise<void>((resolve) => {
        signal.addEventListener('abort', () => resolve(), { once: true });
      });
      throw new GpuError('GPU_HUNG', `the driver does not come back for GPU ${gpu.index}`, about);
  }
}

const notSupported = 'return code 3 (not supported)';

const notYet = gpuSectionLeaves.profiling.map((leaf) => ({
  field: `profiling.${leaf}`,
  reason: 'not-observable' as const,
  detail: 'no time has passed since an earlier reading',
}));

/** The first reading of what the engines do has nothing to compare with; all else that is missing is not supported. */
function complete(
  gpu: SimulatedGpu,
  sections: readonly GpuSection[],
  readings: GpuSectionReadings,
): GpuSample {
  const waits = isProfiled(gpu) && readings.profiling?.intervalMilliseconds === null;
  const { gaps, ...values } = makeSample(gpu.ref, sections, readings, waits ? notYet : []);
  return {
    ...values,
    gaps: gaps.map((gap) => (gap.reason === 'unsupported' ? { ...gap, detail: notSupported } : gap)),
  };
}
