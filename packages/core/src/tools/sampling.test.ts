import { expect, test } from 'vitest';
import { h100Node, h100Ref } from '../../test/h100.ts';
import { turn } from '../../test/rig.ts';
import type { Clock } from '../ports/runtime.ts';
import { fixedClock, inMemoryKernelLog, stubProvider } from '../testing.ts';
import { createToolkit } from './create-gpu-tools.ts';
import { sampleGpus, samplingPlan } from './sampling.ts';

test('a clock that is set back does not make a window longer', async () => {
  const steady = fixedClock('2026-11-21T12:00:00.000Z');
  let setBack = 0;
  const clock: Clock = {
    now: () => steady.now() - setBack,
    after: (milliseconds, run) => steady.after(milliseconds, run),
  };
  const gpuProvider = stubProvider({ gpus: h100Node({}, 1) });
  const toolkit = createToolkit({ gpuProvider, kernelLog: inMemoryKernelLog([]), clock }, { nodeName: 'n' });
  const { signal } = new AbortController();
  const work = sampleGpus(toolkit, [h100Ref(0)], ['power'], samplingPlan(3, undefined), signal);
  let isDone = false;
  void work.then(() => {
    isDone = true;
  });
  for (let half = 1; half <= 8; half += 1) {
    await turn();
    steady.advance(500);
    if (half === 3) setBack = 3_600_000;
  }
  await turn();
  // The step hides half a second, so one more reading fits.
  expect(isDone).toBe(true);
  const [sampled] = await work;
  expect(sampled?.isComplete).toBe(true);
  expect(sampled?.readings).toHaveLength(5);
});
