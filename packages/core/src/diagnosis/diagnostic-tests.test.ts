import { expect, test } from 'vitest';
import { diagnosticTestFindings } from './diagnostic-tests.ts';

const citation = { file: 'diag.json', line: 12 };

test.each([
  ['GPU Memory', 'fail', 'critical', 'run-field-diagnostic'],
  ['Targeted Stress', 'fail', 'critical', 'run-field-diagnostic'],
  ['PCIe', 'warn', 'warning', 'monitor'],
  // A deployment test: Meta GCM's captures fail it on nodes that work.
  ['Persistence Mode', 'fail', 'warning', 'monitor'],
  ['Environment Variables', 'warn', 'warning', 'monitor'],
  // DCGM 4.6: a corrupt InfoROM fails the GPU; a reset comes first, then support.
  ['Inforom', 'fail', 'critical', 'reset-gpu'],
] as const)('%s: %s', (name, status, verdict, action) => {
  expect(diagnosticTestFindings([{ test: name, gpu: 3, status, citation }])).toMatchObject([
    { gpu: 3, verdict, action, evidence: [{ file: 'diag.json', line: 12 }] },
  ]);
});

test.each(['pass', 'skip', 'unknown'] as const)('%s is no finding', (status) => {
  expect(diagnosticTestFindings([{ test: 'GPU Memory', gpu: 0, status, citation }])).toEqual([]);
});

test('a test of the node names no GPU', () => {
  const [finding] = diagnosticTestFindings([{ test: 'Inforom', gpu: null, status: 'warn', citation }]);
  expect(finding).not.toHaveProperty('gpu');
});
