import {
  type Clock,
  type Cluster,
  type ClusterPod,
  findWorkload,
  type Gap,
  GpuError,
  hasEnded,
  type Logger,
  parseWorkload,
  podDemand,
} from '@k8s-gpu-mcp/core';
import type { JobOnNodes } from '../answers/compare-job.ts';
import type { FanOutResult } from '../domain/node-outcome.ts';
import type { AgentNode } from '../ports/node-directory.ts';

/** Half of the time of a question, at most, goes into finding the job. */
const patienceMilliseconds = 4_000;

export interface JobFinder {
  readonly cluster: Cluster;
  readonly clock: Clock;
  readonly logger: Logger;
}

export interface FoundJob extends JobOnNodes {
  /** Nodes of its pods on which no agent is known. */
  readonly withoutAgent: readonly string[];
}

/**
 * The pods of a job that have GPUs, and their nodes.
 *
 * @throws GpuError INVALID_INPUT for a job that is written wrong or not there, with names that come near; UNAVAILABLE or TIMEOUT when its
 * pods cannot be read, or none is on a node.
 */
export async function findJob(
  { cluster, clock, logger }: JobFinder,
  asked: { readonly job: string | undefined; readonly namespace: string | undefined },
  nodes: readonly AgentNode[],
  deadlineMilliseconds: number,
  signal: AbortSignal,
): Promise<FoundJob> {
  const subject = parseWorkload(asked);
  const controller = new AbortController();
  const abort = () => controller.abort();
  const cancel = clock.after(Math.min(patienceMilliseconds, deadlineMilliseconds / 2), abort);
  if (signal.aborted) abort();
  else signal.addEventListener('abort', abort, { once: true });
  try {
    const found = await findWorkload({ cluster, askAgent: null, clock, logger }, subject, controller.signal);
    if (found.pods === null) throw unreadable(found.gaps);
    const kind = found.owner?.kind ?? (subject.kind === 'job' ? subject.jobKind : null) ?? 'Job';
    const { namespace, name } = subject;
    const gaps = found.isComplete || found.gaps.length > 0 ? found.gaps : [...found.gaps, incomplete];
    return placed({ namespace, kind, name }, found.pods, nodes, gaps);
  } finally {
    cancel();
    signal.removeEventListener('abort', abort);
  }
}

const incomplete: Gap = { field: 'job.pods', reason: 'error', detail: 'not all pods could be read' };

function unreadable(gaps: readonly Gap[]): GpuError {
  const [gap] = gaps;
  const code = gap?.reason === 'timeout' ? 'TIMEOUT' : 'UNAVAILABLE';
  return new GpuError(code, `the pods of the job could not be read: ${gap?.detail ?? 'no reason given'}.`, {
    hint: 'Give node the names of its nodes instead of job; or let the gateway list pods.',
  });
}

/** Launchers and the like, which ask for no device, tell nothing of GPUs; unless no pod of the job asks for any. */
const takesDevices = (pod: ClusterPod) => pod.claims.length > 0 || Object.keys(podDemand(pod)).length > 0;

function placed(
  name: JobOnNodes['name'],
  pods: readonly ClusterPod[],
  nodes: readonly AgentNode[],
  gaps: readonly Gap[],
): FoundJob {
  const taking = pods.some(takesDevices) ? pods.filter(takesDevices) : pods;
  const live = taking.filter((pod) => !hasEnded(pod));
  const meant = (live.length > 0 ? live : taking).filter(({ node }) => node !== null);
  const waiting = live.filter(({ node }) => node === null).length;
  if (meant.length === 0)
    throw new GpuError('UNAVAILABLE', 'no pod of this job is on a node, so it has no GPUs to compare.', {
      hint: 'Call explain_failure with the same job for why its pods wait.',
    });
  const wanted = new Set(meant.map(({ node }) => node ?? ''));
  const known = nodes.filter((node) => wanted.has(node.name));
  const withAgent = new Set(known.map((node) => node.name));
  return {
    name,
    pods: meant,
    nodes: known,
    withoutAgent: [...wanted].filter((node) => !withAgent.has(node)).sort(),
    gaps: [
      ...gaps,
      ...(live.length === 0 ? [podsGap('all pods have ended: the nodes are compared as they are now')] : []),
      ...(waiting > 0 ? [podsGap(`${waiting} of its pods have no node yet`)] : []),
    ],
  };
}

const podsGap = (detail: string): Gap => ({ field: 'job.pods', reason: 'not-observable', detail });

/** Nodes that nobody could be asked of count as not ready, so that they are not taken for healthy. */
export function withMissing(result: FanOutResult, nodes: readonly string[]): FanOutResult {
  const missing = nodes.map((node) => ({
    node,
    status: 'not-ready' as const,
    reason: 'A pod of the job is on this node, and no agent of it is known.',
  }));
  return { ...result, outcomes: [...result.outcomes, ...missing] };
}
