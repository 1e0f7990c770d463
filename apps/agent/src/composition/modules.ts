import {
  createGpuResources,
  createGpuTools,
  type GpuProvider,
  gpuPrompts,
  type Logger,
} from '@k8s-gpu-mcp/core';
import { ContainerModule } from 'inversify';
import type { AgentConfig } from '../config.ts';
import { openGpuProvider, openKernelLog } from './backends.ts';
import { tokens } from './tokens.ts';

/** How long a provider may take to give up its library before the process ends without it. */
const closeLimitMilliseconds = 2_000;

export const runtimeModule = (config: AgentConfig, logger: Logger) =>
  new ContainerModule(({ bind }) => {
    bind(tokens.config).toConstantValue(config);
    bind(tokens.logger).toConstantValue(logger);
  });

/** The adapters. Each opens its hardware at the first call, not here, and is closed with the container. */
export const backendModule = () =>
  new ContainerModule(({ bind }) => {
    bind(tokens.gpuProvider)
      .toResolvedValue(openGpuProvider, [tokens.config, tokens.logger])
      .inSingletonScope()
      .onDeactivation(closeWithinLimit);
    bind(tokens.kernelLog).toResolvedValue(openKernelLog, [tokens.config]).inSingletonScope();
  });

/** Everything that reads. */
export const readOnlyModule = () =>
  new ContainerModule(({ bind }) => {
    bind(tokens.tools)
      .toResolvedValue(
        (gpuProvider, kernelLog, logger, { nodeName }) =>
          createGpuTools({ gpuProvider, kernelLog, logger }, { nodeName }),
        [tokens.gpuProvider, tokens.kernelLog, tokens.logger, tokens.config],
      )
      .inSingletonScope();
    bind(tokens.resources)
      .toResolvedValue(
        (tools, { nodeName }) => createGpuResources({ nodeName, tools }),
        [tokens.tools, tokens.config],
      )
      .inSingletonScope();
    bind(tokens.prompts).toConstantValue(gpuPrompts);
  });

async function closeWithinLimit(provider: GpuProvider): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, closeLimitMilliseconds);
  });
  await Promise.race([provider.close().catch(() => {}), limit]);
  clearTimeout(timer);
}
