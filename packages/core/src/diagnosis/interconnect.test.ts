import { describe, expect, test } from 'vitest';
import { h100Link, h100Links, h100Reading, h100Ref } from '../../test/h100.ts';
import type { GpuReading } from '../domain/gpu.ts';
import type { NvLink } from '../domain/readings/nvlink.ts';
import type { CommonAncestor, GpuPeer } from '../domain/readings/topology.ts';
import {
  type Connection,
  connectionBetween,
  linkedGpu,
  pciePathBetween,
  sharedLinkCount,
  summariseLinks,
} from './interconnect.ts';

const node = (change: (index: number) => Parameters<typeof h100Reading>[0] = () => ({}), count = 8) =>
  Array.from({ length: count }, (_, index) => h100Reading(change(index), [], index));

const at = (readings: readonly GpuReading[], index: number) => readings[index] ?? expect.fail();

/** Rows of the GPU part of `nvidia-smi topo -m`. */
const parseTopo = (text: string): Connection[][] =>
  text
    .trim()
    .split('\n')
    .map((line) => line.trim().split(/\s+/).slice(1) as Connection[]);

const peer = (index: number, changes: Partial<GpuPeer> = {}): GpuPeer => ({
  index,
  commonAncestor: 'numa-node',
  read: 'ok',
  write: 'ok',
  nvlink: 'ok',
  atomics: 'ok',
  pcie: 'ok',
  ...changes,
});
const topology = (peers: readonly GpuPeer[]) => ({ peers });

// GPU columns of captures of nvidia-smi topo -m: an 8 x H100 SXM machine (driver 570.211.01), and two GPUs with an NVLink bridge.
const hgx = `
GPU0  X   NV18 NV18 NV18 NV18 NV18 NV18 NV18
GPU1 NV18  X   NV18 NV18 NV18 NV18 NV18 NV18
GPU2 NV18 NV18  X   NV18 NV18 NV18 NV18 NV18
GPU3 NV18 NV18 NV18  X   NV18 NV18 NV18 NV18
GPU4 NV18 NV18 NV18 NV18  X   NV18 NV18 NV18
GPU5 NV18 NV18 NV18 NV18 NV18  X   NV18 NV18
GPU6 NV18 NV18 NV18 NV18 NV18 NV18  X   NV18
GPU7 NV18 NV18 NV18 NV18 NV18 NV18 NV18  X `;
const bridged = `
GPU0  X  NV2
GPU1 NV2  X `;

const connectionOf = (one: GpuReading, other: GpuReading) =>
  connectionBetween(linkedGpu(one), linkedGpu(other));
const matrixOf = (readings: readonly GpuReading[]) =>
  readings.map((one) => readings.map((other) => connectionOf(one, other)));

/** Links from one GPU straight to another. */
const straight = (to: number, count: number, changes: Partial<NvLink> = {}) =>
  Array.from({ length: count }, (_, link) =>
    h100Link(link, { remoteDeviceType: 'gpu', remotePciAddress: h100Ref(to).pciAddress, ...changes }),
  );

describe('the matrix', () => {
  test('of eight GPUs behind NVSwitches is what nvidia-smi topo -m prints', () => {
    expect(matrixOf(node())).toEqual(parseTopo(hgx));
  });

  test('of two GPUs with a bridge is what nvidia-smi topo -m prints', () => {
    expect(matrixOf(node((index) => ({ nvlink: { links: straight(1 - index, 2) } }), 2))).toEqual(
      parseTopo(bridged),
    );
  });

  test('is the same in both directions, whatever the sides tell', () => {
    const readings = node((index) => ({
      nvlink: { links: index === 2 ? null : h100Links(index === 3 ? { 4: { active: false } } : {}) },
      topology: index === 5 ? { peers: null } : {},
    }));
    const matrix = matrixOf(readings);
    matrix.forEach((row, one) => {
      row.forEach((connection, other) => {
        expect(connection, `${one} to ${other}`).toBe(matrix[other]?.[one]);
      });
    });
  });

  test('does not tell a difference that is not there', () => {
    const changed = node((index) => ({
      nvlink: { links: h100Links(index === 3 ? { 4: { active: false } } : {}) },
    }));
    expect(matrixOf(changed)).not.toEqual(parseTopo(hgx));
    expect(connectionOf(at(changed, 3), at(changed, 0))).toBe('NV17');
    expect(connectionOf(at(changed, 1), at(changed, 0))).toBe('NV18');
  });
});

describe('links through a switch', () => {
  const pair = (
    fabric: 'completed' | 'in-progress' | 'not-supported',
    nvlink: GpuPeer['nvlink'],
    links = [h100Links(), h100Links()],
  ) =>
    node(
      (index) => ({
        fabric: { state: fabric },
        topology: topology([peer(1 - index, { nvlink })]),
        nvlink: { links: links[index] ?? [] },
      }),
      2,
    );
  const connect = ([one, other]: readonly GpuReading[]) =>
    connectionOf(one ?? expect.fail(), other ?? expect.fail());

  test.each([
    ['the driver lets them be used', 'completed', 'ok', 'NV18'],
    // NVSwitch machines before Hopper do not report a fabric.
    ['the driver lets them be used, the product has no fabric state', 'not-supported', 'ok', 'NV18'],
    ['the driver does not say, the fabric is complete', 'completed', null, 'NV18'],
    ['the driver does not know, the fabric is complete', 'completed', 'unknown', 'NV18'],
    ['the driver does not say, the fabric is not complete', 'in-progress', null, 'NODE'],
    ['the driver refuses', 'completed', 'not-supported', 'NODE'],
  ] as const)('%s', (_, fabric, nvlink, connection) => {
    expect(connect(pair(fabric, nvlink))).toBe(connection);
  });

  test('that is not the same one connect nothing', () => {
    const to = (address: string) => h100Links().map((link) => ({ ...link, remotePciAddress: address }));
    const apart = pair('completed', 'ok', [to('0000:05:00.0'), to('0000:06:00.0')]);
    expect(connect(apart)).toBe('NODE');
    expect(connect(pair('completed', 'ok', [to('0000:05:00.0'), to('00000000:05:00.0')]))).toBe('NV18');
  });

  test('that does not tell its address is taken for the same', () => {
    const nameless = h100Links().map((link) => ({ ...link, remotePciAddress: null }));
    expect(connect(pair('completed', 'ok', [nameless, nameless]))).toBe('NV18');
  });

  test('count as shared also where the driver refuses them', () => {
    const [one, other] = pair('completed', 'disabled-by-regkey');
    expect(sharedLinkCount(linkedGpu(one ?? expect.fail()), linkedGpu(other ?? expect.fail()))).toBe(18);
  });
});

describe('the way over PCIe', () => {
  test.each<[CommonAncestor | null, Connection]>([
    ['same-board', 'PIX'],
    ['single-switch', 'PIX'],
    ['multiple-switches', 'PXB'],
    ['host-bridge', 'PHB'],
    ['numa-node', 'NODE'],
    ['system', 'SYS'],
    [null, null],
  ])('%s is %s', (commonAncestor, connection) => {
    const [one, other] = node(
      (index) => ({ nvlink: { links: [] }, topology: topology([peer(1 - index, { commonAncestor })]) }),
      2,
    );
    expect(connectionOf(one ?? expect.fail(), other ?? expect.fail())).toBe(connection);
  });

  test('is known under the NVLinks, and from either side', () => {
    const readings = node((index) => (index === 0 ? { topology: { peers: null } } : {}));
    expect(pciePathBetween(at(readings, 0), at(readings, 1))).toBe('NODE');
    expect(pciePathBetween(at(readings, 0), at(readings, 7))).toBe('SYS');
  });

  test('to a GPU that did not answer, which nobody lists, is not known', () => {
    const lost: GpuReading = { gpu: h100Ref(1), state: 'lost', observedAt: '', gaps: [] };
    const one = h100Reading({ topology: topology([]) });
    expect(connectionOf(one, lost)).toBeNull();
    expect(connectionOf(lost, one)).toBeNull();
  });
});

test('a direct link counts when both ends work', () => {
  const readings = node(
    (index) => ({
      nvlink: {
        links: straight(1 - index, 4).map((link) =>
          index === 1 && link.link === 2 ? { ...link, active: false } : link,
        ),
      },
    }),
    2,
  );
  expect(connectionOf(at(readings, 0), at(readings, 1))).toBe('NV3');
});

describe('summariseLinks', () => {
  test('of a healthy GPU', () => {
    expect(summariseLinks(h100Reading())).toEqual({
      linkCount: 18,
      activeCount: 18,
      inactiveLinks: [],
      unknownLinks: [],
      version: '4',
      speedMegabytesPerSecond: 26_562,
      remotes: { switch: 18 },
      errorCounts: {},
    });
  });

  test('adds up errors, names links that are down or not known, and takes the slowest', () => {
    const links = h100Links({
      0: { active: false },
      1: { active: null },
      2: { replayErrorCount: 3, speedMegabytesPerSecond: 13_281, version: '3' },
      3: { replayErrorCount: 4, crcDataErrorCount: 1, remoteDeviceType: null },
    });
    expect(summariseLinks(h100Reading({ nvlink: { links } }))).toEqual({
      linkCount: 18,
      activeCount: 16,
      inactiveLinks: [0],
      unknownLinks: [1],
      version: null,
      speedMegabytesPerSecond: 13_281,
      remotes: { switch: 15, unknown: 1 },
      errorCounts: { replayErrorCount: 7, crcDataErrorCount: 1 },
    });
  });

  test('not read is not zero', () => {
    expect(summariseLinks(h100Reading({ nvlink: { links: null } }))).toBeUndefined();
  });
});
