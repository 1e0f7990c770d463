import { GpuError, type HostDevices, type HostProcess, type HostProcesses, type PciGpu } from '@k8s-gpu-mcp/core';

function refuseAborted(signal: AbortSignal): void {
  if (signal.aborted) throw new GpuError('TIMEOUT', 'the call was cut off');
}

/** The bus as lspci printed it. Device files stand in no file. */
export function recordedHostDevices(gpus: readonly PciGpu[]): HostDevices {
  const pciGpus = gpus.toSorted((a, b) => (a.pciAddress < b.pciAddress ? -1 : 1));
  return {
    async read(signal) {
      refuseAborted(signal);
      const gaps = [
        { field: 'deviceNodes', reason: 'not-observable', detail: 'not in the file' } as const,
      ];
      return { pciGpus, deviceNodes: null, gaps };
    },
  };
}

/** The processes as ps printed them. Whether that was all of the machine, or of a container, it does not say. */
export function recordedHostProcesses(processes: ReadonlyMap<number, HostProcess>): HostProcesses {
  return {
    async describe(pids, signal) {
      refuseAborted(signal);
      const found = pids.flatMap((pid) => processes.get(pid) ?? []);
      return { processes: found, seesAllProcesses: null, gaps: [] };
    },
  };
}
