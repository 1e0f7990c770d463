import type { StructuredContent } from '@k8s-gpu-mcp/core';
import type { FanOutResult } from '../domain/node-outcome.ts';
import type { KnownPods } from '../domain/pod-join.ts';
import { presentHealth } from './health.ts';
import { presentInventory } from './inventory.ts';
import { presentProcesses } from './processes.ts';
import type { ClusterQuestion } from './question.ts';
import { presentXidErrors } from './xid.ts';

interface ClusterTool {
  /** What each agent is asked for on top of the caller's own arguments, its `detail`, `limit` and `cursor` left out. */
  readonly agentArguments: Readonly<Record<ClusterQuestion['detail'], StructuredContent>>;
  /** @throws GpuError INVALID_INPUT for a cursor or limit that is not of this question. */
  present(question: ClusterQuestion, result: FanOutResult, pods?: KnownPods | null): StructuredContent;
}

/** Tools that name processes, which are joined with pods. */
export const toolsOfProcesses: ReadonlySet<string> = new Set(['get_gpu_processes', 'analyze_xid_errors']);

/** Tools that one call asks of many nodes. Lists of an agent are asked for whole, up to what it gives in one page. */
export const clusterTools = {
  get_gpu_inventory: {
    agentArguments: { summary: { detail: 'summary' }, full: { detail: 'full' } },
    present: presentInventory,
  },
  get_gpu_health: {
    agentArguments: { summary: { detail: 'summary' }, full: { detail: 'full' } },
    present: presentHealth,
  },
  analyze_xid_errors: {
    agentArguments: { summary: { detail: 'summary', limit: 50 }, full: { detail: 'summary', limit: 200 } },
    present: presentXidErrors,
  },
  get_gpu_processes: {
    agentArguments: { summary: { detail: 'summary', limit: 100 }, full: { detail: 'summary', limit: 200 } },
    present: presentProcesses,
  },
} as const satisfies Record<string, ClusterTool>;

export type ClusterToolName = keyof typeof clusterTools;

/** `compare_gpus` over nodes needs both of these from each; `presentComparison` joins them. */
export const comparisonQuestions = {
  inventory: { tool: 'get_gpu_inventory', arguments: { detail: 'summary' } },
  /** `topics` and `window` of the caller go here too. */
  comparison: { tool: 'compare_gpus', arguments: { detail: 'full' } },
} as const;

/** What tells which GPUs of its nodes a job has. */
export const jobQuestions = {
  processes: { tool: 'get_gpu_processes', arguments: { detail: 'summary', limit: 200 } },
  allocation: { tool: 'get_pod_gpu_allocation', arguments: { limit: 200 } },
} as const;
