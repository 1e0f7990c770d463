import type {
  AccountedProcess,
  GpuMemory,
  GpuProcess,
  GpuProcesses,
  GpuUtilization,
} from '@k8s-gpu-mcp/core';
import type { SimulatedProcess } from '../simulated-job.ts';
import type { SimulatedGpu, SimulatedNode } from '../simulated-node.ts';
import { mebibyte, round } from './workload.ts';

/** What is in use and belongs to no process. Source: 20 MiB in the capture of the H100 under load. */
const driverOverheadBytes = 20 * mebibyte;

export function processesOf(
  { bootedAt }: SimulatedNode,
  processes: readonly SimulatedProcess[],
  gpu: SimulatedGpu,
  memory: GpuMemory,
  utilization: GpuUtilization,
): GpuProcesses {
  const holders = processes.filter(({ gpuIndex }) => gpuIndex === gpu.index);
  const usedBytes = (gpuInstanceId: number | null) =>
    gpuInstanceId === null
      ? memory.usedBytes
      : (gpu.migDevices.find((device) => device.gpuInstanceId === gpuInstanceId)?.memoryUsedBytes ?? null);
  const running = holders.map(({ pid, gpuInstanceId }): GpuProcess => {
    const used = usedBytes(gpuInstanceId);
    return {
      pid,
      kinds: ['compute'],
      memoryUsedBytes: used === null ? null : used - driverOverheadBytes,
      gpuInstanceId,
      computeInstanceId: gpuInstanceId === null ? null : 0,
      // With MIG the driver samples no process.
      smPercent: gpuInstanceId === null ? utilization.gpuPercent : null,
      memoryPercent: gpuInstanceId === null ? utilization.memoryPercent : null,
      encoderPercent: gpuInstanceId === null ? 0 : null,
      decoderPercent: gpuInstanceId === null ? 0 : null,
    };
  });
  const { accountingEnabled } = gpu.model;
  const startedAt = (pid: number) => {
    const uptimeSeconds = holders.find((holder) => holder.pid === pid)?.startedUptimeSeconds ?? 0;
    return new Date(bootedAt + round(uptimeSeconds * 1000)).toISOString();
  };
  const accounted = running.map(
    ({ pid, smPercent, memoryPercent, memoryUsedBytes }): AccountedProcess => ({
      pid,
      running: true,
      gpuPercent: smPercent,
      memoryPercent,
      maxMemoryUsedBytes: memoryUsedBytes,
      startedAt: startedAt(pid),
      activeMilliseconds: null,
    }),
  );
  return { running, accountingEnabled, accounted: accountingEnabled ? accounted : [] };
}
