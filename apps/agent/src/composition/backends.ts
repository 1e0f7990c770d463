import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { type GpuProvider, type KernelLog, type Logger, systemClock } from '@k8s-gpu-mcp/core';
import type { MockScenarioName } from '@k8s-gpu-mcp/nvml-mock';
import type { AgentConfig } from '../config.ts';
import { UsageError } from '../usage-error.ts';

const defaultScenario: MockScenarioName = 'healthy-8xh100';

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
    ...(config.nvmlLibrary === undefined ? {} : { library: libraryPath(config.nvmlLibrary) }),
  });
}

/** The loader takes a name without a slash for one to search for, so a file in the working directory is given in full. */
function libraryPath(file: string): string {
  return existsSync(file) ? resolve(file) : file;
}

/** The kernel log asked for. Simulated GPUs have a simulated log, unless a real one is named. */
export async function openKernelLog(config: AgentConfig): Promise<KernelLog> {
  if (config.backend === 'mock' && config.kernelLog === 'auto') {
    const { createMockKernelLog } = await import('@k8s-gpu-mcp/nvml-mock');
    return createMockKernelLog({ scenario: await scenarioOf(config), clock: systemClock });
  }
  const { createAutoKernelLog } = await import('@k8s-gpu-mcp/host-linux');
  return createAutoKernelLog(config.kernelLog);
}

async function scenarioOf({ scenario = defaultScenario }: AgentConfig): Promise<MockScenarioName> {
  const { isMockScenario, mockScenarios } = await import('@k8s-gpu-mcp/nvml-mock');
  if (isMockScenario(scenario)) return scenario;
  const names = mockScenarios.map(({ name }) => name).join(', ');
  throw new UsageError(`--scenario ${JSON.stringify(scenario.slice(0, 60))} is not one of ${names}`);
}
