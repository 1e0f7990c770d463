import {
  type GpuControlFixture,
  type GpuControlStage,
  gpuControlStages,
  runGpuControlContract,
} from '@k8s-gpu-mcp/contract-tests';
import type { GpuRef } from '@k8s-gpu-mcp/core';
import { describe, test } from 'vitest';
import { canMakeTrustedTool, createControlRig, skipReason } from './control-rig.ts';

const gpus: readonly GpuRef[] = ['5d', '9a'].map((bus, index) => ({
  index,
  uuid: `GPU-a91c7d04-2f58-4e6b-8c13-7be5d4f09a2${index}`,
  pciAddress: `0000:${bus}:00.0`,
  name: 'NVIDIA H100 80GB HBM3',
}));
const holderPid = 4242;

function createFixture(stage: GpuControlStage | undefined): GpuControlFixture {
  const rig = createControlRig();
  rig.fakeTool(stage === 'failing' ? 'exit 255' : 'exit 0');
  // The default set of a container: without CAP_SYS_ADMIN.
  rig.fakeProc(stage === 'unprivileged' ? { capEff: '00000000a80425fb' } : {});
  if (stage === 'held') rig.addProcess(holderPid, 1, ['/dev/null', '/dev/nvidia0']);
  return {
    control: rig.control(),
    gpus,
    holderPid,
    resets: () =>
      rig
        .calls()
        .map((call) =>
          gpus.filter(({ pciAddress }) => call.includes(pciAddress ?? '?')).map(({ index }) => index),
        ),
    dispose: async () => rig.dispose(),
  };
}

describe(`nvidia-smi as GPU control${canMakeTrustedTool ? '' : ` (no tool is run: it ${skipReason})`}`, () => {
  runGpuControlContract({
    test,
    createFixture,
    staged: canMakeTrustedTool ? gpuControlStages : ['held', 'unprivileged'],
  });
});
