import type { z } from 'zod';
import type { Cluster } from '../../ports/cluster.ts';
import { type Clock, type Logger, silentLogger, systemClock } from '../../ports/runtime.ts';
import { makeTool } from '../run-tool.ts';
import type { GpuTool, ToolDefinition } from '../tool.ts';
import type { AskAgent, ClusterToolkit } from './cluster-toolkit.ts';
import { describeGpuNode } from './describe-gpu-node.ts';
import { explainWorkloadTool } from './explain-workload.ts';
import { getPodGpuAllocation } from './get-pod-gpu-allocation.ts';
import { workloadReportTool } from './workload-report.ts';

export interface ClusterToolPorts {
  readonly cluster: Cluster;
  /** Without it, answers have what the API server knows, and gaps for the hardware and for device ids. */
  readonly askAgent?: AskAgent;
  readonly clock?: Clock;
  readonly logger?: Logger;
}

export interface ClusterToolOptions {
  /** After this a tool answers with what it has. Default 10,000; from 1,000 to 600,000. */
  readonly deadlineMilliseconds?: number;
}

type MakeTool = <Input extends z.ZodObject>(definition: ToolDefinition<Input>) => GpuTool;

function prepare(
  { cluster, askAgent, clock = systemClock, logger = silentLogger }: ClusterToolPorts,
  { deadlineMilliseconds = 10_000 }: ClusterToolOptions,
): { readonly toolkit: ClusterToolkit; readonly make: MakeTool } {
  if (!(deadlineMilliseconds >= 1_000 && deadlineMilliseconds <= 600_000)) {
    throw new RangeError(`deadlineMilliseconds = ${deadlineMilliseconds} is not from 1000 to 600000`);
  }
  const toolkit: ClusterToolkit = { cluster, askAgent: askAgent ?? null, clock, logger };
  return { toolkit, make: (definition) => makeTool(definition, { clock, logger, deadlineMilliseconds }) };
}

/** The tools that join what the cluster knows with what agents see. */
export function createClusterTools(
  ports: ClusterToolPorts,
  options: ClusterToolOptions = {},
): readonly GpuTool[] {
  const { toolkit, make } = prepare(ports, options);
  return [make(describeGpuNode(toolkit)), make(getPodGpuAllocation(toolkit))];
}

/** Tools that agents have for their nodes, and that are asked of a pod or a job, too. */
export const workloadToolNames = ['explain_failure', 'get_incident_report'] as const;

/**
 * Those tools for pods and jobs. Each has the name of the agent's tool: whoever serves both takes this one when `pod` or `job` is given.
 */
export function createWorkloadTools(
  ports: ClusterToolPorts,
  options: ClusterToolOptions = {},
): readonly GpuTool[] {
  const { toolkit, make } = prepare(ports, options);
  return [make(explainWorkloadTool(toolkit)), make(workloadReportTool(toolkit))];
}
