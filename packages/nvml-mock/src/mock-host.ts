import {
  type Gap,
  GpuError,
  type HostDevices,
  type HostProcess,
  type HostProcesses,
  type PciGpu,
} from '@k8s-gpu-mcp/core';
import { processesOn, type SimulatedProcess } from './simulated-job.ts';
import {
  type SimulatedGpu,
  type SimulatedNode,
  type SimulationOptions,
  simulateNode,
} from './simulated-node.ts';

/** Of the kernel, for start times. Source: proc(5), sysconf(_SC_CLK_TCK) on Linux. */
const ticksPerSecond = 100;

function refuseAborted(signal: AbortSignal): void {
  if (signal.aborted) throw new GpuError('TIMEOUT', 'the call was cut off before it began');
}

/**
 * The bus and the device files of a scenario. A GPU that fell off its bus still has its place there and its device file, and reads as
 * all ones.
 * @throws RangeError for a scenario that does not exist.
 */
export function mockHostDevices(options: SimulationOptions): HostDevices {
  const node = simulateNode(options);
  return {
    async read(signal) {
      refuseAborted(signal);
      const lost = node.gpus.filter(isLost);
      return {
        pciGpus: node.gpus.map(pciGpuOf),
        deviceNodes: node.gpus.map(({ index }) => ({
          path: `/dev/nvidia${index}`,
          minorNumber: index,
          accessible: true,
        })),
        gaps: lost.map(
          ({ pciAddress }): Gap => ({
            field: `pciGpus.${pciAddress}`,
            reason: 'gpu-lost',
            detail: 'its configuration space reads as all ones',
          }),
        ),
      };
    },
  };
}

const isLost = ({ condition }: SimulatedGpu) => condition.failure === 'off-bus';

/** Transfers per lane and second, in 10^9, by generation. Source: PCI Express base specification. */
const gigatransfers: Readonly<Record<number, number>> = { 3: 8, 4: 16, 5: 32 };

function pciGpuOf(gpu: SimulatedGpu): PciGpu {
  const { model, condition } = gpu;
  const told = !isLost(gpu);
  const speed = told ? (gigatransfers[model.pcie.generation] ?? null) : null;
  return {
    pciAddress: gpu.pciAddress,
    vendorId: '10de',
    deviceId: model.pciDeviceId,
    deviceClass: '3d',
    driver: 'nvidia',
    respondsOnBus: told,
    numaNode: gpu.numaNode,
    currentSpeedGigatransfersPerSecond: speed,
    maxSpeedGigatransfersPerSecond: speed,
    currentLinkWidthLanes: told ? (condition.pcie?.currentLinkWidthLanes ?? model.pcie.lanes) : null,
    maxLinkWidthLanes: told ? model.pcie.lanes : null,
  };
}

/**
 * The processes of a scenario: those that hold its GPUs, and the launcher that started them.
 * @throws RangeError for a scenario that does not exist.
 */
export function mockHostProcesses(options: SimulationOptions): HostProcesses {
  const node = simulateNode(options);
  const simulated = processesOn(node);
  return {
    async describe(pids, signal) {
      refuseAborted(signal);
      return {
        processes: simulated
          .filter(({ pid }) => pids.includes(pid))
          .map((process) => hostProcessOf(node, process)),
        seesAllProcesses: true,
        gaps: [],
      };
    },
  };
}

function hostProcessOf(node: SimulatedNode, process: SimulatedProcess): HostProcess {
  const startTicks = Math.round(process.startedUptimeSeconds * ticksPerSecond);
  return {
    pid: process.pid,
    startTicks,
    startedAt: new Date(node.bootedAt + (startTicks * 1000) / ticksPerSecond).toISOString(),
    state: process.state,
    userId: 1000,
    // A user of the container, whom the machine does not know.
    userName: null,
    name: process.name,
    command: process.command,
    parentPid: process.parentPid,
    container: { id: process.containerId, runtime: 'containerd' },
    podUid: process.podUid,
    slurmJobId: null,
  };
}
