import type { GpuSection, GpuSectionReadings } from '@k8s-gpu-mcp/core';
import { processesOn, type SimulatedProcess } from '../simulated-job.ts';
import type { SimulatedGpu, SimulatedNode } from '../simulated-node.ts';
import {
  clocksOf,
  pcieOf,
  pcieTrafficOf,
  powerAt,
  profilingBetween,
  thermalAt,
  utilizationOf,
  violationsAt,
} from './activity.ts';
import { eventsOf, identityOf, memoryOf, migOf, recoveryOf } from './board.ts';
import { fabricOf, nvlinksOf, topologyOf } from './links.ts';
import { processesOf } from './processes.ts';
import { eccOf, rowRemapOf } from './reliability.ts';
import { type Workload, workload } from './workload.ts';

/** One GPU at one time. */
interface Moment {
  readonly node: SimulatedNode;
  readonly processes: readonly SimulatedProcess[];
  readonly gpu: SimulatedGpu;
  /** Milliseconds since 1970. */
  readonly now: number;
  readonly seconds: number;
  readonly load: Workload;
  /** How hard the GPU works at this time. */
  readonly share: number;
  readonly profiledAt: number | undefined;
}

const readers: { readonly [S in GpuSection]: (moment: Moment) => Required<GpuSectionReadings>[S] } = {
  identity: ({ gpu }) => identityOf(gpu),
  memory: ({ gpu, share }) => memoryOf(gpu, share),
  thermal: ({ node, gpu, share, seconds }) => thermalAt(node, gpu, share, seconds),
  power: ({ node, gpu, load, seconds }) => powerAt(node, gpu, load, seconds),
  clocks: ({ gpu }) => clocksOf(gpu),
  violations: ({ node, gpu, now }) => violationsAt(node, gpu, now),
  utilization: ({ gpu, share }) => utilizationOf(gpu, share),
  profiling: ({ gpu, load, profiledAt, now }) => profilingBetween(gpu, load, profiledAt, now),
  ecc: ({ gpu }) => eccOf(gpu),
  rowRemap: ({ gpu }) => rowRemapOf(gpu),
  pcie: ({ node, gpu }) => pcieOf(node, gpu),
  pcieTraffic: ({ share }) => pcieTrafficOf(share),
  nvlink: ({ node, gpu }) => nvlinksOf(node, gpu),
  fabric: ({ gpu }) => fabricOf(gpu),
  topology: ({ node, gpu }) => topologyOf(node, gpu),
  processes: ({ node, processes, gpu, share }) =>
    processesOf(node, processes, gpu, memoryOf(gpu, share), utilizationOf(gpu, share)),
  mig: ({ gpu }) => migOf(gpu),
  recovery: ({ gpu }) => recoveryOf(gpu),
  events: ({ gpu }) => eventsOf(gpu),
};

/**
 * Sections of one GPU at a time in milliseconds since 1970. A null is something that such a board with such a driver does not tell.
 * `profiledAt` is when the engines were asked for before, as their activity is that between two readings.
 */
export type ReadingsAt = (
  gpu: SimulatedGpu,
  sections: readonly GpuSection[],
  now: number,
  profiledAt?: number,
) => GpuSectionReadings;

export function simulateReadings(node: SimulatedNode): ReadingsAt {
  const processes = processesOn(node);
  return (gpu, sections, now, profiledAt) => {
    const seconds = now / 1000;
    const load = workload(node, gpu);
    const share = load.at(seconds);
    const moment: Moment = { node, processes, gpu, now, seconds, load, share, profiledAt };
    return Object.fromEntries(sections.map((section) => [section, readers[section](moment)]));
  };
}
