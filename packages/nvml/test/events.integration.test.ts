import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { GpuDriverEvent, WatchNotice } from '@k8s-gpu-mcp/core';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createNvmlEventSource, type NvmlEventSource } from '../src/index.ts';
import {
  compileFakeLibrary,
  configText,
  ensureBuilt,
  helperPids,
  noCompiler,
  until,
  type Values,
} from './fake/rig.ts';

// nvmlEventType*: Xid, performance state, recovery action. Source: nvml.h.
const xid = 0x8;
const performanceState = 0x4;
const recoveryAction = 0x8000;
const supported: Values = { 'events.supported': xid | performanceState | recoveryAction };

let folder: string;
let controller: AbortController;
let ended: Promise<void>;
let items: (GpuDriverEvent | WatchNotice)[];
let source: NvmlEventSource;
const path = (name: string) => join(folder, name);
const emit = (...lines: string[]) => appendFileSync(path('events'), `${lines.join('\n')}\n`);
const configure = (gpus: readonly Values[], faults: readonly string[] = []) => {
  const lines = [`events ${path('events')}`, ...faults];
  writeFileSync(path('config'), configText({ gpus, faults: lines }, path('calls')));
};

/** Listens, and resolves once the driver waits for events. */
async function listen(gpus: readonly Values[], faults: readonly string[] = []) {
  configure(gpus, faults);
  source = createNvmlEventSource({
    library: compileFakeLibrary(),
    environment: { FAKE_NVML_CONFIG: path('config') },
    sliceMilliseconds: 100,
    stallMilliseconds: 500,
  });
  ended = (async () => {
    for await (const item of source.watch(controller.signal)) items.push(item);
  })();
}
const events = () => items.flatMap((item) => ('type' in item ? [item] : []));
const notices = () => items.flatMap((item) => ('notice' in item ? [item] : []));
/** Sends until something of it arrives: nobody says when the listening has begun. */
const emitUntilHeard = (line: string) => {
  const before = events().length;
  let last = 0;
  return until(() => {
    if (Date.now() - last > 200) {
      last = Date.now();
      emit(line);
    }
    return events().length > before;
  }, 15_000);
};

describe.skipIf(noCompiler !== undefined)('live events of a real dlopen', () => {
  beforeEach(() => {
    ensureBuilt();
    folder = mkdtempSync(join(tmpdir(), 'nvml-events-'));
    writeFileSync(path('events'), '');
    controller = new AbortController();
    items = [];
  });
  afterEach(async () => {
    controller.abort();
    await ended;
    await until(() => helperPids().length === 0, 10_000);
    rmSync(folder, { recursive: true, force: true });
  });

  it('name the GPU, what happened, its number and its instance; what was before is not told', async () => {
    emit(`1 ${xid} 48`);
    await listen([supported, supported]);
    await emitUntilHeard(`0 ${performanceState} 5`);
    const before = events().length;
    emit(`1 ${xid} 79`, `0 ${xid} 31 2 0`, `1 ${recoveryAction} 2`);
    await until(() => events().length >= before + 3);
    const bus = ['0000:1b:00.0', '0000:1c:00.0'];
    expect(events()[0]).toMatchObject({ type: 'performance-state', value: null, gpu: { index: 0 } });
    expect(events().slice(before)).toMatchObject([
      { type: 'xid', value: 79, gpu: { index: 1, pciAddress: bus[1] }, gpuInstanceId: null },
      {
        type: 'xid',
        value: 31,
        gpu: { index: 0, pciAddress: bus[0] },
        gpuInstanceId: 2,
        computeInstanceId: 0,
      },
      { type: 'recovery-action', value: 2, gpu: { uuid: 'GPU-00000000-1111-2222-3333-000000000001' } },
    ]);
    expect(events().some(({ value }) => value === 48)).toBe(false);
    expect(notices()).toEqual([]);
    const began = performance.now();
    controller.abort();
    await ended;
    expect(performance.now() - began).toBeLessThan(250);
  });

  it('a GPU that has none is told, the others are heard', async () => {
    await listen([supported, { 'events.supported': null }]);
    await emitUntilHeard(`0 ${xid} 79`);
    expect(notices()).toMatchObject([
      { notice: 'blind', gap: { gpu: 1, field: 'events', reason: 'unsupported' } },
    ]);
  });

  it.each<[string, string, string, RegExp]>([
    ['crashes', 'mode nvmlEventSetWait_v2 * segfault', 'error', /was ended by SIGSEGV/],
    ['hangs', 'mode nvmlEventSetWait_v2 * hang', 'timeout', /"wait for events" has taken/],
    ['loses a GPU', 'rc nvmlEventSetWait_v2 * 15', 'gpu-lost', /GPU_IS_LOST/],
    ['unloads', 'rc nvmlEventSetWait_v2 * 9', 'error', /DRIVER_NOT_LOADED/],
  ])(
    'a driver that %s: blind with the reason, restored once it is well, and events again',
    async (_, fault, reason, detail) => {
      await listen([supported, supported]);
      await emitUntilHeard(`0 ${xid} 1`);
      configure([supported, supported], [fault]);
      await until(() => notices().length > 0);
      expect(notices()).toMatchObject([
        { notice: 'blind', gap: { field: 'events', reason, detail: expect.stringMatching(detail) } },
      ]);
      configure([supported, supported]);
      await emitUntilHeard(`1 ${xid} 62`);
      expect(notices().map(({ notice }) => notice)).toEqual(['blind', 'restored']);
      expect(helperPids()).toHaveLength(1);
    },
  );

  it('a GPU whose lookup hangs: it is blind, and the other is heard all the same', async () => {
    await listen([supported, supported], ['mode nvmlDeviceGetHandleByIndex_v2 1 hang']);
    await emitUntilHeard(`0 ${xid} 79`);
    expect(notices()[0]).toMatchObject({
      notice: 'blind',
      gap: { gpu: 1, reason: 'timeout', detail: expect.stringMatching(/^GPU 1 does not answer/) },
    });
    expect(events()[0]).toMatchObject({ gpu: { index: 0 }, value: 79 });
  });

  it('suspend lets go of the driver until it is resumed', async () => {
    await listen([supported]);
    await emitUntilHeard(`0 ${xid} 1`);
    const resume = await source.suspend();
    expect(helperPids()).toEqual([]);
    expect(notices()).toMatchObject([{ notice: 'blind', gap: { reason: 'not-observable' } }]);
    resume();
    await emitUntilHeard(`0 ${xid} 2`);
    expect(notices().at(-1)).toMatchObject({ notice: 'restored' });
  });
});
