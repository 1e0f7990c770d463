import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { UsageError } from '@k8s-gpu-mcp/command-line';
import {
  FlightRecorder,
  type GpuControl,
  type GpuEventSource,
  type GpuProvider,
  GpuReader,
  type HostDevices,
  type HostProcesses,
  isGpuError,
  type KernelLog,
  type KernelLogFollower,
  type Logger,
  type PodResources,
  type ProcessControl,
  type RecorderOptions,
  type RecorderStore,
  recordedSeries,
  recorderOptions,
  systemClock,
} from '@k8s-gpu-mcp/core';
import type { MockScenarioName } from '@k8s-gpu-mcp/nvml-mock';
import type { Recordings } from '@k8s-gpu-mcp/replay';
import type { AgentConfig } from '../config.ts';
import { podResourcesSocket } from '../pod-resources-socket.ts';

const defaultScenario: MockScenarioName = 'healthy-8xh100';

/**
 * The adapter for the backend asked for; its code is loaded only when it is the one. `auto` takes the first vendor library that loads
 * and never the mock: NVML is the only vendor so far, and when it does not load, every answer says so.
 */
export async function openGpuProvider(
  config: AgentConfig,
  logger: Logger,
  recordings: Recordings | null,
): Promise<GpuProvider> {
  if (recordings) return recordings.gpuProvider;
  if (config.backend === 'mock') {
    const { createMockProvider } = await import('@k8s-gpu-mcp/nvml-mock');
    return createMockProvider({ scenario: await scenarioOf(config), clock: systemClock });
  }
  const { createNvmlProvider } = await import('@k8s-gpu-mcp/nvml');
  return createNvmlProvider(nvmlOptions(config, logger));
}

/** The files that the replay backend answers from, read once for all ports; null for the other backends. */
export async function openReplay(config: AgentConfig): Promise<Recordings | null> {
  if (config.backend !== 'replay') return null;
  if (config.input.length === 0) throw new UsageError('--backend replay needs --input FILE');
  const [{ openRecordings }, { readText, scanKernelLog }] = await Promise.all([
    import('@k8s-gpu-mcp/replay'),
    import('@k8s-gpu-mcp/host-linux'),
  ]);
  const inputs = config.input.map((path) => ({ name: path, path }));
  try {
    return await openRecordings(inputs, { readText, scanKernelLog });
  } catch (error) {
    if (isGpuError(error)) throw new UsageError(`--input: ${error.message} ${error.hint}`);
    throw error;
  }
}

/**
 * Where recorded samples outlive the process; null to keep them in memory only. A command that only looks must not write beside a server,
 * nor delete what that one keeps for longer.
 */
export async function openRecorderStore(config: AgentConfig): Promise<RecorderStore | null> {
  const { recordDirectory } = config;
  if (recordDirectory === undefined) return null;
  const { createRecorderReader, createRecorderStore } = await import('@k8s-gpu-mcp/host-linux');
  const { fineRetentionMilliseconds, coarseIntervalMilliseconds, coarseRetentionMilliseconds } =
    recorderOptionsOf(config);
  const options = {
    directory: recordDirectory,
    seriesNames: recordedSeries.map(({ id }) => id),
    fineRetentionMilliseconds,
    coarseIntervalMilliseconds,
    retentionMilliseconds: coarseRetentionMilliseconds,
  };
  return config.command === 'serve' ? createRecorderStore(options) : createRecorderReader(options);
}

export function createRecorder(
  provider: GpuProvider,
  store: RecorderStore | null,
  config: AgentConfig,
  logger: Logger,
): FlightRecorder {
  const reader = new GpuReader(provider, systemClock, logger);
  return new FlightRecorder(reader, systemClock, logger, recorderOptionsOf(config), store);
}

/** @throws UsageError when interval and retention together would take too much memory. */
export function recorderOptionsOf(config: AgentConfig): RecorderOptions {
  const { recordIntervalMilliseconds, recordRetentionHours } = config;
  try {
    return recorderOptions({
      intervalMilliseconds: recordIntervalMilliseconds,
      coarseRetentionMilliseconds: recordRetentionHours * 3_600_000,
    });
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new UsageError(`--record-interval, --record-retention: ${error.message}`);
  }
}

/** The driver's live events. Holds the driver open only while somebody listens. */
export async function openEventSource(config: AgentConfig, logger: Logger): Promise<GpuEventSource> {
  if (config.backend === 'mock') {
    const { mockEventSource } = await import('@k8s-gpu-mcp/nvml-mock');
    return mockEventSource({ scenario: await scenarioOf(config), clock: systemClock });
  }
  const { createNvmlEventSource } = await import('@k8s-gpu-mcp/nvml');
  return createNvmlEventSource(nvmlOptions(config, logger));
}

function nvmlOptions({ nvmlLibrary, nvmlIdleExitSeconds }: AgentConfig, logger: Logger) {
  return {
    logger,
    idleExitMilliseconds: nvmlIdleExitSeconds * 1_000,
    ...(nvmlLibrary === undefined ? {} : { library: libraryPath(nvmlLibrary) }),
  };
}

/** The loader takes a name without a slash for one to search for, so a file in the working directory is given in full. */
function libraryPath(file: string): string {
  return existsSync(file) ? resolve(file) : file;
}

/** The kernel log asked for. Simulated GPUs have a simulated log, unless a real one is named. */
export async function openKernelLog(config: AgentConfig, recordings: Recordings | null): Promise<KernelLog> {
  if (recordings && config.kernelLog === 'auto') return recordings.kernelLog;
  if (config.backend === 'mock' && config.kernelLog === 'auto') {
    const { createMockKernelLog } = await import('@k8s-gpu-mcp/nvml-mock');
    return createMockKernelLog({ scenario: await scenarioOf(config), clock: systemClock });
  }
  const { createAutoKernelLog } = await import('@k8s-gpu-mcp/host-linux');
  return createAutoKernelLog(config.kernelLog);
}

/** The same source, line by line as it is written. */
export async function openKernelLogFollower(config: AgentConfig): Promise<KernelLogFollower> {
  const { createKernelLogFollower } = await import('@k8s-gpu-mcp/host-linux');
  // A simulated or recorded log does not grow; what a simulated GPU does next comes from its events.
  const isStill = ['mock', 'replay'].includes(config.backend) && config.kernelLog === 'auto';
  return createKernelLogFollower(isStill ? 'none' : config.kernelLog);
}

/** Simulated GPUs hang on a simulated bus and are held by simulated processes. */
export async function openHostDevices(
  config: AgentConfig,
  recordings: Recordings | null,
): Promise<HostDevices | null> {
  if (recordings) return recordings.hostDevices ?? null;
  if (config.backend === 'mock') {
    const { mockHostDevices } = await import('@k8s-gpu-mcp/nvml-mock');
    return mockHostDevices({ scenario: await scenarioOf(config), clock: systemClock });
  }
  const { createHostDevices } = await import('@k8s-gpu-mcp/host-linux');
  return createHostDevices();
}

export async function openHostProcesses(
  config: AgentConfig,
  recordings: Recordings | null,
): Promise<HostProcesses | null> {
  if (recordings) return recordings.hostProcesses ?? null;
  if (config.backend === 'mock') {
    const { mockHostProcesses } = await import('@k8s-gpu-mcp/nvml-mock');
    return mockHostProcesses({ scenario: await scenarioOf(config), clock: systemClock });
  }
  const { createHostProcesses } = await import('@k8s-gpu-mcp/host-linux');
  return createHostProcesses();
}

/** Resets go through the vendor's tool, while nothing of our own holds the driver. */
export async function openGpuControl(
  provider: GpuProvider,
  eventSource: GpuEventSource,
): Promise<GpuControl> {
  const { createNvmlControl } = await import('@k8s-gpu-mcp/nvml');
  return createNvmlControl({ clients: [provider, eventSource].map(asClient) });
}

function asClient(part: object): { suspend(): Promise<() => void> } {
  if ('suspend' in part && typeof part.suspend === 'function')
    return part as { suspend(): Promise<() => void> };
  throw new Error('operator mode needs adapters that can let go of the driver');
}

export async function openProcessControl(): Promise<ProcessControl> {
  const { createProcessControl } = await import('@k8s-gpu-mcp/host-linux');
  return createProcessControl();
}

/** Null when there is no kubelet to ask. */
export async function openPodResources(config: AgentConfig): Promise<PodResources | null> {
  const socket = podResourcesSocket(config);
  if (socket === undefined) return null;
  const { createPodResources } = await import('@k8s-gpu-mcp/kubelet');
  return createPodResources({ socket });
}

async function scenarioOf({ scenario = defaultScenario }: AgentConfig): Promise<MockScenarioName> {
  const { isMockScenario, mockScenarios } = await import('@k8s-gpu-mcp/nvml-mock');
  if (isMockScenario(scenario)) return scenario;
  const names = mockScenarios.map(({ name }) => name).join(', ');
  throw new UsageError(`--scenario ${JSON.stringify(scenario.slice(0, 60))} is not one of ${names}`);
}
