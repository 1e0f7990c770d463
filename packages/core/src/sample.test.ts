import { expect, test } from 'vitest';
import { makeSample } from './sample.ts';

const gpu = { index: 3, uuid: null, pciAddress: null, name: null };

test('a section asked for has every leaf, a null has one gap, and nothing else is there', () => {
  const sample = makeSample(gpu, ['power', 'mig'], {
    power: { drawWatts: 0 },
    thermal: { temperatureCelsius: 40 },
  });
  expect(Object.keys(sample).sort()).toEqual(['gaps', 'mig', 'power']);
  expect(sample.power).toMatchObject({ drawWatts: 0, instantDrawWatts: null, energyJoules: null });
  expect(sample.mig).toEqual({ enabled: null, pendingEnabled: null, devices: null });
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
