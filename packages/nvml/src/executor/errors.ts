import { type GapReason, GpuError, type GpuErrorCode, type GpuRef } from '@k8s-gpu-mcp/core';
import type { HelperExit } from './helper-process.ts';
import type { Incident, Suspicion } from './suspicions.ts';

/** What the executor says when there is no answer: always which GPU, doing what, how long, and in which process. */

const seconds = (milliseconds: number) => `${(Math.max(0, milliseconds) / 1000).toFixed(1)} s`;
const helper = (pid: number | undefined) =>
  pid === undefined ? 'a helper process' : `helper process ${pid}`;
const sleeping = ({ pid, waitChannel }: Incident) =>
  `${helper(pid)}${waitChannel === null ? '' : `, which sleeps in ${waitChannel}`}`;
/** Said only where the GPU to blame is not the one that the message is about. */
const elsewhere = ({ suspect }: Incident, gpu: GpuRef | undefined) =>
  suspect === 'driver' || suspect === gpu?.index ? '' : ` of GPU ${suspect}`;
const gpuName = (gpu: GpuRef | undefined) =>
  gpu === undefined ? 'the driver' : `GPU ${gpu.index}${gpu.uuid === null ? '' : ` (${gpu.uuid})`}`;

function gpuError(code: GpuErrorCode, message: string, gpu: GpuRef | undefined): GpuError {
  return new GpuError(code, message, gpu === undefined ? {} : { gpuId: gpu.uuid ?? String(gpu.index) });
}

export function timedOut(message: string, gpu: GpuRef | undefined): GpuError {
  return gpuError('TIMEOUT', message, gpu);
}

export function gpuHung(incident: Incident, now: number, gpu: GpuRef | undefined): GpuError {
  const message = `${gpuName(gpu)} does not answer: "${incident.operation}" has taken ${seconds(now - incident.since)} in ${sleeping(incident)}`;
  return gpuError('GPU_HUNG', message, gpu);
}

export function driverUnresponsive(incident: Incident, now: number): GpuError {
  const message = `the driver does not answer: "${incident.operation}"${elsewhere(incident, undefined)} has taken ${seconds(now - incident.since)} in ${sleeping(incident)}`;
  return new GpuError('DRIVER_UNRESPONSIVE', message);
}

export function crashed(exit: HelperExit, { operation, pid }: Incident, gpu: GpuRef | undefined): GpuError {
  if (exit.error !== undefined) {
    const message = `the helper process cannot be started: ${exit.error.message}`;
    return new GpuError('ADAPTER_CRASHED', message, { cause: exit.error });
  }
  const how = exit.signal === null ? `exited with code ${exit.code}` : `was ended by ${exit.signal}`;
  return gpuError('ADAPTER_CRASHED', `${helper(pid)} ${how} during "${operation}" of ${gpuName(gpu)}`, gpu);
}

/** The answer for what is being left alone. */
export function suspectError(suspicion: Suspicion, now: number, gpu?: GpuRef): GpuError {
  const { since, operation, retryAt, kind } = suspicion;
  const again =
    retryAt === null ? 'once the driver comes back to it' : `at the earliest in ${seconds(retryAt - now)}`;
  const when = new Date(since).toISOString();
  if (kind === 'crashed') {
    const message = `"${operation}" of ${gpuName(gpu)} has ended its helper process ${suspicion.failures} times in a row, last at ${when}; it is tried again ${again}`;
    return gpuError('ADAPTER_CRASHED', message, gpu);
  }
  const message = `${gpuName(gpu)} has not answered since ${when} ("${operation}" in ${sleeping(suspicion)}); it is tried again ${again}`;
  return gpuError(gpu === undefined ? 'DRIVER_UNRESPONSIVE' : 'GPU_HUNG', message, gpu);
}

/** Why there is nothing of what an operation with this error would have told; else `error`. */
export const gapReasonByCode: Partial<Record<GpuErrorCode, GapReason>> = {
  NO_PERMISSION: 'no-permission',
  NOT_SUPPORTED: 'unsupported',
  GPU_LOST: 'gpu-lost',
  GPU_HUNG: 'timeout',
  TIMEOUT: 'timeout',
  DRIVER_UNRESPONSIVE: 'timeout',
};
