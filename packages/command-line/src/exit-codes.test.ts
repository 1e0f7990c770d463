import { describe, expect, it } from 'vitest';
import { exitCodeOf, exitCodeOfError } from './exit-codes.ts';

describe('exit codes', () => {
  it.each([
    ['ok', 0],
    ['warning', 1],
    ['critical', 2],
    ['unknown', 3],
  ])('%s is %i', (verdict, code) => {
    expect(exitCodeOf({ verdict })).toBe(code);
  });

  it('is 0 for an answer that judges nothing', () => {
    expect(exitCodeOf({ gpus: [] })).toBe(0);
  });

  it.each([
    ['INVALID_INPUT', 64],
    ['GPU_NOT_FOUND', 64],
    ['INTERNAL', 70],
    ['LIBRARY_NOT_FOUND', 3],
    ['TIMEOUT', 3],
  ] as const)('of the error %s is %i', (error, code) => {
    expect(exitCodeOfError(error)).toBe(code);
  });
});
