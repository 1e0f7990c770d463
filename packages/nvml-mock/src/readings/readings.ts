import type { GpuSectionReadings } from '@k8s-gpu-mcp/core';
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
import { workload } from './workload.ts';

/**
 * All sections of one GPU at one time. A null is something that such a board with such a driver does not tell. `profiledAt` is when the
 * engines were asked for before, as their activity is that between two readings.
 */
export function readingsAt(
  node: SimulatedNode,
  gpu: SimulatedGpu,
  now: number,
  profiledAt?: number,
): Required<GpuSectionReadings> {
  const seconds = now / 1000;
  const load = workload(node, gpu);
  const share = load.at(seconds);
  const memory = memoryOf(gpu, share);
  const utilization = utilizationOf(gpu, share);
  return {
    identity: identityOf(gpu),
    memory,
    thermal: thermalAt(node, gpu, share, seconds),
    power: powerAt(node, gpu, load, seconds),
    clocks: clocksOf(gpu),
    violations: violationsAt(node, gpu, now),
    utilization,
    profiling: profilingBetween(gpu, load, profiledAt, now),
    ecc: eccOf(gpu),
    rowRemap: rowRemapOf(gpu),
    pcie: pcieOf(node, gpu),
    pcieTraffic: pcieTrafficOf(share),
    nvlink: nvlinksOf(node, gpu),
    fabric: fabricOf(gpu),
    topology: topologyOf(node, gpu),
    processes: processesOf(node, gpu, memory, utilization),
    mig: migOf(gpu),
    recovery: recoveryOf(gpu),
    events: eventsOf(gpu),
  };
}
