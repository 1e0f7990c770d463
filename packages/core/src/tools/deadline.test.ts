import { describe, expect, test } from 'vitest';
import { h100Node } from '../../test/h100.ts';
import { fellOffTheBus, record, rig, startedAt, turn } from '../../test/rig.ts';
import type { KernelLog } from '../ports/kernel-log.ts';
import { inMemoryKernelLog, stubProvider } from '../testing.ts';
import type { ToolResult } from './tool.ts';

const node = h100Node({ 3: 'hang' });
const deafGpu = () => {
  const provider = stubProvider({ gpus: h100Node() });
  const { readGpu } = provider;
  return {
    ...provider,
    readGpu: (...args: Parameters<typeof readGpu>) =>
      args[0].index === 3 ? new Promise<never>(() => {}) : readGpu(...args),
  };
};
const deafLog: KernelLog = { read: () => new Promise(() => {}) };
const gpuTools = ['get_gpu_health', 'get_gpu_inventory', 'get_gpu_telemetry'];

/** Moves the clock in steps until the answer is there; tells when it was. */
async function answeredAfter(clock: { now(): number; advance(ms: number): void }, work: Promise<ToolResult>) {
  let result: ToolResult | undefined;
  void work.then((value) => {
    result = value;
  });
  await turn();
  for (let step = 0; !result && step < 1_000; step += 1) {
    clock.advance(100);
    await turn();
  }
  if (!result) throw new Error('no answer after 100 s');
  if (result.isError) throw new Error(result.text);
  return {
    milliseconds: clock.now() - Date.parse(startedAt),
    answer: result.structuredContent as {
      verdict?: string;
      summary: string;
      gpus: Record<string, unknown>[];
      incidents: Record<string, unknown>[];
      gaps: Record<string, unknown>[];
      coverage: Record<string, Record<string, unknown>>;
    },
  };
}

describe.each(gpuTools)('%s, when one GPU hangs', (name) => {
  test.each([
    ['and its adapter keeps to the signal', () => ({ gpus: node }), 9_500],
    ['and its adapter is deaf', () => ({ provider: deafGpu() }), 9_800],
  ])('%s: siblings are told, the GPU is named, within the deadline', async (_, options, expected) => {
    const { clock, call } = rig(options());
    const { milliseconds, answer } = await answeredAfter(clock, call(name));
    expect(milliseconds).toBe(expected);
    expect(answer.verdict).toBe('critical');
    expect(answer.summary).toContain(name === 'get_gpu_telemetry' ? '7 of 8 GPUs read' : 'GPU 3');
    expect(answer.gpus).toHaveLength(8);
    expect(answer.gpus[3]).toMatchObject({ index: 3, state: 'hung' });
    const siblings = answer.gpus.filter((gpu) => gpu['index'] !== 3);
    for (const sibling of siblings) {
      if (name === 'get_gpu_health') expect(sibling).toMatchObject({ verdict: 'ok', score: 100 });
      else expect(sibling).toMatchObject({ state: 'ok', uuid: expect.stringMatching(/^GPU-/) });
    }
    const timeouts = answer.gaps.filter((gap) => gap['reason'] === 'timeout');
    expect(timeouts.length).toBeGreaterThan(0);
    expect(timeouts.every((gap) => gap['gpu'] === 3)).toBe(true);
  });

  test('a shorter deadline holds too', async () => {
    const { clock, call } = rig({ provider: deafGpu(), deadlineMilliseconds: 1_000 });
    const { milliseconds, answer } = await answeredAfter(clock, call(name));
    expect(milliseconds).toBeLessThanOrEqual(1_000);
    expect(answer.gpus[0]).toHaveProperty('uuid');
  });

  test("the caller's abort comes first", async () => {
    const caller = new AbortController();
    const { clock, call } = rig({ gpus: node });
    const work = call(name, {}, { signal: caller.signal });
    await turn();
    caller.abort();
    const { milliseconds, answer } = await answeredAfter(clock, work);
    expect(milliseconds).toBe(0);
    expect(answer.gpus[3]).toMatchObject({ state: 'hung' });
  });

  test('a caller that had gone before it began is answered at once', async () => {
    const { clock, call } = rig({ gpus: node });
    const { milliseconds } = await answeredAfter(clock, call(name, {}, { signal: AbortSignal.abort() }));
    expect(milliseconds).toBe(0);
  });
});

describe('when the driver as a whole hangs', () => {
  test.each(gpuTools)('%s is unknown within the deadline, and says what to do', async (name) => {
    const { clock, call } = rig({ describe: 'hang' });
    const { milliseconds, answer } = await answeredAfter(clock, call(name));
    expect(milliseconds).toBe(9_500);
    expect(answer).toMatchObject({
      verdict: 'unknown',
      gpus: [],
      gaps: [{ field: 'gpuBackend', reason: 'timeout' }],
    });
  });

  test.each([10_000, 1_000])(
    'analyze_xid_errors still tells the log, deadline %d ms',
    async (deadlineMilliseconds) => {
      const log = [record(fellOffTheBus('0000:18:00'))];
      const { clock, call } = rig({ describe: 'hang', log, deadlineMilliseconds });
      const { milliseconds, answer } = await answeredAfter(clock, call('analyze_xid_errors'));
      expect(milliseconds).toBeLessThanOrEqual(Math.min(3_000, deadlineMilliseconds));
      expect(answer).toMatchObject({
        verdict: 'critical',
        incidents: [{ xid: 79, pciAddress: '0000:18:00' }],
      });
      expect(answer.gaps).toMatchObject([{ field: 'gpuAttribution', reason: 'timeout' }]);
    },
  );

  test('get_gpu_health tells what the log has', async () => {
    const { clock, call } = rig({ describe: 'hang', log: [record(fellOffTheBus('0000:18:00'))] });
    const { answer } = await answeredAfter(clock, call('get_gpu_health'));
    expect(answer.verdict).toBe('critical');
    expect(answer.summary).toContain('Xid 79');
  });
});

describe('when the kernel log hangs', () => {
  test.each(['get_gpu_health', 'analyze_xid_errors'])('%s answers without it, and says so', async (name) => {
    const { clock, call } = rig({ log: deafLog });
    const { milliseconds, answer } = await answeredAfter(clock, call(name));
    expect(milliseconds).toBe(9_800);
    expect(answer.coverage['kernelLog']).toMatchObject({ readable: false });
    expect(answer.gaps).toMatchObject([{ field: 'kernelLog', reason: 'timeout' }]);
    expect(answer.verdict).toBe(name === 'get_gpu_health' ? 'ok' : 'unknown');
    expect(answer.summary).toContain('kernel log could not be read');
  });
});

test('nothing waits when nothing hangs, and no timer is left behind', async () => {
  const { clock, call } = rig({ log: inMemoryKernelLog([]) });
  let pending = 0;
  const { after } = clock;
  clock.after = (milliseconds, callback) => {
    pending += 1;
    const cancel = after(milliseconds, callback);
    return () => {
      pending -= 1;
      cancel();
    };
  };
  for (const name of [...gpuTools, 'analyze_xid_errors']) {
    const { milliseconds } = await answeredAfter(clock, call(name));
    expect(milliseconds).toBe(0);
  }
  expect(pending).toBe(0);
});
