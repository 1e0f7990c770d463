import { describe, expect, test } from 'vitest';
import { h100Node, h100Sample } from '../../test/h100.ts';
import { type RigOptions, rig, startedAt, turn } from '../../test/rig.ts';
import { type GpuSample, gpuSections } from '../domain/gpu.ts';
import { GpuError } from '../errors.ts';
import type { GpuProvider } from '../ports/gpu-provider.ts';
import { silentLogger } from '../ports/runtime.ts';
import { fixedClock, inMemoryKernelLog, stubProvider } from '../testing.ts';
import { createToolkit } from './create-gpu-tools.ts';
import { getGpuTelemetry } from './get-gpu-telemetry.ts';
import { makeTool } from './run-tool.ts';
import type { ToolContext } from './tool.ts';

interface Answer {
  readonly verdict?: string;
  readonly summary: string;
  readonly window: { readonly seconds: number; readonly intervalMilliseconds: number };
  readonly gpus: readonly Record<string, unknown>[];
  readonly gaps: readonly Record<string, unknown>[];
  readonly nextSteps: readonly unknown[];
}

/** Calls the tool and moves the clock in steps of 50 ms until it answers; tells when that was. */
async function over(options: RigOptions, input: unknown, context?: ToolContext) {
  const { clock, call } = rig(options);
  let result: Awaited<ReturnType<typeof call>> | undefined;
  void call('get_gpu_telemetry', input, context).then((value) => {
    result = value;
  });
  await turn();
  for (let step = 0; !result && step < 400; step += 1) {
    clock.advance(50);
    await turn();
  }
  if (!result) throw new Error('no answer after 20 s');
  if (result.isError) throw new Error(result.text);
  const milliseconds = clock.now() - Date.parse(startedAt);
  return { milliseconds, answer: result.structuredContent as unknown as Answer };
}

/** The healthy node, but what each GPU tells depends on how often it was asked before. */
function changing(sampleOf: (gpu: number, before: number) => GpuSample | GpuError | 'hang'): GpuProvider {
  const asked = new Map<number, number>();
  const plain = stubProvider({ gpus: h100Node() });
  return {
    ...plain,
    readGpu(gpu, sections, signal) {
      const before = asked.get(gpu.index) ?? 0;
      asked.set(gpu.index, before + 1);
      const sample = sampleOf(gpu.index, before);
      return stubProvider({ gpus: h100Node({ [gpu.index]: sample }) }).readGpu(gpu, sections, signal);
    },
  };
}

describe('one reading', () => {
  test('every section can be asked for, and only those asked for are told', async () => {
    const { answer } = rig();
    const all = await answer('get_gpu_telemetry', { gpu: 0, sections: gpuSections });
    for (const section of gpuSections) expect(all.gpus[0]).toHaveProperty(section);
    const one = await answer('get_gpu_telemetry', { gpu: 0, sections: ['nvlink'] });
    expect(Object.keys(one.gpus[0] ?? {})).toEqual(['index', 'uuid', 'state', 'probeMilliseconds', 'nvlink']);
  });

  test('full tells how long the driver took; a summary does not', async () => {
    const gpus = h100Node({ 0: { ...h100Sample(0), probeMilliseconds: 12.345 } });
    const { answer } = rig({ gpus });
    const full = await answer('get_gpu_telemetry', { detail: 'full' });
    expect(full.gpus[0]).toMatchObject({ probeMilliseconds: 12.3 });
    expect((await answer('get_gpu_telemetry')).gpus[0]).not.toHaveProperty('probeMilliseconds');
  });
});

describe('a window', () => {
  test('takes as long as asked, with a sample at its beginning, each second, and its end', async () => {
    const { milliseconds, answer } = await over({}, { window: 5 });
    expect(milliseconds).toBe(5_000);
    expect(answer.window).toEqual({ seconds: 5, intervalMilliseconds: 1_000 });
    expect(answer.gpus).toHaveLength(8);
    expect(answer.gpus[0]).toMatchObject({
      index: 0,
      state: 'ok',
      sampleCount: 6,
      elapsedMilliseconds: 5_000,
    });
    expect(answer).not.toHaveProperty('verdict');
    expect(answer.summary).toBe(
      '8 of 8 GPUs sampled for 5 s, temperature 31 to 34 C, power 71 W, utilization 0 %.',
    );
    expect(answer.gaps).toEqual([]);
  });

  test.each([
    [{ window: 1 }, 2],
    [{ window: 8, intervalMilliseconds: 100 }, 81],
    [{ window: 2, intervalMilliseconds: 800 }, 4], // at 0, 800, 1600 and 2000
    [{ window: 1.5, intervalMilliseconds: 1_500 }, 2],
  ])('%j takes %d samples', async (input, sampleCount) => {
    const { answer } = await over({}, { ...input, gpu: 0 });
    expect(answer.gpus[0]).toMatchObject({ sampleCount, elapsedMilliseconds: input.window * 1_000 });
  });

  test('tells statistics, growth, duty cycles and shares', async () => {
    const provider = changing((index, before) =>
      h100Sample(index, {
        power: { drawWatts: 100 * (before + 1), energyJoules: 1_000 + 250 * before },
        violations: { powerMicroseconds: 9_000_000 + 400_000 * before },
        clocks: { eventReasons: before === 0 ? ['idle'] : ['software-power-cap'] },
        pcie: { replayCount: 40 + before },
      }),
    );
    const { answer } = await over({ provider }, { window: 3, detail: 'full', gpu: 2 });
    expect(answer.gpus[0]).toMatchObject({
      index: 2,
      power: {
        drawWatts: { min: 100, mean: 250, max: 400, last: 400 },
        energyJoules: { increase: 750, perSecond: 250 },
        enforcedLimitWatts: 700,
      },
      violations: { powerPercent: 40, thermalPercent: 0 },
      clocks: { eventReasonsPercent: { idle: 25, 'software-power-cap': 75 }, performanceState: 'P0' },
      pcie: { replayCount: { increase: 3, perSecond: 1 } },
      identity: { minorNumber: 2 },
    });
    expect(answer.summary).toContain('power 100 to 400 W');
  });

  test('a summary of 8 GPUs stays under 1,500 tokens', async () => {
    const { answer } = await over({}, { window: 2 });
    expect(Buffer.byteLength(JSON.stringify(answer)) / 4).toBeLessThan(1_500);
    expect(answer.gpus[0]).toMatchObject({
      thermal: { temperatureCelsius: { min: 31 } },
      violations: { powerPercent: 0, thermalPercent: 0 },
      clocks: { eventReasonsPercent: { idle: 100 } },
    });
  });

  test('a reading longer than the interval delays the next; missed ones are not made up for', async () => {
    const plain = stubProvider({ gpus: h100Node() });
    const { clock, call } = rig({
      provider: {
        ...plain,
        async readGpu(...args) {
          await new Promise<void>((resolve) => void clock.after(700, resolve));
          return plain.readGpu(...args);
        },
      },
    });
    let answer: unknown;
    void call('get_gpu_telemetry', { gpu: 0, window: 2, intervalMilliseconds: 500 }).then((result) => {
      answer = result;
    });
    for (let step = 0; !answer && step < 100; step += 1) {
      await turn();
      clock.advance(50);
    }
    // Begun at 0, 1000 and 2000; read 700 ms later.
    expect(answer).toMatchObject({
      structuredContent: { gpus: [{ sampleCount: 3, elapsedMilliseconds: 2_000 }], gaps: [] },
    });
  });

  test('progress is told sample by sample, and never goes back', async () => {
    const told: number[] = [];
    await over({}, { window: 2 }, { progress: (done, total) => told.push(done / total) });
    expect(told).toHaveLength(24);
    expect(told).toEqual([...told].sort((a, b) => a - b));
    expect(told.at(-1)).toBe(1);
  });
});

describe('a window in which something fails', () => {
  test('a GPU that is lost keeps what was read before, is not asked again, and says why', async () => {
    const provider = changing((index, before) =>
      index === 3 && before >= 2 ? new GpuError('GPU_LOST', 'GPU is lost') : h100Sample(index),
    );
    const { milliseconds, answer } = await over({ provider }, { window: 5 });
    expect(milliseconds).toBe(5_000);
    expect(answer.verdict).toBe('critical');
    expect(answer.gpus[3]).toMatchObject({
      state: 'lost',
      sampleCount: 2,
      elapsedMilliseconds: 1_000,
      power: { drawWatts: { mean: 71.42 } },
    });
    expect(answer.gpus[4]).toMatchObject({ state: 'ok', sampleCount: 6 });
    const gaps = answer.gaps.filter((gap) => gap['gpu'] === 3);
    expect(gaps).toContainEqual({
      gpu: 3,
      field: expect.stringContaining('power'),
      reason: 'gpu-lost',
      detail: 'GPU is lost',
    });
    expect(answer.gaps).toHaveLength(gaps.length);
    expect(answer.summary).toMatch(/^7 of 8 GPUs sampled for 5 s, GPU 3 is lost/);
    expect(answer.nextSteps).toMatchObject([{ tool: 'get_gpu_health' }]);
  });

  test('a GPU that hangs at once holds no other up, and the answer not beyond the deadline', async () => {
    const { milliseconds, answer } = await over({ gpus: h100Node({ 3: 'hang' }) }, { window: 3 });
    expect(milliseconds).toBe(9_500);
    expect(answer.gpus[3]).toMatchObject({ state: 'hung', sampleCount: 0 });
    expect(answer.gpus[3]).not.toHaveProperty('power');
    expect(answer.gpus[0]).toMatchObject({ state: 'ok', sampleCount: 4, elapsedMilliseconds: 3_000 });
    expect(answer.gaps.every((gap) => gap['gpu'] === 3 && gap['reason'] === 'timeout')).toBe(true);
  });

  test('a caller that leaves gets what was read, and each GPU says that it was cut short', async () => {
    const caller = new AbortController();
    const { clock, call } = rig();
    const work = call('get_gpu_telemetry', { window: 5 }, { signal: caller.signal });
    await turn();
    for (let step = 0; step < 22; step += 1) {
      clock.advance(100);
      await turn();
    }
    caller.abort();
    expect(await work).toMatchObject({
      structuredContent: {
        gpus: { length: 8, 0: { sampleCount: 3, elapsedMilliseconds: 2_000 } },
        gaps: [{ field: 'window', reason: 'timeout', detail: 'sampled for 2 of 5 s' }],
      },
    });
  });

  test('a driver that cannot be asked', async () => {
    const describe = new GpuError('DRIVER_NOT_LOADED', 'no driver');
    const { answer } = await over({ describe }, { window: 2 });
    expect(answer).toMatchObject({ verdict: 'unknown', gpus: [] });
  });

  test('no timer and no listener is left behind', async () => {
    const { clock, call } = rig();
    const caller = new AbortController();
    let [timers, listeners] = [0, 0];
    const { after } = clock;
    clock.after = (milliseconds, callback) => {
      let over = false;
      timers += 1;
      const end = () => {
        if (!over) timers -= 1;
        over = true;
      };
      const cancel = after(milliseconds, () => {
        end();
        callback();
      });
      return () => {
        end();
        cancel();
      };
    };
    const { addEventListener, removeEventListener } = caller.signal;
    caller.signal.addEventListener = (...args: Parameters<typeof addEventListener>) => {
      listeners += 1;
      addEventListener.apply(caller.signal, args);
    };
    caller.signal.removeEventListener = (...args: Parameters<typeof removeEventListener>) => {
      listeners -= 1;
      removeEventListener.apply(caller.signal, args);
    };
    const work = call('get_gpu_telemetry', { window: 1 }, { signal: caller.signal });
    for (let step = 0; step < 12; step += 1) {
      await turn();
      clock.advance(100);
    }
    expect((await work).isError).toBe(false);
    expect([timers, listeners]).toEqual([0, 0]);
  });
});

describe('the deadline bounds the window', () => {
  const withDeadline = (deadlineMilliseconds: number) => {
    const clock = fixedClock();
    const gpuProvider = stubProvider({ gpus: h100Node() });
    const toolkit = createToolkit(
      { gpuProvider, kernelLog: inMemoryKernelLog([]), clock },
      { nodeName: 'n' },
    );
    const options = { clock, logger: silentLogger, deadlineMilliseconds };
    return makeTool(getGpuTelemetry(toolkit, deadlineMilliseconds), options);
  };

  test.each([
    [10_000, 8.1, /1 to 8: this server answers within 10 s/],
    [30_000, 29, /1 to 28/],
    [2_500, 1, /leaves no room for a window/],
    [10_000, -1, /1 to 8/],
    [10_000, Number.NaN, /1 to 8/],
  ])('of %d ms: %d s is refused', async (deadline, window, message) => {
    const result = await withDeadline(deadline).call({ window });
    expect(result).toMatchObject({ isError: true, code: 'INVALID_INPUT' });
    expect(result.text).toMatch(message);
  });

  test('a long window has at most 120 samples, and the error says the least interval', async () => {
    const result = await withDeadline(600_000).call({ window: 598, intervalMilliseconds: 1_000 });
    expect(result.text).toMatch(/intervalMilliseconds = 1000: expected 4984 to 598000 .*at most 120 samples/);
  });
});
