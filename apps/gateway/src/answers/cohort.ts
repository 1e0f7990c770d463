import {
  type ComparisonMetric,
  compareGpus,
  comparisonMetrics,
  type GpuReading,
  type Outlier,
} from '@k8s-gpu-mcp/core';
import { byText } from './untrusted-content.ts';

/** Fewer cannot tell who is the odd one when they are spread over nodes. */
export const minimumPeers = 5;

/** One GPU of the cluster with what its agent read of it. */
export interface FleetGpu {
  readonly node: string;
  readonly index: number;
  readonly product: string;
  readonly driverVersion: string;
  readonly migEnabled: boolean;
  readonly utilizationPercent: number | null;
  /** By name of the metric; what could not be read is absent. */
  readonly values: ReadonlyMap<string, number>;
}

export interface FleetCohort {
  readonly product: string;
  readonly driverVersion: string;
  readonly migEnabled: boolean;
  readonly load: 'idle' | 'busy' | 'any';
  readonly gpuCount: number;
  readonly nodeCount: number;
  readonly utilizationPercent: { readonly min: number; readonly max: number } | null;
  readonly medians: Readonly<Record<string, number>>;
}

/** GPUs of one node that are apart from their cohort in one metric. `value` is that of the one furthest away. */
export interface FleetOutlier
  extends Pick<Outlier, 'metric' | 'value' | 'median' | 'deviation' | 'modifiedZScore'> {
  readonly node: string;
  readonly gpus: readonly number[];
  /** GPUs that told the metric. */
  readonly peerCount: number;
  readonly tool: string;
}

export interface TooSmall {
  readonly product: string;
  readonly driverVersion: string;
  readonly migEnabled: boolean;
  readonly gpuCount: number;
  readonly reason: string;
}

export interface FleetComparison {
  readonly cohorts: readonly FleetCohort[];
  /** Furthest from its cohort first. */
  readonly outliers: readonly FleetOutlier[];
  readonly tooSmall: readonly TooSmall[];
  readonly compared: ReadonlySet<FleetGpu>;
}

/** Compares GPUs of the same product, driver and MIG mode over all nodes. The order of `gpus` does not matter. */
export function compareFleet(gpus: readonly FleetGpu[]): FleetComparison {
  const ordered = [...gpus].sort((a, b) => byText(a.node, b.node) || a.index - b.index);
  const groups = new Map<string, FleetGpu[]>();
  for (const gpu of ordered) {
    const key = JSON.stringify([gpu.product, gpu.driverVersion, gpu.migEnabled]);
    const group = groups.get(key);
    if (group) group.push(gpu);
    else groups.set(key, [gpu]);
  }
  const cohorts: FleetCohort[] = [];
  const outliers: FleetOutlier[] = [];
  const tooSmall: TooSmall[] = [];
  const compared = new Set<FleetGpu>();
  for (const key of [...groups.keys()].sort(byText)) {
    const members = groups.get(key) ?? [];
    const [first] = members;
    if (!first) continue;
    const { product, driverVersion, migEnabled } = first;
    if (members.length < minimumPeers) {
      const reason = `${members.length} of this product, driver and MIG mode; ${minimumPeers} are needed to tell the odd one`;
      tooSmall.push({ product, driverVersion, migEnabled, gpuCount: members.length, reason });
      continue;
    }
    const found = compareGpus(
      members.map((gpu, position) => [readingOf(gpu, position)]),
      metricsOver(members),
    );
    for (const { gpus: positions, load, utilizationPercent, medians } of found.cohorts) {
      if (positions.length < minimumPeers) continue;
      const own = positions.flatMap((position) => members[position] ?? []);
      for (const gpu of own) compared.add(gpu);
      const nodeCount = new Set(own.map(({ node }) => node)).size;
      cohorts.push({
        product,
        driverVersion,
        migEnabled,
        load,
        gpuCount: own.length,
        nodeCount,
        utilizationPercent,
        medians,
      });
    }
    outliers.push(
      ...byNode(
        found.outliers.filter(({ cohort }) => cohort.length >= minimumPeers),
        members,
      ),
    );
  }
  return { cohorts, outliers: outliers.sort(byDeviation), tooSmall, compared };
}

/** Core compares readings of one machine, told apart by index: here the position in the cohort. */
function readingOf({ product, migEnabled, utilizationPercent }: FleetGpu, position: number): GpuReading {
  return {
    gpu: { index: position, uuid: null, pciAddress: null, name: product },
    state: 'ok',
    observedAt: '',
    gaps: [],
    mig: { enabled: migEnabled, pendingEnabled: null, maxDeviceCount: null, devices: null, profiles: null },
    utilization: {
      gpuPercent: utilizationPercent,
      memoryPercent: null,
      encoderPercent: null,
      decoderPercent: null,
      jpegPercent: null,
      opticalFlowPercent: null,
    },
  };
}

/** The floors and directions of core, over values that the agents have read. */
function metricsOver(members: readonly FleetGpu[]): readonly ComparisonMetric[] {
  return comparisonMetrics.map((metric) => ({
    ...metric,
    read: ({ gpu }) => members[gpu.index]?.values.get(metric.name),
  }));
}

/** GPUs of one node in one row for each metric. Outliers come furthest first. */
function byNode(outliers: readonly Outlier[], members: readonly FleetGpu[]): readonly FleetOutlier[] {
  const rows = new Map<string, { worst: Outlier; node: string; gpus: number[] }>();
  for (const outlier of outliers) {
    const gpu = members[outlier.gpu];
    if (!gpu) continue;
    const key = JSON.stringify([gpu.node, outlier.metric]);
    const row = rows.get(key);
    if (row) row.gpus.push(gpu.index);
    else rows.set(key, { worst: outlier, node: gpu.node, gpus: [gpu.index] });
  }
  return [...rows.values()].map(({ worst, node, gpus }) => ({
    node,
    gpus: gpus.sort((a, b) => a - b),
    metric: worst.metric,
    value: worst.value,
    median: worst.median,
    deviation: worst.deviation,
    modifiedZScore: worst.modifiedZScore,
    peerCount: worst.cohort.length,
    tool: worst.tool,
  }));
}

const weight = ({ deviation, median }: FleetOutlier) => Math.abs(deviation) / Math.max(1, Math.abs(median));
const byDeviation = (a: FleetOutlier, b: FleetOutlier) =>
  weight(b) - weight(a) || byText(a.node, b.node) || byText(a.metric, b.metric);
