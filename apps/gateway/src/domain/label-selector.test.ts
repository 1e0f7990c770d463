import { isGpuError } from '@k8s-gpu-mcp/core';
import { describe, expect, test } from 'vitest';
import { parseLabelSelector } from './label-selector.ts';

const labels = {
  gpu: 'h100',
  zone: 'b',
  count: '8',
  empty: '',
  'nvidia.com/gpu.product': 'NVIDIA-H100-80GB-HBM3',
};

/** Expectations from the Kubernetes documentation "Labels and Selectors" and the grammar in apimachinery pkg/labels/selector.go. */
describe('selectors that match', () => {
  test.each([
    'gpu=h100',
    'gpu==h100',
    ' gpu = h100 , zone != a ',
    'nvidia.com/gpu.product=NVIDIA-H100-80GB-HBM3',
    'gpu in (a100, h100)',
    'zone notin (a)',
    'missing notin (a,b)',
    'missing!=a',
    'gpu',
    '!missing',
    'empty=',
    'empty in (,a)',
    'count>4',
    'count<9,gpu',
    'zone in (b),zone notin (a,c),!tainted',
  ])('%s', (selector) => {
    expect(parseLabelSelector(selector)(labels)).toBe(true);
  });
});

describe('selectors that do not', () => {
  test.each([
    'gpu=a100',
    'gpu!=h100',
    'gpu=H100',
    'gpu in (a100)',
    'missing in (a)',
    'missing',
    '!gpu',
    'missing=',
    'count>8',
    'zone>1',
    'gpu=h100,zone=a',
    'constructor',
  ])('%s', (selector) => {
    expect(parseLabelSelector(selector)(labels)).toBe(false);
  });
});

describe('what is no selector', () => {
  test.each([
    '',
    ',',
    'a,',
    'a,,b',
    'a=b=c',
    'a b',
    'a in b',
    'a in (b',
    'a in b)',
    '!a=b',
    '!',
    '=b',
    'a=-b',
    'a>b',
    'A_B/c=d',
    'a/b/c=d',
    `${'a'.repeat(64)}=b`,
    `a=${'b'.repeat(64)}`,
    'a=\u001b[31m',
    `${'a,'.repeat(64)}a`,
    'a'.repeat(5_000),
    `a in (${Array.from({ length: 300 }, (_, index) => index).join(',')})`,
  ])('%j', (selector) => {
    let thrown: unknown;
    try {
      parseLabelSelector(selector);
    } catch (error) {
      thrown = error;
    }
    expect(isGpuError(thrown) && thrown.code).toBe('INVALID_INPUT');
    expect(isGpuError(thrown) && thrown.message).not.toMatch(/[\u0000-\u001f]/);
  });
});
