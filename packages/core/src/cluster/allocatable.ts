import type { ClusterPod, DeviceCounts } from '../domain/cluster.ts';
import type { Gap } from '../domain/gap.ts';
import { type Finding, verdicts } from '../domain/verdict.ts';
import type { AllocatableFacts, AllocatableInput, ResourceRow } from './allocatable-facts.ts';
import { hardwareFindings } from './allocatable-hardware.ts';
import { kubeletFindings, placementFindings } from './allocatable-kubelet.ts';
import { isGpuResource, kindOfResource } from './device-names.ts';
import { type DevicePluginFacts, devicePluginFacts } from './device-plugin.ts';
import { expectedDevices } from './expected-devices.ts';
import { hasEnded, podDemand } from './pod-demand.ts';

/** From the hardware up to what pods ask for: where two neighbours differ, devices get lost. */
export const allocatableLayers = [
  'pci-bus',
  'kernel-driver',
  'nvml',
  'device-files',
  'device-plugin',
  'capacity',
  'allocatable',
  'requested',
] as const;
export type AllocatableLayer = (typeof allocatableLayers)[number];

export interface LayerCount {
  readonly layer: AllocatableLayer;
  /** Null when it is not known; a gap of field `layers.LAYER` says why. */
  readonly count: number | null;
  /** Of the hardware, and of GPUs that are neither cut nor shared: GPUs. Else units of what the plugin offers. */
  readonly unit: 'gpus' | 'devices';
}

export interface AllocatableExplanation {
  readonly layers: readonly LayerCount[];
  readonly resources: readonly ResourceRow[];
  readonly plugin: DevicePluginFacts | null;
  /** Worst first; among them what explains and is no fault (`ok`). */
  readonly findings: readonly Finding[];
  readonly gaps: readonly Gap[];
}

/** Why a node gives out another number of GPUs than it has: every layer beside the next, and what explains the steps between. Pure. */
export function explainAllocatable(input: AllocatableInput): AllocatableExplanation {
  const { node, pods, agentInventory } = input;
  const plugin = pods && devicePluginFacts(node, pods);
  const resources = resourceRows(input);
  const facts: AllocatableFacts = { ...input, plugin, resources };
  const layers = layersOf(facts);
  const findings = [...hardwareFindings(facts), ...kubeletFindings(facts), ...placementFindings(facts)];
  return {
    layers,
    resources,
    plugin,
    findings: findings.sort((a, b) => verdicts.indexOf(a.verdict) - verdicts.indexOf(b.verdict)),
    gaps: [...layerGaps(layers, input), ...(agentInventory?.gaps ?? [])],
  };
}

function resourceRows({ node, pods, agentInventory }: AllocatableInput): readonly ResourceRow[] {
  const { capacity, allocatable, labels } = node;
  const requested = pods && requestsOf(pods);
  const expected = agentInventory && expectedDevices(node, agentInventory);
  const names = new Set(
    [capacity, allocatable, requested, expected].flatMap((counts) => Object.keys(counts ?? {})),
  );
  return [...names]
    .filter((resource) => isGpuResource(resource))
    .sort()
    .map((resource) => ({
      resource,
      kind: kindOfResource(resource, labels),
      expected: countIn(expected, resource),
      capacity: countIn(capacity, resource),
      allocatable: countIn(allocatable, resource),
      requested: countIn(requested, resource),
    }));
}

function requestsOf(pods: readonly ClusterPod[]): DeviceCounts {
  const sums = new Map<string, number>();
  for (const pod of pods) {
    if (hasEnded(pod)) continue;
    for (const [resource, count] of Object.entries(podDemand(pod)))
      sums.set(resource, (sums.get(resource) ?? 0) + count);
  }
  return Object.fromEntries(sums);
}

/** A list that was read and does not name the resource has none of it. */
const countIn = (counts: DeviceCounts | null, resource: string) =>
  counts === null ? null : Object.hasOwn(counts, resource) ? (counts[resource] ?? 0) : 0;

function sumOf(rows: readonly ResourceRow[], field: 'capacity' | 'allocatable' | 'requested'): number {
  return rows.reduce((sum, row) => sum + (row[field] ?? 0), 0);
}

function layersOf({ node, pods, agentInventory: agent, resources, plugin }: AllocatableFacts): LayerCount[] {
  const unit = resources.every(({ kind, capacity }) => kind === 'whole' || capacity === 0)
    ? 'gpus'
    : 'devices';
  const label = Object.hasOwn(node.labels, 'nvidia.com/gpu.count')
    ? node.labels['nvidia.com/gpu.count']
    : undefined;
  const labelled = label !== undefined && /^\d{1,4}$/.test(label) ? Number(label) : null;
  const isServing =
    plugin?.operands.some(({ role, isReady }) => role === 'device-plugin' && isReady) ?? false;
  return [
    { layer: 'pci-bus', count: agent?.pciGpuCount ?? null, unit: 'gpus' },
    { layer: 'kernel-driver', count: agent?.driverGpuCount ?? null, unit: 'gpus' },
    { layer: 'nvml', count: agent?.libraryGpuCount ?? null, unit: 'gpus' },
    { layer: 'device-files', count: agent?.deviceNodeCount ?? null, unit: 'gpus' },
    // The plugin tells only the kubelet; its sister, GPU feature discovery, writes the same count into a label.
    { layer: 'device-plugin', count: isServing || pods === null ? labelled : null, unit: 'gpus' },
    { layer: 'capacity', count: node.capacity && sumOf(resources, 'capacity'), unit },
    { layer: 'allocatable', count: node.allocatable && sumOf(resources, 'allocatable'), unit },
    { layer: 'requested', count: pods && sumOf(resources, 'requested'), unit },
  ];
}

function layerGaps(
  layers: readonly LayerCount[],
  { agentInventory, pods }: AllocatableInput,
): readonly Gap[] {
  const missing = layers.filter(({ count }) => count === null).map(({ layer }) => layer);
  const hardware = missing.filter((layer) => allocatableLayers.indexOf(layer) <= 3);
  const gap = (of: readonly string[], detail: string): Gap[] =>
    of.length === 0
      ? []
      : [{ field: of.map((layer) => `layers.${layer}`).join(', '), reason: 'not-observable', detail }];
  const only = (layer: AllocatableLayer) => missing.filter((each) => each === layer);
  return [
    ...gap(
      hardware,
      agentInventory ? 'the agent of the node did not tell' : 'the agent of the node was not heard',
    ),
    ...gap(
      only('device-plugin'),
      'no device plugin that is ready was seen as a pod, or no label nvidia.com/gpu.count tells what it sees',
    ),
    ...gap([...only('capacity'), ...only('allocatable')], 'the node does not tell it'),
    ...(pods === null ? gap(only('requested'), 'the pods of the node could not be read') : []),
  ];
}
