import type { GpuRef, GpuSample, GpuSection } from '@k8s-gpu-mcp/core';
import { type Problems, record } from './inspect.ts';

type Reading = number | null | undefined;

/** Pairs that must be in order. The sum of memory parts leaves a little room: drivers round each part to whole pages or MiB. */
export function findDisagreements(sample: GpuSample): Problems {
  const problems: string[] = [];
  const atMost = (what: string, low: Reading, high: Reading) => {
    if (typeof low === 'number' && typeof high === 'number' && low > high) {
      problems.push(`${what}: ${low} is more than ${high}`);
    }
  };
  const { memory, power, pcie, mig, processes } = sample;
  const roundingBytes = 2 * 1024 * 1024;
  const partsFit = (what: string, used: Reading, free: Reading, total: Reading) => {
    if (typeof used === 'number' && typeof free === 'number' && typeof total === 'number') {
      atMost(`${what} used + free, total`, used + free, total + roundingBytes);
    }
    atMost(`${what} used, total`, used, total);
    atMost(`${what} free, total`, free, total);
  };
  partsFit('memory', memory?.usedBytes, memory?.freeBytes, memory?.totalBytes);
  partsFit('BAR1', memory?.bar1UsedBytes, memory?.bar1FreeBytes, memory?.bar1TotalBytes);
  atMost('memory reserved, total', memory?.reservedBytes, memory?.totalBytes);
  atMost('power limit minimum, maximum', power?.minLimitWatts, power?.maxLimitWatts);
  atMost('power limit default, maximum', power?.defaultLimitWatts, power?.maxLimitWatts);
  atMost('power limit minimum, default', power?.minLimitWatts, power?.defaultLimitWatts);
  atMost('PCIe generation, maximum', pcie?.currentGeneration, pcie?.maxGeneration);
  atMost('PCIe generation of link, of device', pcie?.maxGeneration, pcie?.deviceMaxGeneration);
  atMost('PCIe width, maximum', pcie?.currentLinkWidthLanes, pcie?.maxLinkWidthLanes);
  atMost(
    'PCIe speed, maximum',
    pcie?.currentSpeedMegatransfersPerSecond,
    pcie?.maxSpeedMegatransfersPerSecond,
  );
  atMost('MIG devices, maximum', mig?.devices?.length, mig?.maxDeviceCount);
  for (const { index, memoryUsedBytes, memoryTotalBytes } of mig?.devices ?? []) {
    atMost(`MIG device ${index} used, total`, memoryUsedBytes, memoryTotalBytes);
  }
  for (const { id, remainingInstanceCount, maxInstanceCount } of mig?.profiles ?? []) {
    atMost(`MIG profile ${id} remaining, maximum`, remainingInstanceCount, maxInstanceCount);
  }
  for (const { pid, memoryUsedBytes } of processes?.running ?? []) {
    atMost(`memory of process ${pid}, total`, memoryUsedBytes, memory?.totalBytes);
  }
  return problems;
}

/** Peers that are no other GPU of the node. */
export function findPeerFaults(sample: GpuSample, gpu: GpuRef, known: readonly GpuRef[]): Problems {
  return (sample.topology?.peers ?? []).flatMap(({ index }) => {
    if (index === gpu.index) return ['topology.peers: names the GPU itself'];
    return known.some((other) => other.index === index)
      ? []
      : [`topology.peers: ${index} is no GPU of this node`];
  });
}

/** What only grows while the driver stays loaded. */
const countersThatGrow: Readonly<Partial<Record<GpuSection, RegExp>>> = {
  power: /^energyJoules$/,
  violations: /Microseconds$/,
  pcie: /Count$/,
};

export function findFallenCounters(before: GpuSample, after: GpuSample): Problems {
  return Object.entries(countersThatGrow).flatMap(([section, counter]) => {
    const earlier = record(record(before)[section]);
    return Object.entries(record(record(after)[section])).flatMap(([key, value]) => {
      const was = earlier[key];
      return counter.test(key) && typeof was === 'number' && typeof value === 'number' && value < was
        ? [`${section}.${key}: fell from ${was} to ${value}`]
        : [];
    });
  });
}
