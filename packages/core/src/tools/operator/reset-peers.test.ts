import { describe, expect, test } from 'vitest';
import { h100Link, h100Reading } from '../../../test/h100.ts';
import { linkTo } from '../../../test/operator-rig.ts';
import type { GpuReading } from '../../domain/gpu.ts';
import type { NvLink } from '../../domain/readings/nvlink.ts';
import { resetPeers } from './reset-peers.ts';

const gpu = (index: number, architecture: string | null, links: readonly NvLink[] | null): GpuReading => ({
  ...h100Reading({ identity: { architecture }, nvlink: { links } }, [], index),
});
const toSwitch = () => h100Link(0);

function peersOf(readings: readonly GpuReading[], fabricManagerRuns: boolean | null = false) {
  const [target] = readings;
  if (!target) throw new Error('no GPU');
  return resetPeers(target, readings, fabricManagerRuns).peers?.map((reading) => reading.gpu.index) ?? null;
}

// Source of the rules: the manual page of nvidia-smi, --gpu-reset.
describe('before Ampere', () => {
  test('all that NVLink connects, also over others, and no more', () => {
    const chain = [[linkTo(1)], [linkTo(0), linkTo(2)], [linkTo(1)], []].map((links, index) =>
      gpu(index, 'volta', links),
    );
    expect(peersOf(chain)).toEqual([1, 2]);
  });

  test('a link that only the other end tells of counts', () => {
    expect(peersOf([gpu(0, 'pascal', null), gpu(1, 'pascal', [linkTo(0)])])).toEqual([1]);
  });

  test('all on the NVSwitches, whether Fabric Manager runs or not', () => {
    const node = [0, 1, 2].map((index) => gpu(index, 'volta', [toSwitch()]));
    expect([peersOf(node, true), peersOf(node, false)]).toEqual([
      [1, 2],
      [1, 2],
    ]);
  });

  test('without NVLink none', () => {
    expect(peersOf([gpu(0, 'turing', []), gpu(1, 'turing', [])])).toEqual([]);
  });

  test('links that nobody could read are unknown, not none', () => {
    expect(peersOf([gpu(0, 'turing', null), gpu(1, 'turing', null)])).toBeNull();
  });
});

describe('Ampere', () => {
  const node = [0, 1, 2].map((index) => gpu(index, 'ampere', [toSwitch()]));
  test.each([
    [true, []],
    [false, [1, 2]],
    [null, null],
  ])('on NVSwitches, Fabric Manager runs: %j', (runs, peers) => {
    expect(peersOf(node, runs)).toEqual(peers);
  });

  test('bridged to each other: none', () => {
    expect(peersOf([gpu(0, 'ampere', [linkTo(1)]), gpu(1, 'ampere', [linkTo(0)])])).toEqual([]);
  });

  test('one that does not tell its links is on the switches like all its siblings', () => {
    expect(peersOf([gpu(0, null, null), ...node.slice(1)])).toEqual([1, 2]);
  });
});

test.each(['hopper', 'blackwell', 'ada'])('%s: none', (architecture) => {
  expect(peersOf([0, 1].map((index) => gpu(index, architecture, [toSwitch()])))).toEqual([]);
});

test('a GPU that tells nothing is of the family of its siblings, if that is one', () => {
  expect(peersOf([gpu(0, null, null), gpu(1, 'hopper', [toSwitch()])])).toEqual([]);
  expect(peersOf([gpu(0, null, null), gpu(1, null, null)])).toBeNull();
  expect(peersOf([gpu(0, null, null), gpu(1, 'volta', []), gpu(2, 'hopper', [])])).toBeNull();
});

test('the only GPU has none', () => {
  expect(peersOf([gpu(0, null, null)])).toEqual([]);
});
