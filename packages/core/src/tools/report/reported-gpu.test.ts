import { expect, test } from 'vitest';
import { h100Links, h100Reading } from '../../../test/h100.ts';
import { reportGpu, shortGpu } from './reported-gpu.ts';

const before = { ...h100Reading(), observedAt: '2026-11-21T11:00:00.000Z' };
const counts = { replayErrorCount: 1, recoveryErrorCount: 1, crcFlitErrorCount: 1, crcDataErrorCount: 1 };

test('a short report says what counts first, and how much it leaves out', () => {
  const changed = h100Reading({
    ecc: { uncorrectableVolatileCount: 7, correctableVolatileCount: 9, sramThresholdExceeded: true },
    rowRemap: { pending: true, failureOccurred: true, uncorrectableRowCount: 9, correctableRowCount: 3 },
    pcie: { replayCount: 1, fatalErrorCount: 3, nonFatalErrorCount: 4, linkRecoveryCount: 2 },
    nvlink: { links: h100Links({ 3: counts }) },
  });
  const whole = reportGpu(changed, before);
  const short = shortGpu(whole);
  // 15 of its counters are not zero: 3 of memory errors, 4 of remapping, 4 of PCIe, 4 of the links.
  expect(short.counters).toHaveLength(12);
  expect(short.omittedCounterCount).toBe(3);
  expect(12 + 3 + (short.zeroCounterCount ?? 0)).toBe(whole.counters.length);
});

test('what changed stands before what is old', () => {
  const old = { ecc: { correctableAggregateCount: 40 } } as const;
  const now = h100Reading({ ...old, pcie: { replayCount: 2 } });
  const { counters } = shortGpu(reportGpu(now, { ...before, ...h100Reading(old) }));
  expect(counters.map(({ field }) => field)).toEqual(['pcie.replayCount', 'ecc.correctableAggregateCount']);
});

test('a GPU that tells its own serial does not borrow one', () => {
  const gpu = reportGpu(h100Reading(), { ...before, ...h100Reading({ identity: { serial: 'other' } }) });
  expect(gpu.serial).toBe('1650523041207');
  expect(gpu).not.toHaveProperty('identityAt');
});

test('what a file says of a GPU is made harmless', () => {
  const gpu = reportGpu(
    h100Reading({ identity: { serial: `1\u001b[31m\n\`\`\`${'x'.repeat(500)}` } }),
    undefined,
  );
  expect(gpu.serial).toMatch(/^1 '''x{50,}…$/);
});
