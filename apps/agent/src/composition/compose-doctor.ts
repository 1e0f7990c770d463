import type { GpuProvider, KernelLog, Logger, RecorderOptions } from '@k8s-gpu-mcp/core';
import type { AgentConfig } from '../config.ts';
import type { OpenLibrary } from '../doctor/backend-checks.ts';
import { openGpuProvider, openKernelLog, openReplay, recorderOptionsOf } from './backends.ts';

/** The adapters one by one, as the doctor looks at them. */
export interface DoctorParts {
  readonly provider: GpuProvider;
  readonly kernelLogs: readonly { readonly name: string; readonly log: KernelLog }[];
  readonly libraries: readonly string[];
  readonly recorderOptions: RecorderOptions;
  readonly openLibrary: OpenLibrary;
}

export async function composeDoctor(config: AgentConfig, logger: Logger): Promise<DoctorParts> {
  const { createNvmlProvider, nvmlLibraryCandidates } = await import('@k8s-gpu-mcp/nvml');
  const isWhole = config.kernelLog === 'auto' && config.backend !== 'mock' && config.backend !== 'replay';
  const names = isWhole ? (['kmsg', 'syslog', 'journal'] as const) : [config.kernelLog];
  const recordings = await openReplay(config);
  return {
    provider: await openGpuProvider(config, logger, recordings),
    kernelLogs: await Promise.all(
      names.map(async (name) => ({
        name,
        log: await openKernelLog({ ...config, kernelLog: name }, recordings),
      })),
    ),
    libraries: config.nvmlLibrary === undefined ? nvmlLibraryCandidates : [config.nvmlLibrary],
    recorderOptions: recorderOptionsOf(config),
    openLibrary: (library) => createNvmlProvider({ logger, ...(library === undefined ? {} : { library }) }),
  };
}
