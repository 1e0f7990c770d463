import { describe, expect, test } from 'vitest';
import { isDeviceResource, parseDeviceCount } from './cluster.ts';

describe('quantities of extended resources', () => {
  // Kubernetes, "Managing resources for containers": 3, 3000m and 3Ki are valid; 0.5 and 1500m are not.
  test.each([
    ['8', 8],
    ['0', 0],
    ['3000m', 3],
    ['3Ki', 3072],
    ['1k', 1000],
    [4, 4],
  ])('%s is %d', (text, count) => expect(parseDeviceCount(text)).toBe(count));

  test.each([
    '1500m',
    '0.5',
    '-1',
    '',
    'eight',
    '8 ',
    '1e3',
    `${'9'.repeat(40)}`,
    null,
    undefined,
    {},
    Number.NaN,
  ])('%j is not known, never zero', (text) => expect(parseDeviceCount(text)).toBeNull());
});

test('device resources', () => {
  expect(
    ['nvidia.com/gpu', 'nvidia.com/mig-1g.5gb', 'amd.com/gpu', 'habana.ai/gaudi'].every(isDeviceResource),
  ).toBe(true);
  expect(['cpu', 'memory', 'hugepages-2Mi', 'example.com/nvidia.com/gpu'].some(isDeviceResource)).toBe(false);
});
