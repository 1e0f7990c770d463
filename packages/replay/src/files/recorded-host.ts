import {
  GpuError,
  type HostDevices,
  type HostDevicesReading,
  type HostProcess,
  type HostProcesses,
  type PciGpu,
  pciDeviceKey,
} from '@k8s-gpu-mcp/core';

function refuseAborted(signal: AbortSignal): void {
  if (signal.aborted) throw new GpuError('TIMEOUT', 'the call was cut off');
}

/**
 * The bus as lspci printed it. Device files stand in no file. One device alone is the whole bus only when nvidia-smi (`driverAddresses`, as
 * `domain:bus:device`) lists no other.
 */
export function recordedHostDevices(
  gpus: readonly PciGpu[],
  told: { readonly isWholeBus: boolean; readonly tellsDrivers: boolean },
  driverAddresses: readonly (string | undefined)[],
): HostDevices {
  const shown = new Set(gpus.map(({ pciAddress }) => pciDeviceKey(pciAddress)));
  const isWhole = told.isWholeBus || driverAddresses.every((address) => shown.has(address));
  const gap = (field: string, detail: string) => ({ field, reason: 'not-observable', detail }) as const;
  const reading: HostDevicesReading = {
    pciGpus: isWhole ? gpus.toSorted((a, b) => (a.pciAddress < b.pciAddress ? -1 : 1)) : null,
    deviceNodes: null,
    gaps: [
      gap('deviceNodes', 'not in the file'),
      ...(isWhole ? [] : [gap('pciGpus', 'lspci was asked for one device only')]),
      ...(told.tellsDrivers
        ? []
        : [gap('pciGpus.driver', 'lspci was run without -k: taken as the driver of the vendor')]),
    ],
  };
  return {
    async read(signal) {
      refuseAborted(signal);
      return reading;
    },
  };
}

/**
 * The processes as ps printed them. A list that has the kernel's own threads was taken outside every container, and whole; of any other it
 * cannot be told.
 */
export function recordedHostProcesses(processes: ReadonlyMap<number, HostProcess>): HostProcesses {
  const seesAllProcesses = processes.get(2)?.name === 'kthreadd' ? true : null;
  return {
    async describe(pids, signal) {
      refuseAborted(signal);
      const found = pids.flatMap((pid) => processes.get(pid) ?? []);
      return { processes: found, seesAllProcesses, gaps: [] };
    },
  };
}
