import { GpuError } from '../errors.ts';
import type { HostDevices, HostDevicesReading } from '../ports/host-devices.ts';
import type { HostProcess, HostProcesses, HostProcessesReading } from '../ports/host-processes.ts';

function refuseAborted(signal: AbortSignal): void {
  if (signal.aborted) throw new GpuError('TIMEOUT', 'the call was cut off');
}

/** The bus and the device files, as given. What is left out could be read and is empty. */
export function inMemoryHostDevices(reading: Partial<HostDevicesReading> = {}): HostDevices {
  return {
    async read(signal) {
      refuseAborted(signal);
      return { pciGpus: [], deviceNodes: [], gaps: [], ...reading };
    },
  };
}

/** These processes and no others; by default they are all that the machine has. */
export function inMemoryHostProcesses(
  processes: readonly (Partial<HostProcess> & Pick<HostProcess, 'pid'>)[],
  reading: Partial<Omit<HostProcessesReading, 'processes'>> = {},
): HostProcesses {
  return {
    async describe(pids, signal) {
      refuseAborted(signal);
      const found = processes.filter(({ pid }) => pids.includes(pid));
      return {
        processes: found.map((process) => ({
          startTicks: 1000,
          startedAt: null,
          state: 'S',
          userId: 1000,
          userName: null,
          name: 'python3',
          command: 'python3 train.py',
          parentPid: 1,
          container: null,
          podUid: null,
          slurmJobId: null,
          ...process,
        })),
        seesAllProcesses: true,
        gaps: [],
        ...reading,
      };
    },
  };
}
