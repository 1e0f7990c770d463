import { describe, expect, test } from 'vitest';
import { h100Ref } from '../../test/h100.ts';
import { deviceNodesOf, h100Bus, h100Host } from '../../test/rig.ts';
import { isDisruptive } from '../domain/verdict.ts';
import { assessNode } from '../health/assess.ts';
import type { HostDevicesReading, PciGpu } from '../ports/host-devices.ts';
import { crossCheck, crossCheckRules, type DriverGpu, gpusOfVendor } from './cross-check.ts';

const listed = (...indices: readonly number[]): DriverGpu[] =>
  indices.map((index) => ({ index, pciAddress: h100Ref(index).pciAddress, minorNumber: index }));
const all = [0, 1, 2, 3, 4, 5, 6, 7];
const check = (driverGpus: readonly DriverGpu[] | null, host: Partial<HostDevicesReading> = {}) =>
  crossCheck('nvidia', driverGpus, h100Host(host));
const told = (driverGpus: readonly DriverGpu[] | null, host: Partial<HostDevicesReading> = {}) =>
  check(driverGpus, host).candidates.map(({ ruleId, verdict, gpu, pciDevice }) => [
    ruleId,
    verdict,
    gpu ?? pciDevice,
  ]);
const nothing = { candidates: [], gaps: [] };
const bus = (changed: Readonly<Record<number, Partial<PciGpu>>>) => ({ pciGpus: h100Bus(changed) });

describe('when bus, driver and device files agree', () => {
  test('nothing is found; a graphics chip of another vendor is not missed', () => {
    expect(check(listed(...all))).toEqual(nothing);
    expect(gpusOfVendor('nvidia', h100Host())).toHaveLength(8);
  });

  test.each(['00000000:18:00.0', '0000:18:00', '18:00.0'])(
    'the driver may spell an address %s',
    (pciAddress) => {
      const [first, ...rest] = listed(...all);
      expect(check([{ ...first!, pciAddress }, ...rest])).toEqual(nothing);
    },
  );

  test('a machine without GPUs', () => {
    expect(check([], { pciGpus: [], deviceNodes: [] })).toEqual(nothing);
  });

  test('a vendor that is not known is not compared', () => {
    expect(crossCheck('acme', listed(0), h100Host())).toEqual(nothing);
  });

  test('an AMD backend looks for AMD devices', () => {
    const amd = h100Bus().map((gpu) => ({ ...gpu, vendorId: '1002', driver: 'amdgpu' }));
    expect(
      crossCheck('amd', [], { pciGpus: amd.slice(0, 1), deviceNodes: null, gaps: [] }).candidates,
    ).toMatchObject([{ ruleId: 'gpu.missing-from-driver' }]);
  });
});

describe('a GPU that is missing', () => {
  test('from the driver: on the bus, bound, with its device file', () => {
    expect(told(listed(0, 1, 2, 3, 4, 5, 6))).toEqual([
      ['gpu.missing-from-driver', 'critical', '0000:db:00'],
    ]);
  });

  test('from the driver, when it does not say where one of its GPUs is: that may be the one', () => {
    const unplaced = [...listed(0, 1, 2, 3, 4, 5, 6), { index: 7, pciAddress: null, minorNumber: null }];
    expect(check(unplaced)).toEqual(nothing);
    const atFault = bus({ 7: { respondsOnBus: false } });
    expect(told(unplaced, atFault)).toEqual([['gpu.config-space-dead', 'critical', 7]]);
    const elsewhere = [{ index: 3, pciAddress: null, minorNumber: null }, ...unplaced].filter(
      ({ pciAddress }) => pciAddress !== h100Ref(3).pciAddress,
    );
    expect(told(elsewhere, atFault)).toEqual([['gpu.config-space-dead', 'critical', '0000:db:00']]);
    const two = check(unplaced.filter(({ index }) => index !== 3)).candidates;
    expect(two).toHaveLength(2);
    expect(two.every(({ confidence, verdict }) => confidence === 'low' && verdict === 'warning')).toBe(true);
  });

  test('from the driver of a container that was given two of eight: not told apart, and said so', () => {
    const { candidates, gaps } = check(listed(0, 1), { deviceNodes: deviceNodesOf(0, 1) });
    expect(candidates).toEqual([]);
    expect(gaps).toMatchObject(
      [{ field: 'gpuBackend.gpus', reason: 'not-observable', detail: /^6 of the GPUs/ }].map((gap) => ({
        ...gap,
        detail: expect.stringMatching(gap.detail),
      })),
    );
  });

  test('from the driver, when no device files can be seen: less sure', () => {
    const lessSure = { ruleId: 'gpu.missing-from-driver', verdict: 'warning', confidence: 'low' };
    expect(check(listed(0, 1, 2, 3, 4, 5, 6), { deviceNodes: [] }).candidates[0]).toMatchObject(lessSure);
    // Half of the GPUs and fewer: as a container is given them.
    expect(check(listed(0, 1, 2, 3), { deviceNodes: null }).candidates[0]).toMatchObject(lessSure);
  });

  test('from the driver, beside most of the others, in files, which have no device files', () => {
    for (const some of [listed(0, 1, 2, 3, 4, 5, 6), listed(0, 1, 2, 3, 4), listed()]) {
      expect(check(some, { deviceNodes: null }).candidates[0]).toMatchObject({
        ruleId: 'gpu.missing-from-driver',
        verdict: 'critical',
        actionAlone: 'monitor',
      });
    }
  });

  test('from the bus, though the driver lists it', () => {
    const pciGpus = h100Bus().filter(({ pciAddress }) => pciAddress !== '0000:db:00.0');
    expect(told(listed(...all), { pciGpus })).toEqual([['gpu.not-on-bus', 'critical', 7]]);
  });

  test('from /dev', () => {
    expect(told(listed(...all), { deviceNodes: deviceNodesOf(0, 1, 2, 4, 5, 6, 7) })).toEqual([
      ['gpu.without-device-node', 'warning', 3],
    ]);
  });

  test('from /dev: not judged without its minor number, or where /dev shows none', () => {
    const unread = listed(...all).map((gpu) => ({ ...gpu, minorNumber: null }));
    expect(check(unread, { deviceNodes: deviceNodesOf(0, 1, 2, 4, 5, 6, 7) })).toEqual(nothing);
    expect(check(listed(...all), { deviceNodes: null })).toEqual(nothing);
    expect(check(listed(...all), { deviceNodes: [] })).toMatchObject({
      candidates: [],
      gaps: [{ field: 'deviceNodes', reason: 'not-observable' }],
    });
  });
});

describe('a GPU whose configuration space is dead', () => {
  test('that the driver still lists is named by its index; alone it asks to be watched', () => {
    const { candidates } = check(listed(...all), bus({ 2: { respondsOnBus: false } }));
    expect(candidates).toMatchObject([{ ruleId: 'gpu.config-space-dead', verdict: 'critical', gpu: 2 }]);
    expect(assessNode([], candidates)[0]?.action).toBe('monitor');
  });

  test('that the driver no longer lists: two independent signals, a reboot', () => {
    const { candidates } = check(listed(0, 1, 2, 3, 4, 5, 6), bus({ 7: { respondsOnBus: false } }));
    expect(assessNode([], candidates).map(({ ruleId, action }) => [ruleId, action])).toEqual([
      ['gpu.config-space-dead', 'reboot-node'],
      ['gpu.missing-from-driver', 'reboot-node'],
    ]);
  });

  test('beside another that is missing: they do not confirm each other', () => {
    const { candidates } = check(listed(0, 1, 2, 3, 4, 5, 6), bus({ 2: { respondsOnBus: false } }));
    expect(assessNode([], candidates).map(({ action }) => action)).toEqual(['monitor', 'monitor']);
  });

  test('could not be read: nothing is claimed', () => {
    expect(check(listed(...all), bus({ 2: { respondsOnBus: null } }))).toEqual(nothing);
  });
});

describe('a GPU that another driver holds, or none', () => {
  test('lent to a virtual machine: told, and no fault', () => {
    const { candidates } = check(
      listed(0, 1, 2, 3, 4, 5),
      bus({ 6: { driver: 'vfio-pci' }, 7: { driver: 'vfio-pci' } }),
    );
    expect(candidates).toMatchObject([
      {
        ruleId: 'gpu.bound-to-other-driver',
        verdict: 'ok',
        action: 'none',
        evidence: [{}, { value: 'vfio-pci' }],
      },
    ]);
  });

  test.each([
    ['nouveau', 'gpu.bound-to-other-driver'],
    [null, 'gpu.without-driver'],
  ])('%s: %s, a warning', (driver, ruleId) => {
    expect(told(listed(0, 1, 2, 3, 4, 5, 6), bus({ 7: { driver } }))).toEqual([
      [ruleId, 'warning', '0000:db:00'],
    ]);
  });
});

describe('while the driver cannot be asked', () => {
  test('a GPU is not missing from a list that there is not', () => {
    expect(check(null)).toEqual(nothing);
  });

  test('the bus is judged all the same', () => {
    const changed = bus({ 0: { respondsOnBus: false }, 1: { driver: null }, 2: { driver: null } });
    expect(told(null, changed)).toEqual([
      ['gpu.config-space-dead', 'critical', '0000:18:00'],
      ['gpu.without-driver', 'warning', undefined],
    ]);
  });
});

describe('a bus that cannot be seen', () => {
  test('is not taken for one without GPUs', () => {
    expect(check(listed(...all), { pciGpus: null })).toEqual(nothing);
  });

  test('shows no GPU though the driver lists some, as in a sandbox: a gap, not eight lost GPUs', () => {
    expect(check(listed(...all), { pciGpus: [] })).toMatchObject({
      candidates: [],
      gaps: [{ field: 'pciBus', reason: 'not-observable' }],
    });
  });
});

test('no disruptive action on one signal, in any of 1,000 broken machines', () => {
  let seed = 7;
  const chance = (of: number) => {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
    return (seed >>> 16) % of === 0;
  };
  const drivers = ['nvidia', 'vfio-pci', null];
  let disruptive = 0;
  for (let round = 0; round < 1_000; round += 1) {
    const pciGpus = h100Bus(
      Object.fromEntries(
        all.map((index) => [
          index,
          { driver: drivers[chance(5) ? 1 : chance(7) ? 2 : 0] ?? null, respondsOnBus: !chance(6) },
        ]),
      ),
    ).filter(() => !chance(9));
    const driverGpus = chance(8) ? null : listed(...all.filter(() => !chance(6)));
    const { candidates } = check(driverGpus, {
      pciGpus,
      deviceNodes: deviceNodesOf(...all.filter(() => !chance(9))),
    });
    for (const [position, finding] of assessNode([], candidates).entries()) {
      if (!isDisruptive(finding.action)) continue;
      disruptive += 1;
      const place = candidates.find(
        ({ ruleId, what }) => ruleId === finding.ruleId && what === finding.what,
      )?.pciDevice;
      const signals = candidates.filter(({ pciDevice }) => pciDevice === place && place !== undefined);
      expect(signals.length, `round ${round}, finding ${position}`).toBeGreaterThan(1);
    }
  }
  expect(disruptive, 'the rounds have cases that are confirmed').toBeGreaterThan(20);
});

test('the published rows are the findings there are', () => {
  const ids = crossCheckRules.map(({ id }) => id);
  expect(ids).toHaveLength(6);
  for (const { id, title, threshold, source } of crossCheckRules) {
    expect(id).toMatch(/^gpu\.[a-z-]+$/);
    expect(Math.min(title.length, threshold.length, source.length)).toBeGreaterThan(8);
  }
});
