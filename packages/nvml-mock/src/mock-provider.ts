import {
  type Gap,
  GpuError,
  type GpuProvider,
  type GpuSample,
  type GpuSection,
  gpuSections,
} from '@k8s-gpu-mcp/core';
import { readingsAt } from './readings.ts';
import { type SimulatedGpu, type SimulationOptions, simulateNode } from './simulated-node.ts';

/**
 * A provider that invents a node. Values follow the clock smoothly; a GPU with a failure fails as the real driver does.
 * @throws RangeError for a scenario that does not exist.
 */
export function createMockProvider(options: SimulationOptions): GpuProvider {
  const node = simulateNode(options);
  const { clock } = options;
  const { version, cudaVersion } = node.model.driver;
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
      return {
        driverVersion: version,
        libraryVersion: `${cudaVersion.split('.')[0]}.${version}`,
        computeApiVersion: cudaVersion,
        gpus: node.gpus.map(({ ref }) => ({ ...ref })),
        gaps: node.gpus
          .filter(({ ref }) => ref.uuid === null)
          .map(({ index }) => ({
            gpu: index,
            field: 'identity',
            reason: 'gpu-lost',
            detail: 'nvmlDeviceGetHandleByIndex_v2 returned 15 (GPU is lost)',
          })),
      };
    },
    async readGpu(ref, sections, signal) {
      refuseAborted(signal);
      const gpu = node.gpus[ref.index];
      if (!gpu) throw new GpuError('GPU_NOT_FOUND', `this node has no GPU ${ref.index}`);
      await failAsConditioned(gpu, signal);
      return pick(readingsAt(node, gpu, clock.now()), gpu.index, sections);
    },
    async close() {},
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

type Readings = ReturnType<typeof readingsAt>;

function pick(readings: Readings, gpu: number, sections: readonly GpuSection[]): GpuSample {
  const gaps: Gap[] = [];
  const asked = gpuSections.filter((section) => sections.includes(section));
  for (const section of asked) {
    for (const [leaf, value] of Object.entries(readings[section])) {
      if (value !== null) continue;
      const detail = 'return code 3 (not supported)';
      gaps.push({ gpu, field: `${section}.${leaf}`, reason: 'unsupported', detail });
    }
  }
  return { ...Object.fromEntries(asked.map((section) => [section, readings[section]])), gaps };
}
