import { describe, expect, test } from 'vitest';
import { GpuError, type GpuErrorCode, gpuErrorCodes, isGpuError } from './errors.ts';

const codes = Object.keys(gpuErrorCodes) as GpuErrorCode[];

describe('GpuError', () => {
  test.each(codes)('%s says what to do, in a sentence', (code) => {
    const error = new GpuError(code, 'it happened');
    expect(error).toMatchObject({ code, name: 'GpuError', message: 'it happened', gpuId: undefined });
    expect(error.hint).toBe(gpuErrorCodes[code].hint);
    expect(error.hint).toMatch(/^[A-Z].{10,}\.$/s);
    expect(error.retryable).toBe(gpuErrorCodes[code].retryable);
  });

  test('what is asked of a lost GPU or with a bad argument does not get better by asking again', () => {
    for (const code of ['GPU_LOST', 'INVALID_INPUT', 'NOT_SUPPORTED', 'NO_PERMISSION'] as const) {
      expect(gpuErrorCodes[code].retryable, code).toBe(false);
    }
    for (const code of ['TIMEOUT', 'GPU_HUNG', 'ADAPTER_CRASHED'] as const) {
      expect(gpuErrorCodes[code].retryable, code).toBe(true);
    }
  });

  test('options replace the defaults and keep the cause', () => {
    const cause = new Error('errno 13');
    const error = new GpuError('UNAVAILABLE', 'no', { hint: 'Look.', retryable: false, gpuId: '3', cause });
    expect(error).toMatchObject({ hint: 'Look.', retryable: false, gpuId: '3', cause });
    expect('cause' in new GpuError('UNAVAILABLE', 'no')).toBe(false);
  });
});

describe('isGpuError', () => {
  test('knows an instance of another copy of this package by its brand', () => {
    const other = Object.assign(new Error('x'), { [Symbol.for('@k8s-gpu-mcp/core/GpuError')]: true });
    expect(isGpuError(other)).toBe(true);
    expect(isGpuError(new GpuError('TIMEOUT', 'x'))).toBe(true);
  });

  test.each([new Error('x'), { name: 'GpuError', code: 'TIMEOUT' }, null, undefined, 'GpuError', 3])(
    'not %j',
    (value) => {
      expect(isGpuError(value)).toBe(false);
    },
  );
});
