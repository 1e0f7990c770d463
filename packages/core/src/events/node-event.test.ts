import { describe, expect, test } from 'vitest';
import { h100Ref } from '../../test/h100.ts';
import { fellOffTheBus, record, xidLine } from '../../test/rig.ts';
import type { KernelLogRecord } from '../domain/event.ts';
import { gpuEventTypes } from '../domain/readings/events.ts';
import { isDisruptive } from '../domain/verdict.ts';
import type { GpuDriverEvent } from '../ports/gpu-event-source.ts';
import { presentNodeEvent } from '../tools/present-node-event.ts';
import { findXid } from '../xid/catalogue.ts';
import { parseKernelEvent } from '../xid/parse.ts';
import { gpuResolver, observeDriverEvent, observeKernelEvent } from './node-event.ts';

const gpus = Array.from({ length: 8 }, (_, index) => h100Ref(index));
const resolve = gpuResolver(gpus);
const receivedAt = '2026-11-21T12:00:00.000Z';

const kernel = (line: KernelLogRecord) =>
  observeKernelEvent(parseKernelEvent(line) ?? expect.fail(), receivedAt, resolve);
const driver = (changes: Partial<GpuDriverEvent> = {}) =>
  observeDriverEvent(
    {
      type: 'xid',
      gpu: h100Ref(0),
      at: receivedAt,
      value: 79,
      gpuInstanceId: null,
      computeInstanceId: null,
      ...changes,
    },
    resolve,
  );

describe('gpuResolver', () => {
  test.each([
    [{ pciAddress: '0000:3a:00' }, 2],
    [{ pciAddress: '00000000:3A:00.0' }, 2],
    [{ uuid: gpus[4]?.uuid ?? '' }, 4],
    [{ index: 5 }, 5],
    // An address may belong to another GPU by now.
    [{ uuid: gpus[4]?.uuid ?? '', pciAddress: '0000:3a:00', index: 7 }, 4],
    [{ uuid: 'GPU-unknown', pciAddress: '0000:3a:00' }, 2],
    [{ pciAddress: '0000:ff:00' }, undefined],
    [{}, undefined],
  ])('%j: %j', (naming, index) => {
    expect(resolve(naming)?.index).toBe(index);
  });
});

test('driver and kernel log judge the same Xid by the same catalogue', () => {
  const told = driver();
  const logged = kernel(record(fellOffTheBus('0000:18:00')));
  const { title, severity, action, verdict, gpu, pciAddress, xid } = told;
  expect(logged).toMatchObject({ title, severity, action, verdict, gpu, pciAddress, xid });
  expect(title).toBe(findXid(79)?.title);
  expect(verdict).toBe('critical');
});

describe('driver events', () => {
  test.each(gpuEventTypes)('%s has a title and asks for nothing disruptive by itself', (type) => {
    const event = driver({ type, value: null });
    expect(event.title).toMatch(/^[A-Z]/);
    expect(isDisruptive(event.action)).toBe(false);
  });

  test('a recovery action is the driver’s own word', () => {
    expect(driver({ type: 'recovery-action', value: 1 })).toMatchObject({
      title: 'Recovery action changed: reset',
      action: 'reset-gpu',
      verdict: 'critical',
      value: 1,
    });
    expect(driver({ type: 'recovery-action', value: 0 })).toMatchObject({ action: 'none', verdict: 'ok' });
    expect(driver({ type: 'recovery-action', value: 99 })).toMatchObject({ action: 'monitor' });
  });

  test('an Xid that no catalogue has is only watched', () => {
    expect(driver({ value: 9_999 })).toMatchObject({ xid: 9_999, action: 'monitor' });
  });

  test('a GPU that no inventory has keeps its own name', () => {
    const gpu = { index: 3, uuid: 'GPU-new', pciAddress: null, name: null };
    expect(
      observeDriverEvent(
        { type: 'clock', gpu, at: receivedAt, value: null, gpuInstanceId: 1, computeInstanceId: 0 },
        () => undefined,
      ),
    ).toMatchObject({
      gpu: { index: 3, uuid: 'GPU-new' },
      pciAddress: null,
      gpuInstanceId: 1,
      computeInstanceId: 0,
    });
  });
});

describe('kernel events', () => {
  test('without a time have that of their arrival', () => {
    expect(kernel(record(fellOffTheBus('0000:18:00'), { at: null })).at).toBe(receivedAt);
  });

  test('of an address that no GPU has keep the address', () => {
    expect(kernel(record(fellOffTheBus('0000:ff:00')))).toMatchObject({
      gpu: null,
      pciAddress: '0000:ff:00',
    });
  });

  test('that a program wrote support no verdict', () => {
    expect(kernel(record(fellOffTheBus('0000:18:00'), { trusted: false }))).toMatchObject({
      trusted: false,
      verdict: 'unknown',
    });
  });
});

test('presentNodeEvent makes the words of the log harmless', () => {
  const hostile = 'py\u001b[31mthon\u202e```';
  const observed = kernel(record(xidLine(31, '0000:18:00', `pid=7, name=${hostile}, Ch 00000001`)));
  const { source, ...event } = observed;
  const shown = presentNodeEvent({
    id: 1,
    revision: 0,
    sources: [source],
    ...event,
    decoded: { reason: hostile, gpc: 1 },
  });
  expect(JSON.stringify(shown)).not.toMatch(/\\u001b|\u202e|```/);
  expect(shown).toMatchObject({ processName: "python'''", decoded: { reason: "python'''", gpc: 1 }, pid: 7 });
});
