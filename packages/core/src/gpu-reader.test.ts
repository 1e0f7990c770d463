import { describe, expect, test } from 'vitest';
import { h100Node, h100Ref, h100Sample } from '../test/h100.ts';
import { GpuError, type GpuErrorCode } from './errors.ts';
import { GpuReader, gapReasonOf } from './gpu-reader.ts';
import type { GpuProvider } from './ports/gpu-provider.ts';
import type { Logger } from './ports/runtime.ts';
import { fixedClock, type StubGpu, stubProvider } from './testing.ts';

const never = new AbortController().signal;
const turn = () => new Promise((resolve) => setImmediate(resolve));
const refs = Array.from({ length: 8 }, (_, index) => h100Ref(index));

function recordingLogger() {
  const lines: { level: string; message: string; fields?: Readonly<Record<string, unknown>> }[] = [];
  const at = (level: string) => (message: string, fields?: Readonly<Record<string, unknown>>) => {
    lines.push({ level, message, ...(fields ? { fields } : {}) });
  };
  const logger: Logger = { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
  return { lines, logger };
}

function readerOf(provider: GpuProvider) {
  const clock = fixedClock();
  const { lines, logger } = recordingLogger();
  return { reader: new GpuReader(provider, clock, logger), clock, lines };
}

const nodeWith = (changed: Readonly<Record<number, StubGpu['sample']>>) =>
  readerOf(stubProvider({ gpus: h100Node(changed) }));

/** Never answers and does not listen to its signal: it breaks the contract. */
const deaf = (provider: GpuProvider): GpuProvider => ({
  ...provider,
  describeNode: () => new Promise(() => {}),
  readGpu: (gpu, sections, signal) =>
    gpu.index === 1 ? new Promise(() => {}) : provider.readGpu(gpu, sections, signal),
});

describe('readGpus', () => {
  test('gives one reading per GPU in the order asked', async () => {
    const { reader } = nodeWith({});
    const readings = await reader.readGpus([refs[5]!, refs[0]!], ['thermal'], never);
    expect(readings.map(({ gpu, state }) => [gpu.index, state])).toEqual([
      [5, 'ok'],
      [0, 'ok'],
    ]);
    expect(readings[0]?.thermal?.marginCelsius).toBe(53);
    expect(readings[0]?.observedAt).toBe('2026-01-01T00:00:00.000Z');
  });

  test.each([
    ['GPU_LOST', 'lost', 'gpu-lost'],
    ['GPU_HUNG', 'hung', 'timeout'],
    ['NO_PERMISSION', 'unreadable', 'no-permission'],
    ['TIMEOUT', 'unreadable', 'timeout'],
    ['DRIVER_UNRESPONSIVE', 'unreadable', 'timeout'],
    ['NOT_SUPPORTED', 'unreadable', 'unsupported'],
    ['GPU_NOT_FOUND', 'unreadable', 'error'],
    ['ADAPTER_CRASHED', 'unreadable', 'error'],
    ['RESET_REQUIRED', 'reset-required', 'error'],
  ] as const)(
    '%s: that GPU is %s with a %s gap per section; its siblings are read',
    async (code, state, reason) => {
      const { reader } = nodeWith({ 3: new GpuError(code, 'what happened') });
      const readings = await reader.readGpus(refs, ['thermal', 'ecc'], never);
      expect(readings[3]).toEqual({
        gpu: refs[3],
        state,
        stateDetail: 'what happened',
        errorCode: code,
        observedAt: '2026-01-01T00:00:00.000Z',
        gaps: [
          { gpu: 3, field: 'thermal', reason, detail: 'what happened' },
          { gpu: 3, field: 'ecc', reason, detail: 'what happened' },
        ],
      });
      expect(gapReasonOf(new GpuError(code, ''))).toBe(reason);
      const siblings = readings.filter((_, index) => index !== 3);
      expect(siblings.every((reading) => reading.state === 'ok' && reading.ecc !== undefined)).toBe(true);
    },
  );

  test('the time a GPU took is told: the adapter knows it best, else it is the time waited', async () => {
    const slow = stubProvider({ gpus: h100Node({ 0: { ...h100Sample(0), probeMilliseconds: 7.5 } }) });
    const { reader, clock } = readerOf({
      ...slow,
      async readGpu(...args) {
        clock.advance(40);
        return slow.readGpu(...args);
      },
    });
    const readings = await reader.readGpus([refs[0]!, refs[1]!], ['thermal'], never);
    expect(readings.map(({ probeMilliseconds }) => probeMilliseconds)).toEqual([7.5, 40]);
  });

  test('a GPU that hangs until the signal is hung; siblings do not wait to be read', async () => {
    const provider = stubProvider({ gpus: h100Node({ 1: 'hang' }) });
    const { reader, lines } = readerOf(provider);
    const deadline = new AbortController();
    const reading = reader.readGpus(refs, ['thermal'], deadline.signal);
    await turn();
    expect(provider.calls.readGpu).toBe(8);
    deadline.abort();
    const readings = await reading;
    expect(readings.map(({ state }) => state)).toEqual(['ok', 'hung', 'ok', 'ok', 'ok', 'ok', 'ok', 'ok']);
    expect(lines).toEqual([]);
  });

  test('a provider that ignores its signal is left behind after a grace of 300 ms', async () => {
    const { reader, clock, lines } = readerOf(deaf(stubProvider({ gpus: h100Node() })));
    const deadline = new AbortController();
    let settled = false;
    const reading = reader.readGpus(refs, ['thermal'], deadline.signal).finally(() => {
      settled = true;
    });
    deadline.abort();
    clock.advance(299);
    await turn();
    expect(settled).toBe(false);
    clock.advance(1);
    const readings = await reading;
    expect(readings[1]).toMatchObject({
      state: 'hung',
      stateDetail: 'no answer for GPU 1 within the deadline',
    });
    expect(readings.filter(({ state }) => state === 'ok')).toHaveLength(7);
    expect(lines).toEqual([
      { level: 'warn', message: 'provider ignored its deadline', fields: { backend: 'stub', gpu: 1 } },
    ]);
  });

  test('a signal that had aborted before still gets the grace, and an answer', async () => {
    const { reader, clock } = readerOf(deaf(stubProvider({ gpus: h100Node() })));
    const reading = reader.readGpus([refs[1]!], ['thermal'], AbortSignal.abort());
    clock.advance(300);
    expect((await reading)[0]?.state).toBe('hung');
  });

  test('no listener stays on the signal of a caller that lives on', async () => {
    const { reader, clock } = nodeWith({});
    const signal = new AbortController().signal;
    let listeners = 0;
    const { addEventListener, removeEventListener } = signal;
    signal.addEventListener = (...args: Parameters<typeof addEventListener>) => {
      listeners += 1;
      addEventListener.apply(signal, args);
    };
    signal.removeEventListener = (...args: Parameters<typeof removeEventListener>) => {
      listeners -= 1;
      removeEventListener.apply(signal, args);
    };
    await reader.readGpus(refs, ['thermal'], signal);
    await turn();
    expect(listeners).toBe(0);
    clock.advance(60_000);
  });

  test.each([
    ['rejects with a TypeError', () => Promise.reject(new TypeError('x is not a function'))],
    [
      'throws before it has a promise',
      () => {
        throw new TypeError('x is not a function');
      },
    ],
    ['rejects with nothing', () => Promise.reject(undefined)],
  ])('an adapter that %s makes its GPU unreadable; the cause is logged, not shown', async (_, readGpu) => {
    const { reader, lines } = readerOf({ ...stubProvider({ gpus: h100Node() }), readGpu });
    const [reading] = await reader.readGpus([refs[0]!], ['thermal'], never);
    expect(reading).toMatchObject({ state: 'unreadable', gaps: [{ field: 'thermal', reason: 'error' }] });
    expect(JSON.stringify(reading)).not.toContain('is not a function');
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatchObject({ level: 'error', fields: { operation: 'readGpu 0' } });
  });

  test('what reading tells of the identity fills what the enumeration could not', async () => {
    const { reader } = nodeWith({});
    const bare = { index: 2, uuid: null, pciAddress: null, name: null };
    const [reading] = await reader.readGpus([bare], ['identity'], never);
    expect(reading?.gpu).toEqual({ ...h100Ref(2), pciAddress: null });
  });

  test('a null identity does not wipe out what the enumeration knew', async () => {
    const { reader } = nodeWith({ 2: h100Sample(2, { identity: { uuid: null, name: null } }) });
    const [reading] = await reader.readGpus([refs[2]!], ['identity'], never);
    expect(reading?.gpu).toEqual(h100Ref(2));
  });
});

describe('describe', () => {
  test.each(['LIBRARY_NOT_FOUND', 'DRIVER_NOT_LOADED', 'NO_PERMISSION'] satisfies GpuErrorCode[])(
    '%s is handed back, not thrown',
    async (code) => {
      const error = new GpuError(code, 'why');
      const { reader } = readerOf(stubProvider({ describe: error }));
      expect(await reader.describe(never)).toBe(error);
    },
  );

  test('what is no GpuError becomes INTERNAL, with its cause for the log', async () => {
    const fault = new TypeError('boom');
    const { reader, lines } = readerOf({ ...stubProvider(), describeNode: () => Promise.reject(fault) });
    expect(await reader.describe(never)).toMatchObject({ code: 'INTERNAL', cause: fault });
    expect(lines[0]).toMatchObject({ level: 'error', fields: { error: fault } });
  });

  test('hanging until the signal, or past it, is a TIMEOUT', async () => {
    const hanging = readerOf(stubProvider({ describe: 'hang' }));
    expect(await hanging.reader.describe(AbortSignal.abort())).toMatchObject({ code: 'TIMEOUT' });
    const { reader, clock } = readerOf(deaf(stubProvider()));
    const answer = reader.describe(AbortSignal.abort());
    clock.advance(300);
    expect(await answer).toMatchObject({ code: 'TIMEOUT' });
  });
});
