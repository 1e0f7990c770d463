import type {
  AuditLog,
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
  ProcessControl,
} from '@k8s-gpu-mcp/core';
import type { ServiceIdentifier } from 'inversify';
import type { AgentConfig } from '../config.ts';

const token = <T>(name: string): ServiceIdentifier<T> => Symbol.for(`k8s-gpu-mcp/${name}`);

/** What is bound in the container, each with its type. */
export const tokens = {
  config: token<AgentConfig>('AgentConfig'),
  logger: token<Logger>('Logger'),
  gpuProvider: token<GpuProvider>('GpuProvider'),
  kernelLog: token<KernelLog>('KernelLog'),
  hostDevices: token<HostDevices>('HostDevices'),
  hostProcesses: token<HostProcesses>('HostProcesses'),
  eventSource: token<GpuEventSource>('GpuEventSource'),
  kernelLogFollower: token<KernelLogFollower>('KernelLogFollower'),
  tools: token<readonly GpuTool[]>('GpuTools'),
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
