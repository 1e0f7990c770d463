import type {
  AuditLog,
  FlightRecorder,
  GpuControl,
  GpuEventSource,
  GpuPrompt,
  GpuProvider,
  GpuResource,
  GpuTool,
  HostDevices,
  HostProcesses,
  KernelLog,
  KernelLogFollower,
  Logger,
  NodeEventFeed,
  PodResources,
  ProcessControl,
  RecorderStore,
  ResourceChanges,
  ThresholdOverrides,
} from '@k8s-gpu-mcp/core';
import type { Recordings } from '@k8s-gpu-mcp/replay';
import type { ServiceIdentifier } from 'inversify';
import type { AgentConfig } from '../config.ts';

const token = <T>(name: string): ServiceIdentifier<T> => Symbol.for(`k8s-gpu-mcp/${name}`);

/** What is bound in the container, each with its type. */
export const tokens = {
  config: token<AgentConfig>('AgentConfig'),
  logger: token<Logger>('Logger'),
  gpuProvider: token<GpuProvider>('GpuProvider'),
  kernelLog: token<KernelLog>('KernelLog'),
  /** Null when files that do not tell stand in for a machine. */
  hostDevices: token<HostDevices | null>('HostDevices'),
  hostProcesses: token<HostProcesses | null>('HostProcesses'),
  /** Null where there is no kubelet to ask. */
  podResources: token<PodResources | null>('PodResources'),
  eventSource: token<GpuEventSource>('GpuEventSource'),
  kernelLogFollower: token<KernelLogFollower>('KernelLogFollower'),
  /** What the replay backend answers from; null for the others. */
  recordings: token<Recordings | null>('Recordings'),
  recorderStore: token<RecorderStore | null>('RecorderStore'),
  recorder: token<FlightRecorder>('FlightRecorder'),
  thresholds: token<ThresholdOverrides>('ThresholdOverrides'),
  tools: token<readonly GpuTool[]>('GpuTools'),
  /** Opens its sources when somebody first listens or reads. */
  eventFeed: token<NodeEventFeed>('NodeEventFeed'),
  resourceChanges: token<ResourceChanges>('ResourceChanges'),
  resources: token<readonly GpuResource[]>('GpuResources'),
  prompts: token<readonly GpuPrompt[]>('GpuPrompts'),
};

/** What only operator mode may bind. In read-only mode nothing is found here: that is the proof that nothing can be written. */
export const operatorTokens = {
  gpuControl: token<GpuControl>('GpuControl'),
  processControl: token<ProcessControl>('ProcessControl'),
  auditLog: token<AuditLog>('AuditLog'),
  tools: token<readonly GpuTool[]>('OperatorTools'),
};
