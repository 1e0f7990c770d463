import { type GpuControl, GpuError, type GpuRef } from '@k8s-gpu-mcp/core';
import { inMemoryGpuControl } from '@k8s-gpu-mcp/core/testing';
import { describe, expect, test } from 'vitest';
import {
  type GpuControlFixture,
  type GpuControlRequirementId,
  type GpuControlStage,
  gpuControlRequirements,
  gpuControlStages,
  runGpuControlContract,
} from '../src/index.ts';
import { failuresOf } from './failures-of.ts';

const gpus: readonly GpuRef[] = [0, 1].map((index) => ({
  index,
  uuid: `GPU-${index}`,
  pciAddress: `0000:1${index}:00.0`,
  name: 'Example GPU',
}));
const holderPid = 4242;

type Break = (good: GpuControl) => GpuControl;

function fixture(stage: GpuControlStage | undefined, broken: Break = (good) => good): GpuControlFixture {
  const control = inMemoryGpuControl({
    readiness: {
      ...(stage === 'held' ? { holders: [{ pid: holderPid, path: '/dev/nvidia0' }] } : {}),
      ...(stage === 'unprivileged'
        ? { requirements: [{ name: 'CAP_SYS_ADMIN', met: false, detail: 'not in the effective set' }] }
        : {}),
    },
    ...(stage === 'unprivileged' ? { outcome: new GpuError('NO_PERMISSION', 'not privileged') } : {}),
    ...(stage === 'failing' ? { outcome: { succeeded: false, exitCode: 3 } } : {}),
  });
  return { control: broken(control), gpus, resets: () => control.resets, holderPid };
}

const check =
  (change: object): Break =>
  (good) => ({
    ...good,
    checkReset: async (asked, signal) => ({ ...(await good.checkReset(asked, signal)), ...change }),
  });
const reset =
  (replace: (asked: readonly GpuRef[], good: GpuControl) => ReturnType<GpuControl['reset']>): Break =>
  (good) => ({ ...good, reset: (asked) => replace(asked, good) });

/** One control per requirement that breaks this requirement and no other. */
const broken: Readonly<Record<GpuControlRequirementId, Break>> = {
  'GC-CHECK-SHAPE': check({
    holders: [
      { pid: 0, path: '/dev/nvidia0' },
      { pid: holderPid, path: '/dev/nvidia0' },
    ],
  }),
  'GC-CHECK-CHANGES-NOTHING': (good) => ({
    ...good,
    async checkReset(asked, signal) {
      const readiness = await good.checkReset(asked, signal);
      await good.reset(asked).catch(() => {});
      return readiness;
    },
  }),
  'GC-CHECK-ABORT': (good) => ({
    ...good,
    checkReset: (asked) => good.checkReset(asked, new AbortController().signal),
  }),
  'GC-ERROR-CLASS': reset((asked, good) =>
    good.reset(asked).catch(() => {
      throw new Error('exit code 6');
    }),
  ),
  'GC-RESET-NONE': reset((asked, good) => good.reset(asked.length === 0 ? gpus : asked)),
  'GC-RESET-UNKNOWN': reset((asked, good) => good.reset(asked.filter(({ uuid }) => uuid !== null))),
  'GC-RESET': reset((asked, good) => good.reset(asked.length === 1 && asked[0]?.uuid != null ? gpus : asked)),
  'GC-RESET-TOGETHER': reset(async (asked, good) => {
    if (asked.length < 2 || asked.some(({ uuid }) => uuid === null)) return good.reset(asked);
    const [one, other] = asked;
    await good.reset([one ?? other].filter((gpu) => gpu !== undefined));
    return good.reset(asked.slice(1));
  }),
  'GC-HOLDERS': check({ holders: null }),
  'GC-UNMET': check({ requirements: [{ name: 'CAP_SYS_ADMIN', met: null, detail: 'not looked at' }] }),
  'GC-RESET-FAILED': reset(async (asked, good) => ({ ...(await good.reset(asked)), succeeded: true })),
};

describe('a control that keeps the contract', () => {
  runGpuControlContract({ test, createFixture: (stage) => fixture(stage), staged: gpuControlStages });
});

describe('a control that breaks one requirement fails in that requirement and no other', () => {
  test.each(Object.keys(gpuControlRequirements) as GpuControlRequirementId[])('%s', async (id) => {
    const failed = await failuresOf((run) =>
      runGpuControlContract({
        test: run,
        createFixture: (stage) => fixture(stage, broken[id]),
        staged: gpuControlStages,
      }),
    );
    expect(failed).toEqual([id]);
  });
});
