import type { Gap, GpuRef, GpuSection, GpuSectionReadings } from '@k8s-gpu-mcp/core';
import { compileFakeLibrary, createRig, type Generation, type NodeConfig } from './rig.ts';

export interface SectionRead<S extends GpuSection> {
  readonly reading: NonNullable<GpuSectionReadings[S]>;
  readonly gaps: readonly Gap[];
  /** Of the gap of this field; undefined without one. */
  readonly reason: (field: string) => string | undefined;
  readonly detail: (field: string) => string | undefined;
  readonly calls: (name: string) => number;
}

/** One section of one GPU, read through the helper from a fake library of its own. */
export async function readSection<S extends GpuSection>(
  section: S,
  config: NodeConfig,
  options: {
    readonly gpu?: number;
    readonly generation?: Generation;
    /** Symbols that this driver branch would export and this library does not. */
    readonly without?: readonly string[];
  } = {},
): Promise<SectionRead<S>> {
  const { gpu = 0, generation = 580, without = [] } = options;
  const rig = createRig(config, { library: compileFakeLibrary(generation, without) }, generation);
  try {
    const signal = AbortSignal.timeout(20_000);
    const { gpus } = await rig.provider.describeNode(signal);
    const sample = await rig.provider.readGpu(gpus[gpu] as GpuRef, [section], signal);
    const reading = sample[section];
    if (reading === undefined) throw new Error(`${section} was asked for and did not come`);
    const calls = new Map<string, number>();
    return {
      reading: reading as NonNullable<GpuSectionReadings[S]>,
      gaps: sample.gaps,
      reason: (field) => sample.gaps.find((gap) => gap.field === field)?.reason,
      detail: (field) => sample.gaps.find((gap) => gap.field === field)?.detail,
      calls: countedNow(rig, calls),
    };
  } finally {
    await rig.dispose();
  }
}

/** The call log goes with the rig, so it is counted while it is there. */
function countedNow(
  rig: { readonly calls: (name: string) => number },
  counts: Map<string, number>,
): (name: string) => number {
  for (const name of loggedFunctions) counts.set(name, rig.calls(name));
  return (name) => {
    const count = counts.get(name);
    if (count === undefined) throw new Error(`${name} is not counted`);
    return count;
  };
}

const loggedFunctions = [
  'nvmlDeviceGetNvLinkState',
  'nvmlDeviceGetProcessUtilization',
  'nvmlDeviceGetComputeRunningProcesses',
  'nvmlDeviceGetComputeRunningProcesses_v2',
  'nvmlDeviceGetComputeRunningProcesses_v3',
] as const;
