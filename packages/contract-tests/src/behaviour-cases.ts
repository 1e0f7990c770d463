import assert from 'node:assert/strict';
import { type GpuRef, type GpuSample, gpuErrorCodes, gpuSections, isGpuError } from '@k8s-gpu-mcp/core';
import {
  absentGpu,
  describe,
  faultyGpu,
  firstSoundGpu,
  proves,
  read,
  rejectedWith,
  siblingsAnswer,
  soundGpus,
  unaborted,
} from './case-kit.ts';
import {
  abortLimitMilliseconds,
  answerOf,
  attempt,
  ignore,
  type Outcome,
  outcomeOf,
  outcomeWithin,
  pause,
} from './outcomes.ts';
import type { GpuProviderFixture } from './rig.ts';

proves('GP-ERROR-CLASS', async (fixture) => {
  const { provider } = fixture;
  const node = await describe(fixture);
  const gpu = soundGpus(fixture, node)[0] ?? absentGpu(node);
  const aborted = AbortSignal.abort();
  const calls: readonly (() => Promise<unknown>)[] = [
    () => provider.readGpu(absentGpu(node), ['identity'], unaborted()),
    () => provider.describeNode(aborted),
    () => provider.readGpu(gpu, ['identity'], aborted),
  ];
  for (const call of calls) {
    const outcome = await outcomeOf(call);
    if (outcome.kind !== 'rejected') continue;
    const { error } = outcome;
    assert.ok(isGpuError(error), `not a GpuError: ${String(error)}`);
    assert.ok(Object.hasOwn(gpuErrorCodes, error.code), `unknown code ${error.code}`);
    assert.ok(error.message.trim() !== '' && error.hint.trim() !== '', 'without a message or a hint');
  }
});

proves('GP-NOT-FOUND', async (fixture) => {
  const node = await describe(fixture);
  const call = () => fixture.provider.readGpu(absentGpu(node), ['identity'], unaborted());
  rejectedWith(await outcomeOf(call), ['GPU_NOT_FOUND']);
});

proves('GP-ABORT-DESCRIBE', async ({ provider }) => {
  const call = attempt(() => provider.describeNode(AbortSignal.abort()));
  rejectedWith(await outcomeWithin(abortLimitMilliseconds, call), ['TIMEOUT']);
});

proves('GP-ABORT-READ', async (fixture) => {
  const gpu = await firstSoundGpu(fixture);
  const call = attempt(() => fixture.provider.readGpu(gpu, gpuSections, AbortSignal.abort()));
  rejectedWith(await outcomeWithin(abortLimitMilliseconds, call), ['TIMEOUT']);
});

proves('GP-ABORT-IN-FLIGHT', async (fixture) => {
  const gpu = await firstSoundGpu(fixture);
  const caller = new AbortController();
  const call = attempt(() => fixture.provider.readGpu(gpu, gpuSections, caller.signal));
  caller.abort();
  const outcome = await outcomeWithin(abortLimitMilliseconds, call);
  assert.notEqual(outcome.kind, 'pending', `not settled ${abortLimitMilliseconds} ms after the abort`);
  if (outcome.kind === 'rejected') rejectedWith(outcome, ['GPU_HUNG', 'TIMEOUT']);
});

proves('GP-ABORT-NEXT', async (fixture) => {
  const gpu = await firstSoundGpu(fixture);
  const { provider } = fixture;
  const caller = new AbortController();
  const calls = [
    attempt(() => provider.describeNode(AbortSignal.abort())),
    attempt(() => provider.readGpu(gpu, gpuSections, AbortSignal.abort())),
    attempt(() => provider.readGpu(gpu, gpuSections, caller.signal)),
  ];
  caller.abort();
  for (const call of calls) await outcomeWithin(abortLimitMilliseconds, call);
  await describe(fixture);
  await read(fixture, gpu, ['identity']);
});

proves('GP-CLOSE', async (fixture) => {
  const { provider } = fixture;
  await answerOf('close before first use', () => provider.close());
  await describe(fixture);
  await answerOf('close', () => provider.close());
  await answerOf('closing again', () => provider.close());
});

proves('GP-REOPEN', async (fixture) => {
  const before = structuredClone((await describe(fixture)).gpus);
  await outcomeOf(() => fixture.provider.close());
  const after = await describe(fixture);
  assert.deepEqual(after.gpus, before);
  const [gpu] = soundGpus(fixture, after);
  assert.ok(gpu);
  await read(fixture, gpu, ['identity']);
});

proves('GP-LOST', async (fixture) => {
  const gpu = faultyGpu(fixture, await describe(fixture), 'lost');
  rejectedWith(await outcomeOf(() => fixture.provider.readGpu(gpu, gpuSections, unaborted())), ['GPU_LOST']);
});

proves('GP-LOST-SIBLINGS', async (fixture) => {
  const node = await describe(fixture);
  const gpu = faultyGpu(fixture, node, 'lost');
  await outcomeOf(() => fixture.provider.readGpu(gpu, gpuSections, unaborted()));
  await siblingsAnswer(fixture, node);
});

/** Starts the read of the hung GPU, waits until the driver is stuck in it, aborts, and tells how the call ended. */
async function abortHungRead(fixture: GpuProviderFixture, gpu: GpuRef): Promise<Outcome<GpuSample>> {
  const caller = new AbortController();
  const call = attempt(() => fixture.provider.readGpu(gpu, gpuSections, caller.signal));
  ignore(call);
  await (fixture.untilStuck?.() ?? pause(300));
  caller.abort();
  return outcomeWithin(abortLimitMilliseconds, call);
}

proves('GP-HUNG', async (fixture) => {
  const gpu = faultyGpu(fixture, await describe(fixture), 'hung');
  rejectedWith(await abortHungRead(fixture, gpu), ['GPU_HUNG']);
});

proves('GP-HUNG-SIBLINGS', async (fixture) => {
  const node = await describe(fixture);
  await abortHungRead(fixture, faultyGpu(fixture, node, 'hung'));
  await siblingsAnswer(fixture, node);
});

proves('GP-UNREADABLE', async (fixture) => {
  const gpu = faultyGpu(fixture, await describe(fixture), 'unreadable');
  const outcome = await outcomeOf(() => fixture.provider.readGpu(gpu, gpuSections, unaborted()));
  rejectedWith(outcome, ['NO_PERMISSION', 'RESET_REQUIRED', 'UNAVAILABLE']);
});

proves('GP-CRASH', async (fixture) => {
  const node = await describe(fixture);
  const gpu = faultyGpu(fixture, node, 'crashing');
  const outcome = await outcomeOf(() => fixture.provider.readGpu(gpu, gpuSections, unaborted()));
  rejectedWith(outcome, ['ADAPTER_CRASHED']);
  await siblingsAnswer(fixture, node);
});
