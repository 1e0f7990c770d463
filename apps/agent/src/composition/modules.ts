import {
  createGpuResources,
  createGpuTools,
  createNodeAllocationTool,
  createOperatorTools,
  createResourceChanges,
  type GpuEventSources,
  type GpuProvider,
  GpuReader,
  gpuPrompts,
  type Logger,
  NodeEventFeed,
  systemClock,
} from '@k8s-gpu-mcp/core';
import { ContainerModule } from 'inversify';
import { recordedEvidence } from '../analyze/answer.ts';
import { createAuditLog } from '../audit-log.ts';
import type { AgentConfig } from '../config.ts';
import { readThresholds } from '../thresholds.ts';
import {
  createRecorder,
  openEventSource,
  openGpuControl,
  openGpuProvider,
  openHostDevices,
  openHostProcesses,
  openKernelLog,
  openKernelLogFollower,
  openPodResources,
  openProcessControl,
  openRecorderStore,
  openReplay,
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
    bind(tokens.recordings)
      .toResolvedValue(openReplay, [tokens.config])
      .inSingletonScope()
      .onDeactivation((recordings) => recordings?.close());
    bind(tokens.gpuProvider)
      .toResolvedValue(openGpuProvider, [tokens.config, tokens.logger, tokens.recordings])
      .inSingletonScope()
      .onDeactivation(closeWithinLimit);
    bind(tokens.kernelLog)
      .toResolvedValue(openKernelLog, [tokens.config, tokens.recordings])
      .inSingletonScope();
    bind(tokens.hostDevices)
      .toResolvedValue(openHostDevices, [tokens.config, tokens.recordings])
      .inSingletonScope();
    bind(tokens.hostProcesses)
      .toResolvedValue(openHostProcesses, [tokens.config, tokens.recordings])
      .inSingletonScope();
    bind(tokens.podResources).toResolvedValue(openPodResources, [tokens.config]).inSingletonScope();
    bind(tokens.eventSource)
      .toResolvedValue(openEventSource, [tokens.config, tokens.logger])
      .inSingletonScope();
    bind(tokens.kernelLogFollower).toResolvedValue(openKernelLogFollower, [tokens.config]).inSingletonScope();
  });

/** Everything that reads. */
export const readOnlyModule = () =>
  new ContainerModule(({ bind }) => {
    bind(tokens.thresholds)
      .toResolvedValue(({ healthThresholds }) => readThresholds(healthThresholds), [tokens.config])
      .inSingletonScope();
    bind(tokens.recorderStore)
      .toResolvedValue(openRecorderStore, [tokens.config])
      .inSingletonScope()
      .onDeactivation((store) => store?.close());
    bind(tokens.recorder)
      .toResolvedValue(createRecorder, [
        tokens.gpuProvider,
        tokens.recorderStore,
        tokens.config,
        tokens.logger,
      ])
      .inSingletonScope()
      .onDeactivation((recorder) => recorder.stop());
    bind(tokens.tools)
      .toResolvedValue(
        (
          gpuProvider,
          kernelLog,
          hostDevices,
          hostProcesses,
          recorder,
          podResources,
          recordings,
          logger,
          config,
          thresholds,
        ) => [
          ...createGpuTools(
            {
              gpuProvider,
              kernelLog,
              recorder,
              logger,
              ...(hostDevices ? { hostDevices } : {}),
              ...(hostProcesses ? { hostProcesses } : {}),
              ...(recordings ? { recorded: recordedEvidence(recordings) } : {}),
            },
            { nodeName: config.nodeName, thresholds, ...(recordings ? { lookback: null } : {}) },
          ),
          ...(podResources
            ? [
                createNodeAllocationTool(
                  { podResources, clock: systemClock, logger },
                  { nodeName: config.nodeName },
                ),
              ]
            : []),
        ],
        [
          tokens.gpuProvider,
          tokens.kernelLog,
          tokens.hostDevices,
          tokens.hostProcesses,
          tokens.recorder,
          tokens.podResources,
          tokens.recordings,
          tokens.logger,
          tokens.config,
          tokens.thresholds,
        ],
      )
      .inSingletonScope();
    bind(tokens.eventFeed)
      .toResolvedValue(
        (gpuProvider, driver, kernelLog, recordings, logger, config) => {
          // What was recorded does not go on.
          const sources: GpuEventSources = recordings
            ? {}
            : { driver, ...(hasLiveKernelLog(config) ? { kernelLog } : {}) };
          const reader = new GpuReader(gpuProvider, systemClock, logger);
          return new NodeEventFeed({ clock: systemClock, sources, reader });
        },
        [
          tokens.gpuProvider,
          tokens.eventSource,
          tokens.kernelLogFollower,
          tokens.recordings,
          tokens.logger,
          tokens.config,
        ],
      )
      .inSingletonScope()
      .onDeactivation((feed) => feed.close());
    bind(tokens.resourceChanges)
      .toResolvedValue(
        (feed, { nodeName }) => createResourceChanges({ nodeName, feed, clock: systemClock }),
        [tokens.eventFeed, tokens.config],
      )
      .inSingletonScope();
    bind(tokens.resources)
      .toResolvedValue(
        (tools, feed, { nodeName }) => createGpuResources({ nodeName, tools, feed }),
        [tokens.tools, tokens.eventFeed, tokens.config],
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
          if (!hostProcesses) throw new Error('operator mode needs the processes of a machine');
          const { nodeName, confirmWithoutElicitation, operatorActions: actions } = config;
          return createOperatorTools(
            {
              gpuProvider,
              kernelLog,
              logger,
              ...(hostDevices ? { hostDevices } : {}),
              hostProcesses,
              gpuControl,
              processControl,
              auditLog,
            },
            { nodeName, confirmWithoutElicitation, actions },
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

/** Simulated GPUs tell what happens to them through their driver only, unless a real log is named. */
const hasLiveKernelLog = ({ backend, kernelLog }: AgentConfig) =>
  kernelLog !== 'none' && !(backend === 'mock' && kernelLog === 'auto');

async function closeWithinLimit(provider: GpuProvider): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, closeLimitMilliseconds);
  });
  await Promise.race([provider.close().catch(() => {}), limit]);
  clearTimeout(timer);
}
