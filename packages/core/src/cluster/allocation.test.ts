import { describe, expect, test } from 'vitest';
import { containerOf, gpuPod, nodeOf, podOf } from '../../test/cluster.ts';
import type { ClaimedDevice, ClusterClaim, ClusterContainer } from '../domain/cluster.ts';
import type { ContainerDevices } from '../ports/cluster.ts';
import { allocationOf } from './allocation.ts';
import { podDemand } from './pod-demand.ts';

const node = nodeOf();
const nodes = new Map([[node.name, node]]);
const gpu = 'nvidia.com/gpu';
const uuid = (index: number) => `GPU-00000000-0000-0000-0000-00000000000${index}`;
const given = (pod: string, deviceIds: readonly string[], resourceName = gpu): ContainerDevices => ({
  namespace: 'research',
  pod,
  container: 'main',
  devices: [{ resourceName, deviceIds }],
  claims: [],
});
const total = (list: ReturnType<typeof allocationOf>) => list.totals.find(({ resource }) => resource === gpu);

describe('what a pod takes', () => {
  const container = (kind: ClusterContainer['kind'], count: number) =>
    containerOf({ kind, limits: { [gpu]: count } });
  // Kubernetes, "Init containers" and "Sidecar containers": max(sum of what runs together, hungriest init step).
  test.each([
    ['containers add up', [container('main', 2), container('main', 1)], 3],
    [
      'init containers run one after the other',
      [container('init', 2), container('init', 4), container('main', 1)],
      4,
    ],
    ['and do not add to the main ones', [container('init', 2), container('main', 4)], 4],
    ['sidecars run beside', [container('sidecar', 1), container('main', 4)], 5],
    [
      'and beside the init containers after them',
      [container('sidecar', 1), container('init', 5), container('main', 2)],
      6,
    ],
    [
      'but not beside those before them',
      [container('init', 5), container('sidecar', 1), container('main', 2)],
      5,
    ],
    ['ephemeral ones take nothing', [container('ephemeral', 8), container('main', 1)], 1],
  ])('%s', (_, containers, count) => expect(podDemand({ containers })).toEqual({ [gpu]: count }));

  test('a request wins over a limit, and is not added to it', () => {
    expect(
      podDemand({ containers: [containerOf({ requests: { [gpu]: 2 }, limits: { [gpu]: 2 } })] }),
    ).toEqual({ [gpu]: 2 });
  });
});

describe('who has what', () => {
  test('pods that have ended hold nothing, though the kubelet lists them; one being deleted does', () => {
    const pods = [
      gpuPod('done', 4, { phase: 'Succeeded' }),
      gpuPod('dead', 4, { phase: 'Failed' }),
      gpuPod('leaving', 2, { deletionRequestedAt: '2026-11-21T11:00:00Z' }),
    ];
    const result = allocationOf(pods, [given('done', [uuid(1)]), given('leaving', [uuid(1), uuid(2)])], {
      nodes,
    });
    expect(result.pods).toMatchObject([{ pod: 'leaving', isBeingDeleted: true }]);
    expect(total(result)).toMatchObject({ requested: 2, allocatable: 8, free: 6 });
    expect(result.doubleBooked).toEqual([]);
  });

  test('ids from the kubelet, else unknown', () => {
    const pods = [gpuPod('a', 1), gpuPod('b', 1)];
    expect(allocationOf(pods, null).pods.map(({ shares }) => shares[0]?.deviceIds)).toEqual([null, null]);
    expect(
      allocationOf(pods, [given('a', [uuid(3)])]).pods.map(({ shares }) => shares[0]?.deviceIds),
    ).toEqual([[uuid(3)], null]);
  });

  test('pods without a node wait, and take nothing yet', () => {
    const result = allocationOf([gpuPod('waits', 8, { node: null, phase: 'Pending' })], null, { nodes });
    expect(result).toMatchObject({ pods: [], pending: [{ pod: 'waits' }] });
    expect(total(result)).toMatchObject({ requested: 0, free: 8 });
  });

  test('more than there is shows as less than nothing; an unknown node as unknown', () => {
    expect(total(allocationOf([gpuPod('a', 8), gpuPod('b', 1)], null, { nodes }))).toMatchObject({
      free: -1,
    });
    expect(total(allocationOf([gpuPod('a', 8)], null))).toMatchObject({
      requested: 8,
      allocatable: null,
      free: null,
    });
  });

  test.each([
    ['whole', gpu, [uuid(1)], {}],
    ['mig', 'nvidia.com/mig-1g.10gb', ['MIG-0'], {}],
    ['mig', gpu, ['MIG-0'], {}],
    ['shared', gpu, [`${uuid(1)}::2`], {}],
    ['shared', gpu, null, { 'nvidia.com/gpu.replicas': '4' }],
    ['shared', 'nvidia.com/gpu.shared', null, {}],
    ['other', 'nvidia.com/hostdev', null, {}],
  ])('a unit is %s: %s', (kind, resource, deviceIds, labels) => {
    const pod = podOf({ containers: [containerOf({ limits: { [resource]: 1 } })] });
    const list = deviceIds && [given(pod.name, deviceIds, resource)];
    const on = new Map([[node.name, nodeOf({ labels })]]);
    expect(allocationOf([pod], list, { nodes: on }).pods[0]?.shares).toMatchObject([{ kind, deviceIds }]);
  });

  test('one whole GPU with two pods is found; shares of one are meant to be', () => {
    const pods = [gpuPod('a', 1), gpuPod('b', 1)];
    expect(allocationOf(pods, [given('a', [uuid(1)]), given('b', [uuid(1)])]).doubleBooked).toEqual([
      { deviceId: uuid(1), pods: ['research/a', 'research/b'] },
    ]);
    expect(
      allocationOf(pods, [given('a', [`${uuid(1)}::0`]), given('b', [`${uuid(1)}::1`])]).doubleBooked,
    ).toEqual([]);
  });

  test('the same UUID on two nodes is one node lying, and no device given twice', () => {
    const elsewhere = { ...gpuPod('b', 1), node: 'another-node' };
    const given2 = [given('a', [uuid(1)]), given('b', [uuid(1)])];
    expect(allocationOf([gpuPod('a', 1), elsewhere], given2).doubleBooked).toEqual([]);
  });
});

describe('resource claims', () => {
  const device = (name: string, hasAdminAccess = false): ClaimedDevice => ({
    request: 'gpu',
    driver: 'gpu.nvidia.com',
    pool: 'gpu-node-7',
    device: name,
    hasAdminAccess,
  });
  const claim = (name: string, devices: readonly ClaimedDevice[] | null, pods = ['x']): ClusterClaim => ({
    namespace: 'research',
    name,
    uid: name,
    devices,
    reservedForPodUids: pods,
  });
  const user = (name: string, claimName: string | null) =>
    podOf({ name, uid: `uid-${name}`, claims: [{ name: 'gpu', claimName }] });

  test('shared by two pods: one device, taken once', () => {
    const claims = [claim('both', [device('gpu-0')], ['uid-a', 'uid-b'])];
    const result = allocationOf([user('a', 'both'), user('b', 'both')], null, { claims });
    expect(result.claimedDeviceCount).toBe(1);
    expect(result.pods[1]?.shares).toMatchObject([
      {
        kind: 'claim',
        count: 1,
        deviceIds: ['gpu.nvidia.com/gpu-node-7/gpu-0'],
        claim: { name: 'both', podCount: 2 },
      },
    ]);
  });

  test('administrative access takes nothing', () => {
    const result = allocationOf([user('exporter', 'admin')], null, {
      claims: [claim('admin', [device('gpu-0', true)])],
    });
    expect(result).toMatchObject({
      claimedDeviceCount: 0,
      pods: [{ shares: [{ claim: { hasAdminAccess: true } }] }],
    });
  });

  test('claims that cannot be read are unknown, not none', () => {
    const result = allocationOf([user('a', 'secret')], null, { claims: null });
    expect(result).toMatchObject({
      claimedDeviceCount: null,
      pods: [{ shares: [{ count: null, deviceIds: null }] }],
    });
    expect(allocationOf([gpuPod('a', 1)], null).claimedDeviceCount).toBe(0);
  });

  test('a claim that is not made, or not allocated, yet', () => {
    const result = allocationOf([user('a', null), user('b', 'new')], null, { claims: [claim('new', null)] });
    expect(result.pods.map(({ shares }) => shares[0]?.count)).toEqual([null, null]);
    expect(result.claimedDeviceCount).toBe(0);
  });
});
