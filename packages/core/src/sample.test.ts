import { describe, expect, test } from 'vitest';
import { makeSample } from './sample.ts';

const gpu = { index: 3, uuid: null, pciAddress: null, name: null };

test('a section asked for has every leaf, a null has one gap, and nothing else is there', () => {
  const sample = makeSample(gpu, ['power', 'mig'], {
    power: { drawWatts: 0 },
    thermal: { temperatureCelsius: 40 },
  });
  expect(Object.keys(sample).sort()).toEqual(['gaps', 'mig', 'power']);
  expect(sample.power).toMatchObject({ drawWatts: 0, instantDrawWatts: null, energyJoules: null });
  expect(sample.mig).toEqual({
    enabled: null,
    pendingEnabled: null,
    maxDeviceCount: null,
    devices: null,
    profiles: null,
  });
  const fields = sample.gaps.map((gap) => gap.field);
  expect(new Set(fields).size).toBe(fields.length);
  expect(fields).not.toContain('power.drawWatts');
  expect(fields).toContain('mig.devices');
  expect(sample.gaps.every((gap) => gap.gpu === 3)).toBe(true);
});

test('the adapter’s own reason stands; without one the reading is unsupported', () => {
  const refused = { field: 'recovery.action', reason: 'no-permission', detail: 'rc 4' } as const;
  expect(makeSample(gpu, ['recovery'], {}, [refused]).gaps).toEqual([{ gpu: 3, ...refused }]);
  expect(makeSample(gpu, ['recovery'], {}).gaps).toMatchObject([
    { field: 'recovery.action', reason: 'unsupported' },
  ]);
});

test('a gap for something that was read is dropped', () => {
  const stale = { field: 'recovery.action', reason: 'error', detail: 'first try' } as const;
  expect(makeSample(gpu, ['recovery'], { recovery: { action: 'none' } }, [stale]).gaps).toEqual([]);
});

describe('nulls inside the members of a list', () => {
  const fan = (index: number, speedPercent: number | null) => ({
    index,
    speedPercent,
    targetSpeedPercent: null,
    speedRevolutionsPerMinute: 900,
  });
  const thermal = { fans: [fan(0, 40), fan(1, null), fan(2, null)] };
  const memberGaps = (gaps: Parameters<typeof makeSample>[3]) =>
    makeSample(gpu, ['thermal'], { thermal }, gaps)
      .gaps.filter(({ field }) => field.startsWith('thermal.fans'))
      .map(({ field, reason }) => `${field} ${reason}`)
      .sort();

  test('share a gap, not one for each member; without a reason they are unsupported', () => {
    expect(memberGaps([])).toEqual([
      'thermal.fans.speedPercent unsupported',
      'thermal.fans.targetSpeedPercent unsupported',
    ]);
  });

  test('have one gap for each reason', () => {
    const failed = { field: 'thermal.fans.speedPercent', reason: 'error', detail: 'rc 999' } as const;
    const denied = { ...failed, reason: 'no-permission' } as const;
    expect(memberGaps([failed, denied, failed])).toEqual([
      'thermal.fans.speedPercent error',
      'thermal.fans.speedPercent no-permission',
      'thermal.fans.targetSpeedPercent unsupported',
    ]);
  });

  test('have none once all members are told', () => {
    const stale = { field: 'thermal.fans.index', reason: 'error', detail: 'rc 999' } as const;
    expect(memberGaps([stale])).not.toContain('thermal.fans.index error');
  });
});
