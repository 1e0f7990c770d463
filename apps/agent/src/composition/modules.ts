import {
  createGpuResources,
  createGpuTools,
  createOperatorTools,
  type GpuProvider,
  gpuPrompts,
  type Logger,
} from '@k8s-gpu-mcp/core';
import { ContainerModule } from 'inversify';
import { createAuditLog } from '../audit-log.ts';
import type { AgentConfig } from '../config.ts';
import {
  openEventSource,
  openGpuControl,
  openGpuProvider,
  openHostDevices,
  openHostProcesses,
  openKernelLog,
  openKernelLogFollower,
  openProcessControl,
} from './backends.ts';
import { operatorTokens, tokens } from './tokens.ts';

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
    bind(tokens.hostDevices).toResolvedValue(openHostDevices, [tokens.config]).inSingletonScope();
    bind(tokens.hostProcesses).toResolvedValue(openHostProcesses, [tokens.config]).inSingletonScope();
    bind(tokens.eventSource)
      .toResolvedValue(openEventSource, [tokens.config, tokens.logger])
      .inSingletonScope();
    bind(tokens.kernelLogFollower).toResolvedValue(openKernelLogFollower, [tokens.config]).inSingletonScope();
  });

/** Everything that reads. */
export const readOnlyModule = () =>
  new ContainerModule(({ bind }) => {
    bind(tokens.tools)
      .toResolvedValue(
        (gpuProvider, kernelLog, hostDevices, hostProcesses, logger, { nodeName }) =>
          createGpuTools({ gpuProvider, kernelLog, hostDevices, hostProcesses, logger }, { nodeName }),
        [
          tokens.gpuProvider,
          tokens.kernelLog,
          tokens.hostDevices,
          tokens.hostProcesses,
          tokens.logger,
          tokens.config,
        ],
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

/** Everything that changes something. Only operator mode loads it. */
export const operatorModule = () =>
  new ContainerModule(({ bind }) => {
    bind(operatorTokens.gpuControl)
      .toResolvedValue(openGpuControl, [tokens.gpuProvider, tokens.eventSource])
      .inSingletonScope();
    bind(operatorTokens.processControl).toResolvedValue(openProcessControl).inSingletonScope();
    bind(operatorTokens.auditLog)
      .toResolvedValue(({ auditFile }) => createAuditLog(auditFile), [tokens.config])
      .inSingletonScope();
    bind(operatorTokens.tools)
      .toResolvedValue(
        (gpuProvider, kernelLog, hostDevices, hostProcesses, logger, config, ...control) => {
          const [gpuControl, processControl, auditLog] = control;
          const { nodeName, confirmWithoutElicitation } = config;
          return createOperatorTools(
            {
              gpuProvider,
              kernelLog,
              hostDevices,
              hostProcesses,
              logger,
              gpuControl,
              processControl,
              auditLog,
            },
            { nodeName, confirmWithoutElicitation },
          );
        },
        [
          tokens.gpuProvider,
          tokens.kernelLog,
          tokens.hostDevices,
          tokens.hostProcesses,
          tokens.logger,
          tokens.config,
          operatorTokens.gpuControl,
          operatorTokens.processControl,
          operatorTokens.auditLog,
        ],
      )
      .inSingletonScope();
  });

async function closeWithinLimit(provider: GpuProvider): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, closeLimitMilliseconds);
  });
  await Promise.race([provider.close().catch(() => {}), limit]);
  clearTimeout(timer);
}
