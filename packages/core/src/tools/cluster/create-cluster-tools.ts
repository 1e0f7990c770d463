import type { z } from 'zod';
import type { Cluster } from '../../ports/cluster.ts';
import { type Clock, type Logger, silentLogger, systemClock } from '../../ports/runtime.ts';
import { makeTool } from '../run-tool.ts';
import type { GpuTool, ToolDefinition } from '../tool.ts';
import type { AskAgent, ClusterToolkit } from './cluster-toolkit.ts';
import { describeGpuNode } from './describe-gpu-node.ts';
import { getPodGpuAllocation } from './get-pod-gpu-allocation.ts';

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

/** The tools that join what the cluster knows with what agents see. */
export function createClusterTools(
  { cluster, askAgent, clock = systemClock, logger = silentLogger }: ClusterToolPorts,
  { deadlineMilliseconds = 10_000 }: ClusterToolOptions = {},
): readonly GpuTool[] {
  if (!(deadlineMilliseconds >= 1_000 && deadlineMilliseconds <= 600_000)) {
    throw new RangeError(`deadlineMilliseconds = ${deadlineMilliseconds} is not from 1000 to 600000`);
  }
  const toolkit: ClusterToolkit = { cluster, askAgent: askAgent ?? null, clock, logger };
  const make = <Input extends z.ZodObject>(definition: ToolDefinition<Input>) =>
    makeTool(definition, { clock, logger, deadlineMilliseconds });
  return [make(describeGpuNode(toolkit)), make(getPodGpuAllocation(toolkit))];
}
