import type { Clock, GpuProvider, KernelLog, KernelLogCoverage, Logger } from '@k8s-gpu-mcp/core';
import type { AgentConfig } from '../config.ts';
import { UsageError } from '../usage-error.ts';

const systemClock: Clock = {
  now: () => Date.now(),
  after(milliseconds, callback) {
    const timer = setTimeout(callback, milliseconds);
    return () => clearTimeout(timer);
  },
};

const defaultScenario = 'healthy';

/**
 * The adapter for the backend asked for; its code is loaded only when it is the one. `auto` takes the first vendor library that loads
 * and never the mock: NVML is the only vendor so far, and when it does not load, every answer says so.
 */
export async function openGpuProvider(config: AgentConfig, logger: Logger): Promise<GpuProvider> {
  if (config.backend === 'mock') {
    const { createMockProvider } = await import('@k8s-gpu-mcp/nvml-mock');
    return createMockProvider({ scenario: await scenarioOf(config), clock: systemClock });
  }
  const { createNvmlProvider } = await import('@k8s-gpu-mcp/nvml');
  return createNvmlProvider({
    logger,
    ...(config.nvmlLibrary === undefined ? {} : { libraryPath: config.nvmlLibrary }),
  });
}

/** The kernel log asked for. Simulated GPUs have a simulated log, unless a real one is named. */
export async function openKernelLog(config: AgentConfig, logger: Logger): Promise<KernelLog> {
  if (config.kernelLog === 'none') return absentKernelLog;
  if (config.backend === 'mock' && config.kernelLog === 'auto') {
    const { createMockKernelLog } = await import('@k8s-gpu-mcp/nvml-mock');
    return createMockKernelLog({ scenario: await scenarioOf(config), clock: systemClock });
  }
  const { createAutoKernelLog } = await import('@k8s-gpu-mcp/host-linux');
  return createAutoKernelLog(config.kernelLog, { logger });
}

async function scenarioOf({ scenario = defaultScenario }: AgentConfig) {
  const { mockScenarios } = await import('@k8s-gpu-mcp/nvml-mock');
  const names = Object.keys(mockScenarios);
  if (names.includes(scenario)) return scenario;
  throw new UsageError(`--scenario ${JSON.stringify(scenario)} is not one of ${names.join(', ')}`);
}

const absentCoverage: KernelLogCoverage = {
  source: null,
  readable: false,
  from: null,
  to: null,
  skipped: [{ source: 'none', reason: 'turned off by --kernel-log none' }],
};

const absentKernelLog: KernelLog = {
  read: () => Promise.resolve({ records: [], coverage: absentCoverage }),
};
