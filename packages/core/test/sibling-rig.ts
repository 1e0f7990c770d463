import type { HostDevices } from '../src/ports/host-devices.ts';
import type { HostProcesses } from '../src/ports/host-processes.ts';
import { fixedClock, inMemoryKernelLog, type StubProviderOptions, stubProvider } from '../src/testing.ts';
import { createGpuTools } from '../src/tools/create-gpu-tools.ts';
import type { ToolContext } from '../src/tools/tool.ts';
import { h100Node } from './h100.ts';
import { startedAt, turn } from './rig.ts';

export interface SiblingRigOptions extends StubProviderOptions {
  readonly hostProcesses?: HostProcesses;
  readonly hostDevices?: HostDevices;
}

export type Row = Readonly<Record<string, unknown>>;
export type SiblingAnswer = Row & {
  readonly summary: string;
  readonly verdict: string;
  readonly gpus: readonly Row[];
  readonly matrix: readonly { readonly gpu: number; readonly to: Readonly<Record<string, string | null>> }[];
  readonly processes: readonly Row[];
  readonly cohorts: readonly Row[];
  readonly outliers: readonly Row[];
  readonly notCompared: readonly Row[];
  readonly findings: readonly Row[];
  readonly gaps: readonly Row[];
  readonly nextSteps: readonly Row[];
};

/** The tools on a node whose operating system can be asked, too. `gpus` may be changed between two looks. */
export function siblingRig(options: SiblingRigOptions = {}) {
  const clock = fixedClock(startedAt);
  const { hostProcesses, hostDevices, ...node } = options;
  const gpuProvider = stubProvider({ gpus: h100Node(), ...node });
  const tools = createGpuTools(
    {
      gpuProvider,
      kernelLog: inMemoryKernelLog([]),
      clock,
      ...(hostProcesses ? { hostProcesses } : {}),
      ...(hostDevices ? { hostDevices } : {}),
    },
    { nodeName: 'gpu-node-7' },
  );
  return {
    clock,
    gpuProvider,
    /** The answer, for a call during which the clock moves on by `steps` of half a second. */
    async answer(
      name: string,
      input: unknown = {},
      steps = 0,
      context: ToolContext = {},
    ): Promise<SiblingAnswer> {
      const tool = tools.find((each) => each.name === name);
      if (!tool) throw new Error(`no tool ${name}`);
      const result = tool.call(input, context);
      for (let step = 0; step < steps; step += 1) {
        await turn();
        clock.advance(500);
      }
      const settled = await result;
      if (settled.isError) throw new Error(settled.text);
      return settled.structuredContent as SiblingAnswer;
    },
  };
}

/** One token is counted as four bytes of compact JSON. */
export const tokens = (value: unknown) => Math.ceil(Buffer.byteLength(JSON.stringify(value)) / 4);
