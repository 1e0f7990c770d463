import { describe, expect, it } from 'vitest';
import { allocateStruct } from '../abi/codec.ts';
import { structs } from '../abi/structs.ts';
import {
  decodeAccounting,
  decodePercent,
  decodeProcessEntry,
  decodeStartTime,
  decodeUtilizationSamples,
  mergeProcesses,
  type ProcessEntry,
} from './processes.ts';

const reasonOf = (reading: object) => ('reason' in reading ? reading.reason : undefined);

describe('decodeProcessEntry', () => {
  it.each([
    ['nvmlProcessInfo_v1_t', 16],
    ['nvmlProcessInfo_t', 24],
    ['nvmlProcessDetail_v1_t', 32],
  ] as const)('reads %s at a stride of %i bytes', (layout, stride) => {
    const buffer = allocateStruct(layout, 2);
    buffer.writeUInt32LE(77, stride);
    buffer.writeBigUInt64LE(4096n, stride + 8);
    if (stride > 16) {
      buffer.writeUInt32LE(3, stride + 16);
      buffer.writeUInt32LE(0xffff_ffff, stride + 20);
    }
    expect(decodeProcessEntry('call', buffer, layout, 1)).toEqual({
      pid: 77,
      memory: { value: 4096 },
      gpuInstanceId: stride > 16 ? 3 : null,
      computeInstanceId: null,
    });
  });

  it('does not take "not available" for 16 exbibytes', () => {
    const buffer = allocateStruct('nvmlProcessInfo_t');
    buffer.writeBigUInt64LE(0xffff_ffff_ffff_ffffn, structs.nvmlProcessInfo_t.fields.usedGpuMemory.offset);
    expect(reasonOf(decodeProcessEntry('call', buffer, 'nvmlProcessInfo_t', 0).memory)).toBe('unsupported');
  });
});

describe('mergeProcesses', () => {
  const unknown = { value: null, reason: 'unsupported', detail: 'call' } as const;
  const entry = (pid: number, more: Partial<ProcessEntry> = {}): ProcessEntry => ({
    pid,
    memory: { value: 1 },
    gpuInstanceId: null,
    computeInstanceId: null,
    ...more,
  });

  it('keeps a process on two instances apart, and one in two lists together', () => {
    const merged = mergeProcesses([
      { ...entry(9, { gpuInstanceId: 1, computeInstanceId: 0 }), kind: 'compute' },
      { ...entry(9, { gpuInstanceId: 2, computeInstanceId: 0 }), kind: 'compute' },
      { ...entry(4), kind: 'graphics' },
      { ...entry(9, { gpuInstanceId: 2, computeInstanceId: 0 }), kind: 'mps' },
    ]);
    expect(merged.map(({ pid, gpuInstanceId, kinds }) => [pid, gpuInstanceId, kinds])).toEqual([
      [4, null, ['graphics']],
      [9, 1, ['compute']],
      [9, 2, ['compute', 'mps']],
    ]);
  });

  it('takes the memory of the list that knows it, once', () => {
    const merged = mergeProcesses([
      { ...entry(1, { memory: unknown }), kind: 'compute' },
      { ...entry(1, { memory: { value: 500 } }), kind: 'graphics' },
      { ...entry(1, { memory: { value: 500 } }), kind: 'mps' },
    ]);
    expect(merged.map(({ memory }) => memory.value)).toEqual([500]);
  });
});

describe('utilisation', () => {
  it('takes the newest sample of each pid', () => {
    const buffer = allocateStruct('nvmlProcessUtilizationSample_t', 3);
    [
      [7, 20n, 90],
      [7, 10n, 10],
      [8, 5n, 50],
    ].forEach(([pid, at, sm], position) => {
      buffer.writeUInt32LE(Number(pid), position * 32);
      buffer.writeBigUInt64LE(BigInt(at ?? 0), position * 32 + 8);
      buffer.writeUInt32LE(Number(sm), position * 32 + 16);
    });
    const samples = decodeUtilizationSamples('call', buffer, 3);
    expect([...samples].map(([pid, { smPercent }]) => [pid, smPercent.value])).toEqual([
      [7, 90],
      [8, 50],
    ]);
  });

  it.each([
    [0, 0, undefined],
    [100, 100, undefined],
    [101, null, 'error'],
    [0xffff_ffff, null, 'unsupported'],
  ])('decodes %i', (number, value, reason) => {
    expect(decodePercent('call', number).value).toBe(value);
    expect(reasonOf(decodePercent('call', number))).toBe(reason);
  });
});

describe('accounting', () => {
  it.each([
    [1_767_323_045_678_901n, '2026-01-02T03:04:05.678Z', undefined],
    [0n, null, 'unsupported'],
    [0xffff_ffff_ffff_ffffn, null, 'unsupported'],
    [0x7fff_ffff_ffff_ffffn, null, 'error'],
  ])('start %s is %s', (microseconds, value, reason) => {
    expect(decodeStartTime('call', microseconds).value).toBe(value);
    expect(reasonOf(decodeStartTime('call', microseconds))).toBe(reason);
  });

  it('survives any bytes', () => {
    const missing: string[] = [];
    const process = decodeAccounting(1, Buffer.alloc(120, 0xff), (leaf, reading) => {
      if ('reason' in reading) missing.push(leaf);
      return 'reason' in reading ? null : reading.value;
    });
    expect(process).toMatchObject({
      running: true,
      gpuPercent: null,
      startedAt: null,
      activeMilliseconds: null,
    });
    expect(missing).toEqual([
      'gpuPercent',
      'memoryPercent',
      'maxMemoryUsedBytes',
      'startedAt',
      'activeMilliseconds',
    ]);
  });
});
