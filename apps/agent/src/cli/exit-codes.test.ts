import { describe, expect, it } from 'vitest';
import { exitCodeOfError } from './commands/call.ts';
import { exitCodeOf } from './exit-codes.ts';

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
    ['INVALID_INPUT: gpu = "x" is not an index.', 64],
    ['GPU_NOT_FOUND: gpu = 9 is not on this node.', 64],
    ['INTERNAL: get_gpu_health failed unexpectedly.', 70],
    ['LIBRARY_NOT_FOUND: no library.', 3],
    ['TIMEOUT: no answer.', 3],
  ])('of the error %s is %i', (text, code) => {
    expect(exitCodeOfError(text)).toBe(code);
  });
});
