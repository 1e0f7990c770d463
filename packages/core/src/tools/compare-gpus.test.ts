import { describe, expect, test } from 'vitest';
import { type Changes, h100Node, h100Sample } from '../../test/h100.ts';
import { siblingRig, tokens } from '../../test/sibling-rig.ts';
import { GpuError } from '../errors.ts';
import type { StubGpu } from '../testing.ts';

const compare = (options: Parameters<typeof siblingRig>[0] = {}, input = {}, steps = 0) =>
  siblingRig(options).answer('compare_gpus', input, steps);

const changed = (changes: Readonly<Record<number, Changes>>, count = 8): StubGpu[] =>
  h100Node(
    Object.fromEntries(
      Object.entries(changes).map(([index, each]) => [index, h100Sample(Number(index), each)]),
    ),
    count,
  );

describe('a healthy node', () => {
  test('is ok, with the load it was compared at', async () => {
    const answer = await compare();
    expect(answer).toMatchObject({
      verdict: 'ok',
      sampleCount: 1,
      outliers: [],
      notCompared: [],
      findings: [],
      nextSteps: [],
    });
    expect(answer.summary).toBe('8 of 8 GPUs compared: none is unlike its siblings.');
    expect(answer.cohorts).toMatchObject([
      { load: 'any', gpus: [0, 1, 2, 3, 4, 5, 6, 7], medians: { 'pcie.currentLinkWidthLanes': 16 } },
      { load: 'idle', utilizationPercent: { min: 0, max: 0 }, powerDrawWatts: { min: 71.42, max: 71.42 } },
    ]);
  });

  test('costs under 1,500 tokens', async () => {
    expect(tokens(await compare())).toBeLessThan(1_500);
  });
});

test('an outlier: warning, with the tool to call next', async () => {
  const answer = await compare({ gpus: changed({ 6: { pcie: { currentLinkWidthLanes: 8 } } }) });
  expect(answer).toMatchObject({
    verdict: 'warning',
    outliers: [{ gpu: 6, metric: 'pcie.currentLinkWidthLanes', value: 8, median: 16, deviation: -8 }],
    nextSteps: [{ action: 'monitor', tool: 'get_gpu_topology' }],
  });
  expect(answer.summary).toContain('GPU 6: pcie.currentLinkWidthLanes 8, median 16.');
});

test('one GPU: its outliers, its verdict, compared with all', async () => {
  const gpus = changed({ 6: { pcie: { currentLinkWidthLanes: 8 } } });
  expect(await compare({ gpus }, { gpu: 6 })).toMatchObject({ verdict: 'warning', outliers: [{ gpu: 6 }] });
  expect(await compare({ gpus }, { gpu: 5 })).toMatchObject({ verdict: 'ok', outliers: [] });
});

test('topics limit what is compared', async () => {
  const gpus = changed({ 6: { pcie: { currentLinkWidthLanes: 8 } } });
  expect(await compare({ gpus }, { topics: ['thermal', 'nvlink'] })).toMatchObject({
    verdict: 'ok',
    outliers: [],
  });
  expect(await compare({ gpus }, { topics: ['pcie'] })).toMatchObject({ verdict: 'warning' });
});

describe('not ok by default', () => {
  test('fewer than three GPUs are unknown, with the reason', async () => {
    const answer = await compare({ gpus: h100Node({}, 2) });
    expect(answer).toMatchObject({
      verdict: 'unknown',
      cohorts: [],
      notCompared: [{ gpus: [0, 1], scope: 'all', reason: expect.stringContaining('3 are needed') }],
    });
    expect(answer.summary).toContain('None of the 2 GPUs could be compared');
  });

  test('no GPU at all is unknown', async () => {
    expect(await compare({ gpus: [] })).toMatchObject({ verdict: 'unknown' });
  });

  test('a lost GPU is critical, the others are compared', async () => {
    const answer = await compare({ gpus: h100Node({ 3: new GpuError('GPU_LOST', 'lost') }) });
    expect(answer).toMatchObject({ verdict: 'critical', notCompared: [{ gpus: [3], reason: 'it is lost' }] });
    expect(answer.summary).toContain('7 of 8 GPUs compared');
    expect(answer.summary).toContain('GPU 3 is lost.');
  });

  test('a node whose driver cannot be asked is unknown', async () => {
    const describe = new GpuError('DRIVER_NOT_LOADED', 'no driver');
    expect(await compare({ describe })).toMatchObject({ verdict: 'unknown', outliers: [] });
  });
});

test('a hung collective is told also when all GPUs are alike', async () => {
  const spinning = { utilization: { gpuPercent: 100, memoryPercent: 0 }, power: { drawWatts: 120 } };
  const gpus = changed(Object.fromEntries(Array.from({ length: 8 }, (_, index) => [index, spinning])));
  expect(await compare({ gpus })).toMatchObject({
    verdict: 'warning',
    outliers: [],
    findings: [{ ruleId: 'compare.stalled-collective' }],
    nextSteps: [{ action: 'check-app', tool: 'get_gpu_processes' }],
  });
});

describe('one GPU', () => {
  const gpus = changed({ 5: { pcie: { currentLinkWidthLanes: 8 } } });
  gpus[3] = { ...gpus[3], sample: new GpuError('GPU_LOST', 'lost') };

  test('that is well beside one that is not: only what is asked is said', async () => {
    const answer = await compare({ gpus }, { gpu: 0 });
    expect(answer).toMatchObject({ verdict: 'ok', outliers: [], gaps: [], nextSteps: [] });
    expect(answer.summary).toBe('GPU 0 is not unlike its siblings.');
  });

  test('that is lost is not called like the others', async () => {
    const answer = await compare({ gpus }, { gpu: 3 });
    expect(answer.verdict).toBe('critical');
    expect(answer.summary).toBe('GPU 3 was not compared with siblings. GPU 3 is lost.');
  });
});

describe('a window', () => {
  test('takes a reading a second', async () => {
    const { gpuProvider, answer } = siblingRig();
    // Steps of half a second.
    expect(await answer('compare_gpus', { window: 3 }, 6)).toMatchObject({ sampleCount: 4, gaps: [] });
    expect(gpuProvider.calls.readGpu).toBe(4 * 8);
  });

  test('that is cut short says so, and what was read is compared', async () => {
    const caller = new AbortController();
    const { clock, answer } = siblingRig();
    const pending = answer('compare_gpus', { window: 8 }, 5, { signal: caller.signal });
    clock.after(2_400, () => caller.abort());
    const { sampleCount, gaps, verdict } = await pending;
    expect({ sampleCount, verdict }).toEqual({ sampleCount: 3, verdict: 'ok' });
    expect(gaps).toContainEqual({ field: 'window', reason: 'timeout', detail: 'cut short after 3 samples' });
  });

  test('a GPU that fails on the way is not compared by what it told before', async () => {
    const gpus = h100Node();
    const { clock, answer } = siblingRig({ gpus });
    const pending = answer('compare_gpus', { window: 3 }, 6);
    clock.after(1_600, () => {
      gpus[3] = { ...gpus[3], sample: new GpuError('GPU_LOST', 'lost') };
    });
    expect(await pending).toMatchObject({
      verdict: 'critical',
      notCompared: [{ gpus: [3], reason: 'it is lost' }],
    });
  });
});
