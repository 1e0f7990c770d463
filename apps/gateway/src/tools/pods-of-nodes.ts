import {
  type Clock,
  type Cluster,
  type ClusterPod,
  type Gap,
  isGpuError,
  type ListReading,
  type Logger,
} from '@k8s-gpu-mcp/core';
import { createPodJoin, type KnownPods, type PodJoin } from '../domain/pod-join.ts';

/** A pod that began since is not known for this long. */
const freshMilliseconds = 10_000;
/** How long an answer waits for the pods: the processes are worth telling without them. */
const patienceMilliseconds = 5_000;
/** How long a read goes on for the questions that come after. */
const readMilliseconds = 20_000;
const maximumReadings = 64;

export interface PodsOfNodesParts {
  readonly cluster: Cluster;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Never rejects: what could not be read is a gap. Several nodes: one list of all pods. */
export type PodsOfNodes = (nodes: readonly string[], signal: AbortSignal) => Promise<KnownPods>;

interface Reading {
  readonly startedAt: number;
  readonly known: Promise<KnownPods>;
}

/**
 * Reads the pods of nodes through the API server: once for all questions that come within ten seconds, and never longer than five for one
 * question. A reading that failed is not kept.
 */
export function createPodsOfNodes({ cluster, clock, logger }: PodsOfNodesParts): PodsOfNodes {
  const readings = new Map<string | null, Reading>();

  const begin = (node: string | null): Reading => {
    const controller = new AbortController();
    const cancel = clock.after(readMilliseconds, () => controller.abort());
    const list = () =>
      node === null ? cluster.pods(null, controller.signal) : cluster.podsOnNode(node, controller.signal);
    const known = Promise.resolve()
      .then(list)
      .then(knownOf)
      .catch((thrown: unknown) => {
        if (!isGpuError(thrown)) logger.error('the cluster adapter failed', { error: thrown });
        return unread(isGpuError(thrown) && thrown.code === 'TIMEOUT' ? 'timeout' : 'error');
      })
      .finally(cancel);
    const reading = { startedAt: clock.now(), known };
    readings.delete(node);
    readings.set(node, reading);
    // Oldest first: one entry a node, and one of all.
    for (const oldest of readings.keys()) {
      if (readings.size <= maximumReadings) break;
      readings.delete(oldest);
    }
    void known.then(({ join }) => {
      if (join === null && readings.get(node) === reading) readings.delete(node);
    });
    return reading;
  };

  const fresh = (node: string | null): Reading | undefined => {
    const reading = readings.get(node);
    const age = reading === undefined ? Number.NaN : clock.now() - reading.startedAt;
    return age >= 0 && age < freshMilliseconds ? reading : undefined;
  };

  return async (nodes, signal) => {
    const [only, ...others] = nodes;
    if (only === undefined) return { join: null, gaps: [] };
    const node = others.length === 0 ? only : null;
    const { known } = fresh(null) ?? fresh(node) ?? begin(node);
    return await withPatience(known, clock, signal);
  };
}

/** Duplicates the reading's own end for one question: others may wait longer. */
function withPatience(known: Promise<KnownPods>, clock: Clock, signal: AbortSignal): Promise<KnownPods> {
  return new Promise((resolve) => {
    const settle = (value: KnownPods) => {
      cancel();
      signal.removeEventListener('abort', onAbort);
      resolve(value);
    };
    const onAbort = () => settle(unread('timeout'));
    const cancel = clock.after(patienceMilliseconds, onAbort);
    if (signal.aborted) return onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    void known.then(settle);
  });
}

function knownOf({ items, isComplete, gaps }: ListReading<ClusterPod>): KnownPods {
  const join: PodJoin | null = items && createPodJoin(items);
  if (gaps.length > 0 || (items !== null && isComplete)) return { join, gaps };
  return { join, gaps: [gapOf('error', 'not all pods could be read')] };
}

const gapOf = (reason: Gap['reason'], detail: string): Gap => ({ field: 'pods', reason, detail });
const unread = (reason: 'timeout' | 'error'): KnownPods => ({
  join: null,
  gaps: [
    gapOf(
      reason,
      reason === 'timeout'
        ? 'the API server did not list the pods in time, so pods and owners of processes are not known'
        : 'the API server could not be asked for the pods, so pods and owners of processes are not known',
    ),
  ],
});
