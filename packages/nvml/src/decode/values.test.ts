import {
  addressingModes,
  clockEventReasons,
  computeModes,
  eccLocations,
  gapReasons,
  gpuErrorCodes,
  recoveryActions,
  virtualizationModes,
} from '@k8s-gpu-mcp/core';
import { describe, expect, it } from 'vitest';
import { allocateStruct } from '../abi/codec.ts';
import { returnCodes } from '../abi/constants.ts';
import { structs } from '../abi/structs.ts';
import {
  addressingModeByValue,
  computeModeByValue,
  decodeArchitecture,
  decodeBrand,
  decodeChoice,
  decodeClockEventReasons,
  decodeCudaVersion,
  decodeFieldValue,
  decodeFlag,
  decodeMemoryTemperature,
  decodeMetric,
  decodePcieSpeed,
  decodePerformanceState,
  decodeRecoveryAction,
  decodeSupportedEventReasons,
  decodeText,
  decodeU8,
  decodeU32,
  decodeU64,
  describeReturn,
  eccLocationByValue,
  errorCodeOf,
  gapReasonOf,
  hintOf,
  initErrorCodeOf,
  migProfile,
  virtualizationModeByValue,
} from './values.ts';

describe('return codes', () => {
  it.each([
    [3, 'unsupported'],
    [13, 'unsupported'],
    [26, 'unsupported'],
    [4, 'no-permission'],
    [15, 'gpu-lost'],
    [10, 'timeout'],
    [6, 'error'],
    [9, 'error'],
    [16, 'error'],
    [17, 'error'],
    [18, 'error'],
    [25, 'error'],
    [27, 'error'],
    [999, 'error'],
    [12_345, 'error'],
  ])('%i is the gap reason %s', (code, reason) => {
    expect(gapReasonOf(code)).toBe(reason);
  });

  it.each([
    [2, 'GPU_NOT_FOUND'],
    [3, 'NOT_SUPPORTED'],
    [4, 'NO_PERMISSION'],
    [6, 'GPU_NOT_FOUND'],
    [9, 'DRIVER_NOT_LOADED'],
    [13, 'NOT_SUPPORTED'],
    [15, 'GPU_LOST'],
    [16, 'RESET_REQUIRED'],
    [17, 'UNAVAILABLE'],
    [18, 'DRIVER_MISMATCH'],
    [25, 'UNAVAILABLE'],
    [27, 'UNAVAILABLE'],
    [28, 'GPU_NOT_FOUND'],
    [999, 'UNAVAILABLE'],
  ])('%i at a handle lookup is %s', (code, expected) => {
    expect(errorCodeOf(code)).toBe(expected);
  });

  it.each([
    [4, 'NO_PERMISSION'],
    [9, 'DRIVER_NOT_LOADED'],
    [12, 'LIBRARY_INVALID'],
    [15, 'UNAVAILABLE'],
    [18, 'DRIVER_MISMATCH'],
    [999, 'UNAVAILABLE'],
  ])('%i at initialisation is %s', (code, expected) => {
    expect(initErrorCodeOf(code)).toBe(expected);
  });

  it('every code of the header has a name, a known reason and a known error code', () => {
    const codes = Object.keys(returnCodes).map(Number);
    expect(codes).toHaveLength(32);
    for (const code of codes) {
      expect(gapReasons).toContain(gapReasonOf(code));
      expect(Object.keys(gpuErrorCodes)).toContain(errorCodeOf(code));
      expect(Object.keys(gpuErrorCodes)).toContain(initErrorCodeOf(code));
    }
    expect(describeReturn(18)).toBe('NVML_ERROR_LIB_RM_VERSION_MISMATCH (18)');
    expect(describeReturn(77)).toBe('unknown NVML return code (77)');
  });

  it.each([4, 9, 18, 999])('%i comes with a hint that says what to do', (code) => {
    expect(hintOf(code)).toMatch(/run|load|restart/i);
  });
});

describe('scalars', () => {
  it('takes all ones for "not available", and zero for zero', () => {
    expect(decodeU32('f', 0xffff_ffff)).toMatchObject({ value: null, reason: 'unsupported' });
    expect(decodeU64('f', 2n ** 64n - 1n)).toMatchObject({ value: null, reason: 'unsupported' });
    expect(decodeU32('f', 0)).toEqual({ value: 0 });
    expect(decodeU64('f', 0n)).toEqual({ value: 0 });
  });

  it('reports what a JSON number cannot hold instead of rounding it', () => {
    expect(decodeU64('f', 2n ** 53n - 1n)).toEqual({ value: Number.MAX_SAFE_INTEGER });
    expect(decodeU64('f', 2n ** 53n)).toMatchObject({ value: null, reason: 'error' });
  });

  it('knows true, false, and neither', () => {
    expect([decodeFlag('f', 0), decodeFlag('f', 1)]).toEqual([{ value: false }, { value: true }]);
    expect(decodeFlag('f', 2)).toMatchObject({ value: null, reason: 'error' });
  });

  it('takes blank text for none', () => {
    expect(decodeText('f', '  ')).toMatchObject({ value: null, reason: 'unsupported' });
    expect(decodeText('f', ' 96.00 ')).toEqual({ value: '96.00' });
  });
});

describe('enumerations', () => {
  it.each([
    [6, 'turing'],
    [7, 'ampere'],
    [8, 'ada'],
    [9, 'hopper'],
    [10, 'blackwell'],
    [13, 'rubin'],
  ])('architecture %i is %s', (value, name) => {
    expect(decodeArchitecture('f', value)).toEqual({ value: name });
  });

  it('never guesses an architecture', () => {
    expect(decodeArchitecture('f', 0xffff_ffff)).toMatchObject({ value: null, reason: 'unsupported' });
    expect(decodeArchitecture('f', 99)).toMatchObject({ value: null, reason: 'error' });
  });

  it('has a word for each clock event bit, in the core order', () => {
    expect(decodeClockEventReasons('f', 0x1ffn)).toEqual({ value: [...clockEventReasons] });
    expect(decodeClockEventReasons('f', 0n)).toEqual({ value: [] });
    expect(decodeClockEventReasons('f', 0x44n)).toEqual({
      value: ['software-power-cap', 'hardware-thermal-slowdown'],
    });
  });

  it('does not pass an unknown reason off as none', () => {
    expect(decodeClockEventReasons('f', 0x400n)).toMatchObject({ value: null, reason: 'error' });
  });

  it('leaves out of what can be reported what it has no word for', () => {
    expect(decodeSupportedEventReasons(0x1ffn)).toEqual({ value: [...clockEventReasons] });
    expect(decodeSupportedEventReasons(0x401n)).toEqual({ value: ['idle'] });
  });

  it('knows brands by number, and 0 as unknown', () => {
    expect([1, 2, 5, 13, 14, 15].map((value) => decodeBrand('f', value).value)).toEqual([
      ...['quadro', 'tesla', 'geforce', 'nvidia-rtx', 'nvidia', 'geforce-rtx'],
    ]);
    expect(decodeBrand('f', 0)).toMatchObject({ value: null, reason: 'unsupported' });
    expect(decodeBrand('f', 17)).toMatchObject({ value: null, reason: 'error' });
  });

  it('has the words of the core in the order of the header', () => {
    // nvmlComputeMode_t, nvmlGpuVirtualizationMode_t, nvmlDeviceAddressingModeType_t, nvmlMemoryLocation_t
    expect(computeModeByValue).toEqual(computeModes);
    expect(virtualizationModeByValue).toEqual(virtualizationModes);
    expect(addressingModeByValue).toEqual(addressingModes);
    expect(eccLocationByValue).toEqual(eccLocations);
    expect(decodeChoice('f', 3, addressingModeByValue)).toMatchObject({ value: null, reason: 'error' });
  });

  it.each([
    [1, 2_500],
    [3, 8_000],
    [6, 64_000],
    [16_000, 16_000],
    [2_500, 2_500],
  ])('PCIe speed %i is %i megatransfers', (value, expected) => {
    expect(decodePcieSpeed('f', value)).toEqual({ value: expected });
  });

  it('makes up no PCIe speed', () => {
    expect(decodePcieSpeed('f', 0)).toMatchObject({ value: null, reason: 'unsupported' });
    expect(decodePcieSpeed('f', 7)).toMatchObject({ value: null, reason: 'error' });
  });

  it('takes all ones of a byte for "not available", and a metric that is no number for one without data', () => {
    expect(decodeU8('f', 0xff)).toMatchObject({ value: null, reason: 'unsupported' });
    expect(decodeU8('f', 0)).toEqual({ value: 0 });
    expect(decodeMetric('f', Number.NaN)).toMatchObject({ value: null, reason: 'not-observable' });
    expect(decodeMetric('f', 0)).toEqual({ value: 0 });
  });

  it('knows the recovery actions by number, and never takes a new one for none', () => {
    expect(recoveryActions.map((_, value) => decodeRecoveryAction(value).value)).toEqual([
      ...recoveryActions,
    ]);
    expect(decodeRecoveryAction(6)).toMatchObject({ value: null, reason: 'error' });
  });

  it('reads performance states, and 32 as unknown', () => {
    expect(decodePerformanceState('f', 0)).toEqual({ value: 'P0' });
    expect(decodePerformanceState('f', 15)).toEqual({ value: 'P15' });
    expect(decodePerformanceState('f', 32)).toMatchObject({ value: null });
  });

  it('reads CUDA versions', () => {
    expect(decodeCudaVersion('f', 12_040)).toEqual({ value: '12.4' });
    expect(decodeCudaVersion('f', 13_000)).toEqual({ value: '13.0' });
    expect(decodeCudaVersion('f', 0)).toMatchObject({ value: null });
  });
});

describe('field values', () => {
  const { size, fields } = structs.nvmlFieldValue_t;
  function field(type: number, bits: bigint, code = 0, position = 0) {
    const buffer = allocateStruct('nvmlFieldValue_t', position + 1);
    const at = size * position;
    buffer.writeUInt32LE(193, at + fields.fieldId.offset);
    buffer.writeUInt32LE(type, at + fields.valueType.offset);
    buffer.writeUInt32LE(code, at + fields.nvmlReturn.offset);
    buffer.writeBigUInt64LE(bits, at + fields.value.offset);
    return buffer;
  }
  const doubleBits = (value: number) => {
    const buffer = Buffer.alloc(8);
    buffer.writeDoubleLE(value);
    return buffer.readBigUInt64LE();
  };

  it.each([
    ['double', 0, doubleBits(-2.5), -2.5],
    ['unsigned int, upper half garbage', 1, 0xdead_beef_0000_0047n, 71],
    ['unsigned long', 2, 5_000_000_000n, 5_000_000_000],
    ['unsigned long long', 3, 6n, 6],
    ['signed long long', 4, BigInt.asUintN(64, -7n), -7],
    ['signed int', 5, BigInt.asUintN(64, -8n), -8],
    ['unsigned short, upper part garbage', 6, 0x1_0009n, 9],
  ])('decodes %s', (_, type, bits, expected) => {
    expect(decodeFieldValue(field(type, bits), 0)).toEqual({ value: expected });
  });

  it('reads T.Limit offsets as signed whatever type the driver gives them', () => {
    expect(decodeFieldValue(field(1, 0xffff_fff8n), 0, 'signed')).toEqual({ value: -8 });
    expect(decodeFieldValue(field(3, BigInt.asUintN(64, -8n)), 0, 'signed')).toEqual({ value: -8 });
  });

  it.each([
    ['unsigned int', 1, 4_000_000_999n, 4_000_000],
    ['unsigned long long', 3, 5_000_000n, 5_000],
    ['signed long long', 4, 7_000_999n, 7_000],
    // 2^53 nanoseconds are 104 days.
    ['a year of them', 3, 31_536_000_000_000_000n, 31_536_000_000_000],
  ])('makes microseconds of nanoseconds: %s', (_, type, bits, expected) => {
    expect(decodeFieldValue(field(type, bits), 0, 'nanoseconds')).toEqual({ value: expected });
  });

  it('takes all ones for "not available" among nanoseconds too', () => {
    expect(decodeFieldValue(field(3, 2n ** 64n - 1n), 0, 'nanoseconds')).toMatchObject({
      value: null,
      reason: 'unsupported',
    });
  });

  it('looks at the code of the entry before its value', () => {
    expect(decodeFieldValue(field(1, 42n, 3), 0)).toMatchObject({ value: null, reason: 'unsupported' });
    expect(decodeFieldValue(field(1, 42n, 4), 0)).toMatchObject({ value: null, reason: 'no-permission' });
    expect(decodeFieldValue(field(1, 42n, 2), 0)).toMatchObject({ value: null, reason: 'unsupported' });
    expect(decodeFieldValue(field(1, 42n, 999), 0)).toEqual({
      value: null,
      reason: 'error',
      detail: 'nvmlDeviceGetFieldValues(193): NVML_ERROR_UNKNOWN (999)',
    });
  });

  it('says so when it does not know the type, and finds later entries by their stride', () => {
    expect(decodeFieldValue(field(7, 1n), 0)).toMatchObject({ value: null, reason: 'error' });
    expect(decodeFieldValue(field(1, 55n, 0, 2), 2)).toEqual({ value: 55 });
  });

  it('takes 0 degrees of memory for "no sensor"', () => {
    expect(decodeMemoryTemperature({ value: 0 })).toMatchObject({ value: null, reason: 'unsupported' });
    expect(decodeMemoryTemperature({ value: 44 })).toEqual({ value: 44 });
  });
});

describe('MIG profiles', () => {
  const mebibyte = 1024 ** 2;
  // Memory of the products in MiB and of the profile in MiB; names as NVIDIA's MIG user guide lists them.
  it.each([
    ['A100 40GB', 40_960, 1, 1, 4_864, '1g.5gb'],
    ['A100 40GB', 40_960, 3, 1, 19_968, '1c.3g.20gb'],
    ['A100 40GB', 40_960, 7, 7, 40_192, '7g.40gb'],
    ['A100 80GB', 81_920, 1, 1, 9_728, '1g.10gb'],
    ['H100 80GB', 81_559, 1, 1, 9_984, '1g.10gb'],
    ['H100 80GB', 81_559, 2, 2, 20_096, '2g.20gb'],
    ['H200 141GB', 143_771, 1, 1, 16_384, '1g.18gb'],
    ['H200 141GB', 143_771, 7, 7, 143_000, '7g.141gb'],
  ])('%s (%i MiB), %i/%i slices with %i MiB: %s', (_, total, gpu, compute, memoryMebibytes, expected) => {
    expect(migProfile(null, { gpu, compute, memoryMebibytes }, total * mebibyte)).toEqual({
      value: expected,
    });
  });

  it('prefers the spelling of the driver, which knows of media engines', () => {
    const slices = { gpu: 1, compute: 1, memoryMebibytes: 4_864 };
    const name = 'NVIDIA A100-SXM4-40GB MIG 1g.5gb+me';
    expect(migProfile(name, slices, 40_960 * mebibyte)).toEqual({ value: '1g.5gb+me' });
  });

  it('does not make one up', () => {
    const slices = { gpu: 1, compute: 1, memoryMebibytes: 4_864 };
    expect(migProfile(null, slices, null)).toMatchObject({ value: null, reason: 'error' });
    expect(migProfile(null, { ...slices, gpu: 0 }, 40_960 * mebibyte)).toMatchObject({ value: null });
  });
});
