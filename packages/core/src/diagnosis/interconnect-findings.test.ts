import { describe, expect, test } from 'vitest';
import { type Changes, h100Links, h100Reading, h100Ref } from '../../test/h100.ts';
import type { GpuReading } from '../domain/gpu.ts';
import type { GpuTopology, PeerAccessStatus } from '../domain/readings/topology.ts';
import { assessGpu } from '../health/assess.ts';
import { interconnectFindings } from './interconnect-findings.ts';

const node = (changed: Readonly<Record<number, Changes>> = {}) =>
  Array.from({ length: 8 }, (_, index) => h100Reading(changed[index], [], index));
const find = (changed?: Readonly<Record<number, Changes>>) => interconnectFindings(node(changed));

/** The topology of a GPU whose access to some others the driver refuses. */
const refusing = (
  index: number,
  others: readonly number[],
  status: PeerAccessStatus,
): Partial<GpuTopology> => ({
  peers: (h100Reading({}, [], index).topology?.peers ?? []).map((peer) =>
    others.includes(peer.index) ? { ...peer, nvlink: status, read: status } : peer,
  ),
});

test('a healthy node has none', () => {
  expect(find()).toEqual([]);
});

describe('inactive links', () => {
  const links = h100Links({ 5: { active: false }, 9: { active: false } });

  test('stand out beside siblings', () => {
    expect(find({ 3: { nvlink: { links } } })).toMatchObject([
      {
        ruleId: 'topology.nvlink-inactive',
        verdict: 'critical',
        gpu: 3,
        what: '16 NVLinks active of 18 (link 5, 9 inactive); a sibling has 18.',
        action: 'monitor',
      },
    ]);
  });

  test('on all alike (a board without bridge) are no finding', () => {
    const down = { nvlink: { links: h100Links().map((link) => ({ ...link, active: false })) } };
    expect(find(Object.fromEntries(Array.from({ length: 8 }, (_, index) => [index, down])))).toEqual([]);
  });

  test('of a board without a bridge, beside two that have one, are no finding; of a lost switch they are', () => {
    const towards = (type: 'gpu' | 'switch') =>
      h100Links().map((link) => ({ ...link, remoteDeviceType: type }));
    const none = { nvlink: { links: h100Links().map((link) => ({ ...link, active: false })) } };
    const beside = (type: 'gpu' | 'switch') =>
      interconnectFindings(
        [0, 1, 2].map((index) =>
          h100Reading(index === 2 ? none : { nvlink: { links: towards(type) } }, [], index),
        ),
      );
    expect(beside('gpu')).toEqual([]);
    expect(beside('switch')).toMatchObject([
      { ruleId: 'topology.nvlink-inactive', gpu: 2, confidence: 'high' },
    ]);
  });

  test('a link whose state is not known is not called inactive', () => {
    expect(find({ 3: { nvlink: { links: h100Links({ 5: { active: null } }) } } })).toEqual([]);
    expect(find({ 3: { nvlink: { links: null } } })).toEqual([]);
  });

  test('under MIG, and of another product, are no finding', () => {
    expect(find({ 3: { nvlink: { links }, mig: { enabled: true } } })).toEqual([]);
    const other: GpuReading = {
      ...h100Reading({ nvlink: { links } }, [], 3),
      gpu: { ...h100Ref(3), name: 'NVIDIA A100' },
    };
    expect(interconnectFindings(node().map((reading, index) => (index === 3 ? other : reading)))).toEqual([]);
  });
});

describe('the fabric', () => {
  test.each([
    [{ state: 'not-started' }, 'topology.fabric-not-completed', 'critical', 'restart-service'],
    [{ state: 'in-progress' }, 'topology.fabric-not-completed', 'critical', 'restart-service'],
    [{ status: 'NVML_ERROR_TIMEOUT' }, 'topology.fabric-failed', 'critical', 'restart-service'],
    [{ degradedBandwidth: true }, 'topology.fabric-degraded', 'critical', 'monitor'],
    [{ misconfiguration: 'insufficient-nvlinks' }, 'topology.fabric-degraded', 'critical', 'monitor'],
    [{ healthSummary: 'unhealthy' }, 'topology.fabric-degraded', 'critical', 'monitor'],
    [{ healthSummary: 'limited-capacity' }, 'topology.fabric-degraded', 'warning', 'monitor'],
  ] as const)('%j: %s', (fabric, ruleId, verdict, action) => {
    expect(find({ 6: { fabric } })).toMatchObject([{ ruleId, verdict, action, gpu: 6 }]);
    // Health looks at the same readings: one node must not be critical in one tool and a warning in the other.
    expect(assessGpu(h100Reading({ fabric }, [], 6)).verdict).toBe(verdict);
  });

  test.each([
    { state: 'not-supported', status: null },
    { state: null, status: null },
    // What an H100 reports: no summary, which is not unhealthy.
    { healthSummary: 'not-supported' },
    { healthSummary: null, degradedBandwidth: null, misconfiguration: null },
  ] as const)('%j is no finding', (fabric) => {
    expect(find({ 6: { fabric } })).toEqual([]);
  });
});

describe('peer access', () => {
  test('one GPU that is refused by all is one finding, of that GPU', () => {
    const others = [0, 1, 2, 3, 4, 6, 7];
    const changed = Object.fromEntries(
      others.map((index) => [index, { topology: refusing(index, [5], 'not-supported') }]),
    );
    expect(find(changed)).toMatchObject([
      {
        ruleId: 'topology.peer-access',
        gpu: 5,
        what: expect.stringMatching(/GPU 0, 1, 2, 3, 4, 6, 7, .*\(not-supported\)/),
      },
    ]);
  });

  test.each<[string, Changes, Changes]>([
    ['under MIG', { mig: { enabled: true } }, {}],
    ['before the fabric is complete, which is told already', { fabric: { state: 'not-started' } }, {}],
    ['without shared links', { nvlink: { links: [] } }, { nvlink: { links: [] } }],
  ])('refused %s is no finding', (_, one, other) => {
    const changed = { 0: { ...one, topology: refusing(0, [1], 'disabled-by-regkey') }, 1: other };
    expect(find(changed).filter(({ ruleId }) => ruleId === 'topology.peer-access')).toEqual([]);
  });

  test('that the driver does not know is no finding', () => {
    expect(find({ 0: { topology: refusing(0, [1, 2], 'unknown') } })).toEqual([]);
  });
});

describe('CPU affinity', () => {
  test('an empty set is a warning', () => {
    expect(find({ 2: { topology: { cpuAffinity: '' } } })).toMatchObject([
      { ruleId: 'topology.no-cpu-affinity', verdict: 'warning', gpu: 2 },
    ]);
  });

  test('one that could not be read, beside siblings that have it, is unknown', () => {
    expect(find({ 2: { topology: { cpuAffinity: null } } })).toMatchObject([
      { ruleId: 'topology.no-cpu-affinity', verdict: 'unknown', gpu: 2 },
    ]);
  });

  test('a platform without it is no finding', () => {
    const none = { topology: { cpuAffinity: null } };
    expect(find(Object.fromEntries(Array.from({ length: 8 }, (_, index) => [index, none])))).toEqual([]);
  });
});

test('a GPU that did not answer has no findings here', () => {
  const lost: GpuReading = { gpu: h100Ref(3), state: 'lost', observedAt: '', gaps: [] };
  expect(interconnectFindings(node().map((reading, index) => (index === 3 ? lost : reading)))).toEqual([]);
});
