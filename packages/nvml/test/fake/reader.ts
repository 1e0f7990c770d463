import type { GpuProvider, GpuRef, GpuSection } from '@k8s-gpu-mcp/core';
import { afterEach } from 'vitest';
import { createRig, type Generation, type NodeConfig, type Rig } from './rig.ts';

export const deadline = () => AbortSignal.timeout(20_000);

/** Providers on the fake library, one at a time, the last one put away after each test. */
export function createReader() {
  let current: Rig | undefined;
  const dispose = async () => {
    await current?.dispose();
    current = undefined;
  };
  afterEach(dispose);

  const rig = (): Rig => {
    if (current === undefined) throw new Error('no provider is open');
    return current;
  };
  function open(config: NodeConfig, generation?: Generation): GpuProvider {
    current = createRig(config, {}, generation);
    return current.provider;
  }
  /** The first GPU. */
  async function read(config: NodeConfig, sections: readonly GpuSection[], generation?: Generation) {
    await dispose();
    const provider = open(config, generation);
    const { gpus } = await provider.describeNode(deadline());
    const sample = await provider.readGpu(gpus[0] as GpuRef, sections, deadline());
    const reasons = Object.fromEntries(sample.gaps.map(({ field, reason }) => [field, reason]));
    return { sample, reasons, gaps: sample.gaps };
  }
  return { rig, open, read };
}

/** A node whose only GPU differs so from an H100. */
export const oneGpu = (
  values: NonNullable<NodeConfig['gpus']>[number],
  rest: NodeConfig = {},
): NodeConfig => ({
  ...rest,
  gpus: [values],
});
