import { describe, expect, test } from 'vitest';
import { gpuPod, inventoryOf, nodeOf, pluginPod, podOf } from '../../test/cluster.ts';
import { explainAllocatable } from './allocatable.ts';
import type { AllocatableInput } from './allocatable-facts.ts';
import { clusterRules } from './allocatable-rules.ts';

const explain = (input: Partial<AllocatableInput> = {}) =>
  explainAllocatable({
    node: nodeOf(),
    pods: [pluginPod()],
    agentInventory: inventoryOf(),
    ...input,
  });
const ids = (input: Partial<AllocatableInput> = {}) => explain(input).findings.map(({ ruleId }) => ruleId);
const counts = (input: Partial<AllocatableInput> = {}) =>
  Object.fromEntries(explain(input).layers.map(({ layer, count }) => [layer, count]));

describe('a healthy node', () => {
  test('every layer side by side, nothing to explain', () => {
    expect(counts({ pods: [pluginPod(), gpuPod('a', 2), gpuPod('b', 4)] })).toEqual({
      'pci-bus': 8,
      'kernel-driver': 8,
      nvml: 8,
      'device-files': 8,
      'device-plugin': 8,
      capacity: 8,
      allocatable: 8,
      requested: 6,
    });
    expect(explain()).toMatchObject({ findings: [], gaps: [] });
  });

  test('all requested is told, and is no fault', () => {
    expect(explain({ pods: [pluginPod(), gpuPod('a', 8)] }).findings).toMatchObject([
      { ruleId: 'cluster.all-requested', verdict: 'ok', action: 'none' },
    ]);
  });
});

describe('missing is not zero', () => {
  test('no agent: the hardware is unknown, and nothing is claimed of it', () => {
    const { layers, findings, gaps } = explain({ agentInventory: null });
    expect(layers.slice(0, 4).map(({ count }) => count)).toEqual([null, null, null, null]);
    expect(findings).toEqual([]);
    expect(gaps).toMatchObject([
      {
        field: 'layers.pci-bus, layers.kernel-driver, layers.nvml, layers.device-files',
        reason: 'not-observable',
      },
    ]);
  });

  test('pods not readable: requests are unknown, and no plugin is said to be absent', () => {
    expect(counts({ pods: null })['requested']).toBeNull();
    expect(ids({ pods: null, node: nodeOf({ capacity: {}, allocatable: {} }) })).not.toContain(
      'cluster.device-plugin-absent',
    );
  });

  test('a status without capacity is unknown; one without the resource is zero', () => {
    expect(counts({ node: nodeOf({ capacity: null, allocatable: null }) })).toMatchObject({
      capacity: null,
      allocatable: null,
    });
    expect(counts({ node: nodeOf({ capacity: {}, allocatable: {} }) })).toMatchObject({
      capacity: 0,
      allocatable: 0,
    });
  });
});

describe('where devices get lost', () => {
  const faults: readonly (readonly [string, Partial<AllocatableInput>, string, string, string])[] = [
    [
      'two GPUs of the bus have no driver',
      {
        agentInventory: inventoryOf({
          driverGpuCount: 6,
          libraryGpuCount: 6,
          usableGpuCount: 6,
          deviceNodeCount: 6,
        }),
        node: nodeOf({ capacity: { 'nvidia.com/gpu': 6 }, allocatable: { 'nvidia.com/gpu': 6 } }),
      },
      'cluster.gpu-without-driver',
      'warning',
      'update-software',
    ],
    [
      'the driver lists fewer than are bound to it',
      {
        agentInventory: inventoryOf({ libraryGpuCount: 7, usableGpuCount: 7, deviceNodeCount: 7 }),
        node: nodeOf({ capacity: { 'nvidia.com/gpu': 7 }, allocatable: { 'nvidia.com/gpu': 7 } }),
      },
      'cluster.gpu-missing-from-library',
      'critical',
      'monitor',
    ],
    [
      'a device file is missing',
      { agentInventory: inventoryOf({ deviceNodeCount: 7 }) },
      'cluster.device-files-missing',
      'warning',
      'restart-service',
    ],
    [
      'no device plugin',
      { pods: [], node: nodeOf({ capacity: {}, allocatable: {} }) },
      'cluster.device-plugin-absent',
      'warning',
      'update-software',
    ],
    [
      'the device plugin crashes',
      {
        pods: [
          pluginPod({
            isReady: false,
            restartCount: 9,
            state: { kind: 'waiting', reason: 'CrashLoopBackOff' },
          }),
        ],
      },
      'cluster.device-plugin-not-ready',
      'warning',
      'restart-service',
    ],
    [
      'the plugin and the kubelet have lost each other',
      { node: nodeOf({ capacity: { 'nvidia.com/gpu': 0 }, allocatable: { 'nvidia.com/gpu': 0 } }) },
      'cluster.plugin-not-registered',
      'warning',
      'restart-service',
    ],
    [
      'the plugin went away: capacity stays, allocatable is zero',
      { node: nodeOf({ allocatable: { 'nvidia.com/gpu': 0 } }) },
      'cluster.all-devices-withdrawn',
      'warning',
      'restart-service',
    ],
    [
      'the count is from before a GPU was lost',
      { agentInventory: inventoryOf({ usableGpuCount: 7 }) },
      'cluster.capacity-above-hardware',
      'warning',
      'restart-service',
    ],
    [
      'the plugin started while a GPU was away',
      { node: nodeOf({ capacity: { 'nvidia.com/gpu': 7 }, allocatable: { 'nvidia.com/gpu': 7 } }) },
      'cluster.capacity-below-hardware',
      'warning',
      'restart-service',
    ],
    [
      'pods hold what is given out no more',
      { node: nodeOf({ allocatable: { 'nvidia.com/gpu': 6 } }), pods: [pluginPod(), gpuPod('a', 8)] },
      'cluster.requested-above-allocatable',
      'warning',
      'monitor',
    ],
    [
      'the operator keeps the plugin away',
      { node: nodeOf({ labels: { 'nvidia.com/gpu.deploy.device-plugin': 'paused-for-driver-upgrade' } }) },
      'cluster.device-plugin-held-back',
      'warning',
      'monitor',
    ],
    [
      'the kubelet is silent',
      {
        node: nodeOf({
          conditions: [
            {
              type: 'Ready',
              status: 'Unknown',
              reason: 'NodeStatusUnknown',
              lastTransitionAt: null,
              message: null,
            },
          ],
        }),
      },
      'cluster.node-not-ready',
      'critical',
      'restart-service',
    ],
    ['a cordon', { node: nodeOf({ isUnschedulable: true }) }, 'cluster.cordoned', 'ok', 'none'],
    [
      'a taint',
      { node: nodeOf({ taints: [{ key: 'nvidia.com/gpu', value: 'present', effect: 'NoSchedule' }] }) },
      'cluster.tainted',
      'ok',
      'none',
    ],
  ];

  test.each(faults)('%s', (_, input, ruleId, verdict, action) => {
    expect(explain(input).findings).toContainEqual(expect.objectContaining({ ruleId, verdict, action }));
  });

  test('planted: none of these rules fires on the healthy node', () => {
    const raised = new Set(ids());
    for (const [, , ruleId] of faults) expect(raised.has(ruleId)).toBe(false);
  });

  test("a difference of counts reboots no node; the agent's own confirmed finding does", () => {
    const agentInventory = inventoryOf({
      libraryGpuCount: 7,
      faults: [{ ruleId: 'gpu.missing-from-driver', verdict: 'critical', action: 'reboot-node' }],
    });
    expect(explain({ agentInventory }).findings).toContainEqual(
      expect.objectContaining({ ruleId: 'cluster.gpu-missing-from-library', action: 'reboot-node' }),
    );
  });
});

describe('devices that the plugin marks unhealthy', () => {
  const node = nodeOf({ allocatable: { 'nvidia.com/gpu': 7 } });
  const xid = (number: number) => ({
    gpu: 5,
    xid: number,
    verdict: 'critical' as const,
    action: 'reboot-node' as const,
    lastAt: null,
  });
  const finding = (xids: Parameters<typeof inventoryOf>[0]) =>
    explain({ node, agentInventory: inventoryOf(xids) }).findings.find(
      ({ ruleId }) => ruleId === 'cluster.devices-unhealthy',
    );

  test('by an Xid: its verdict and its action', () => {
    expect(finding({ xids: [xid(79)] })).toMatchObject({
      verdict: 'critical',
      action: 'reboot-node',
      what: '1 of 8 nvidia.com/gpu is marked unhealthy by the device plugin, as it does after an Xid: Xid 79 on GPU 5.',
    });
  });

  test.each([13, 31, 43, 45, 68, 109])('Xid %d of an application explains no mark', (number) => {
    expect(finding({ xids: [xid(number)] })).toMatchObject({ verdict: 'warning', action: 'restart-service' });
  });

  test('the log was not read: no cause is claimed', () => {
    expect(finding({ xids: null })).toMatchObject({ action: 'monitor', confidence: 'low' });
  });
});

describe('cut and shared GPUs', () => {
  const mig = (labels: Readonly<Record<string, string>>, capacity: Readonly<Record<string, number>>) =>
    nodeOf({ labels, capacity, allocatable: capacity });

  test('strategy mixed: slices and the rest', () => {
    const node = mig(
      { 'nvidia.com/mig.strategy': 'mixed' },
      { 'nvidia.com/gpu': 6, 'nvidia.com/mig-1g.10gb': 14 },
    );
    const agentInventory = inventoryOf({ migGpuCount: 2, migDevices: { '1g.10gb': 14 } });
    const { resources, findings, layers } = explain({ node, agentInventory });
    expect(resources).toMatchObject([
      { resource: 'nvidia.com/gpu', kind: 'whole', expected: 6, capacity: 6 },
      { resource: 'nvidia.com/mig-1g.10gb', kind: 'mig', expected: 14, capacity: 14 },
    ]);
    expect(findings.map(({ ruleId }) => ruleId)).toEqual(['cluster.mig-slices']);
    expect(layers.find(({ layer }) => layer === 'capacity')).toMatchObject({ count: 20, unit: 'devices' });
  });

  test('strategy single: slices are called GPUs', () => {
    const node = mig(
      { 'nvidia.com/mig.strategy': 'single', 'nvidia.com/gpu.product': 'NVIDIA-A100-SXM4-80GB-MIG-1g.10gb' },
      { 'nvidia.com/gpu': 56 },
    );
    const agentInventory = inventoryOf({ migGpuCount: 8, migDevices: { '1g.10gb': 56 } });
    const { resources, findings } = explain({ node, agentInventory });
    expect(resources).toMatchObject([{ kind: 'mig', expected: 56, capacity: 56 }]);
    expect(findings.map(({ ruleId }) => ruleId)).toEqual(['cluster.mig-slices']);
  });

  test('a profile with a media engine is spelled with a dot', () => {
    const node = mig(
      { 'nvidia.com/mig.strategy': 'mixed' },
      { 'nvidia.com/gpu': 7, 'nvidia.com/mig-1g.10gb.me': 1 },
    );
    const agentInventory = inventoryOf({ migGpuCount: 1, migDevices: { '1g.10gb+me': 1 } });
    expect(ids({ node, agentInventory })).toEqual(['cluster.mig-slices']);
  });

  test('MIG without a label of the strategy: nothing is expected, so nothing is found wrong', () => {
    const node = mig({}, { 'nvidia.com/gpu': 3 });
    const agentInventory = inventoryOf({ migGpuCount: 5, migDevices: { '1g.10gb': 35 } });
    expect(explain({ node, agentInventory }).resources).toMatchObject([{ expected: null }]);
    expect(ids({ node, agentInventory })).toEqual([]);
  });

  test('MIG enabled and nothing made of it', () => {
    const agentInventory = inventoryOf({ migGpuCount: 8, migDevices: {} });
    const node = mig({ 'nvidia.com/mig.strategy': 'mixed' }, { 'nvidia.com/gpu': 0 });
    expect(ids({ node, agentInventory })).toContain('cluster.mig-without-instances');
  });

  test('unlike GPUs under strategy single', () => {
    const node = mig(
      { 'nvidia.com/gpu.product': 'NVIDIA-A100-SXM4-80GB-MIG-INVALID' },
      { 'nvidia.com/gpu': 0 },
    );
    expect(ids({ node })).toContain('cluster.mig-layout-invalid');
  });

  test.each([
    ['nvidia.com/gpu', { 'nvidia.com/gpu': 32 }],
    ['nvidia.com/gpu.shared', { 'nvidia.com/gpu.shared': 32 }],
  ])('time-slicing multiplies, under the name %s', (resource, capacity) => {
    const node = mig({ 'nvidia.com/gpu.replicas': '4', 'nvidia.com/mig.strategy': 'none' }, capacity);
    const { resources, findings } = explain({ node });
    expect(resources.find((row) => row.resource === resource)).toMatchObject({
      kind: 'shared',
      expected: 32,
      capacity: 32,
    });
    expect(findings.map(({ ruleId }) => ruleId)).toEqual(['cluster.gpus-shared']);
  });
});

describe('hostile and odd input', () => {
  test("somebody's pod called device-plugin is none", () => {
    const pods = [podOf({ name: 'nvidia-device-plugin-evil' })];
    expect(ids({ pods, node: nodeOf({ capacity: {}, allocatable: {} }) })).toContain(
      'cluster.device-plugin-absent',
    );
  });

  test('pods that have ended request nothing', () => {
    const pods = [pluginPod(), gpuPod('a', 8, { phase: 'Succeeded' }), gpuPod('b', 8, { phase: 'Failed' })];
    expect(counts({ pods })['requested']).toBe(0);
  });

  test('labels of prototypes and nonsense numbers say nothing', () => {
    const labels = {
      'nvidia.com/gpu.count': '-3',
      'nvidia.com/gpu.replicas': '1e9',
      'nvidia.com/mig.strategy': '__proto__',
    };
    expect(counts({ node: nodeOf({ labels }) })['device-plugin']).toBeNull();
    expect(ids({ node: nodeOf({ labels }) })).toEqual([]);
  });

  test('AMD GPUs are counted, and not measured against the NVIDIA plugin', () => {
    const node = nodeOf({
      labels: {},
      capacity: { 'amd.com/gpu': 8, 'nvidia.com/hostdev': 4 },
      allocatable: { 'amd.com/gpu': 8 },
    });
    expect(counts({ node, agentInventory: null })).toMatchObject({ capacity: 8, allocatable: 8 });
  });
});

test('every rule is published with its source', () => {
  expect(clusterRules.length).toBeGreaterThan(20);
  for (const { source, threshold, id } of clusterRules) {
    expect(id).toMatch(/^cluster\.[a-z-]+$/);
    expect(source.length * threshold.length).toBeGreaterThan(100);
  }
});
