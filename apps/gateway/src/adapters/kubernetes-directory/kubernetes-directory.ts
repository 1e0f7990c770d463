import type { Clock, Logger } from '@k8s-gpu-mcp/core';
import type { WatchedCollection } from '@k8s-gpu-mcp/kubernetes';
import type { AgentNode, NodeDirectory, NodeDirectorySnapshot } from '../../ports/node-directory.ts';
import { type AgentPod, type AgentPodOptions, compareAgentPods, readAgentPod } from './agent-pod.ts';
import { type NodeFacts, readNode } from './gpu-node.ts';

export interface KubernetesDirectoryOptions extends AgentPodOptions {
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Twice the largest cluster that Kubernetes supports. */
const maximumNodes = 10_000;
/** Several changes within it are told once: a rollout makes thousands of events, and each telling makes the list again. */
const tellingMilliseconds = 50;
const noLabels: Readonly<Record<string, string>> = Object.freeze(Object.create(null));

/** Remembers what was made of an object: between two lists nearly all objects are the same ones. */
function remembering<T>(read: (object: unknown) => T): (object: unknown) => T {
  const known = new WeakMap<object, { readonly value: T }>();
  return (object) => {
    if (typeof object !== 'object' || object === null) return read(object);
    let entry = known.get(object);
    if (!entry) {
      entry = { value: read(object) };
      known.set(object, entry);
    }
    return entry.value;
  };
}

function asAgentNode(name: string, pod: AgentPod | undefined, node: NodeFacts | undefined): AgentNode {
  const labels = node?.labels ?? noLabels;
  if (pod?.url != null) {
    const { url, instance, mayReceiveToken } = pod;
    return { name, url, labels, notReadyBecause: null, instance, mayReceiveToken };
  }
  const because = pod?.notReadyBecause ?? 'no agent pod runs on this node';
  return {
    name,
    url: null,
    labels,
    notReadyBecause: node?.isDown ? `${because}; Kubernetes reports the node as not ready` : because,
    // A pod that is leaving answers no more: nothing answers at this node.
    instance: pod === undefined || pod.isLeaving ? `none:${name}` : pod.instance,
    mayReceiveToken: pod !== undefined && !pod.isLeaving && pod.mayReceiveToken,
  };
}

/**
 * The agents that run as pods. A node is named while any agent pod is on it, ready or not, and, when `nodes` is given, while it has GPUs;
 * it has a URL exactly when its agent can be asked. `pods` holds what the label selector finds; `nodes` (or null: no right to read them)
 * gives the labels. The collections stay open: who opened them closes them.
 */
export function openKubernetesDirectory(
  pods: WatchedCollection,
  nodes: WatchedCollection | null,
  options: KubernetesDirectoryOptions,
): NodeDirectory {
  const { clock, logger } = options;
  const readPod = remembering((object) => readAgentPod(object, options));
  const readNodeFacts = remembering(readNode);
  const listeners = new Set<() => void>();
  let agentNodes: readonly AgentNode[] | null = null;
  let snapshot: NodeDirectorySnapshot | null = null;
  let isTooMany = false;

  function list(): readonly AgentNode[] {
    const speakers = new Map<string, AgentPod>();
    for (const object of pods.items) {
      const pod = readPod(object);
      if (pod === null) continue;
      const other = speakers.get(pod.node);
      if (other === undefined || compareAgentPods(pod, other) > 0) speakers.set(pod.node, pod);
    }
    const facts = new Map<string, NodeFacts>();
    const names = new Set(speakers.keys());
    for (const object of nodes?.items ?? []) {
      const node = readNodeFacts(object);
      if (node === null) continue;
      facts.set(node.name, node);
      if (node.hasGpu) names.add(node.name);
    }
    isTooMany = names.size > maximumNodes;
    const sorted = [...names].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0)).slice(0, maximumNodes);
    return Object.freeze(sorted.map((name) => asAgentNode(name, speakers.get(name), facts.get(name))));
  }

  function problemWith(found: readonly AgentNode[]): string | null {
    if (pods.problem !== null) return pods.problem;
    if (isTooMany) return `only the first ${maximumNodes} nodes by name are listed`;
    if (nodes !== null && nodes.problem !== null) {
      return `labels, and GPU nodes without an agent, may be missing or out of date: ${nodes.problem}`;
    }
    return found.length === 0 && pods.currentAt !== null ? 'no agent pod was found' : null;
  }

  let cancelTelling: (() => void) | undefined;
  function changed(): void {
    agentNodes = null;
    cancelTelling ??= clock.after(tellingMilliseconds, () => {
      cancelTelling = undefined;
      for (const listener of [...listeners]) {
        try {
          listener();
        } catch (error) {
          logger.error('a listener of the node directory failed', { error });
        }
      }
    });
  }
  const endings = [pods.onChange(changed), nodes?.onChange(changed)];

  return {
    kind: 'kubernetes',
    snapshot() {
      agentNodes ??= list();
      const readAt = pods.currentAt;
      const { staleSince } = pods;
      const problem = problemWith(agentNodes);
      // A bookmark moves the time without a change: the nodes stay the same list.
      if (
        snapshot?.nodes !== agentNodes ||
        snapshot.readAt !== readAt ||
        snapshot.staleSince !== staleSince ||
        snapshot.problem !== problem
      ) {
        snapshot = Object.freeze({ nodes: agentNodes, readAt, staleSince, problem });
      }
      return snapshot;
    },
    async settled(signal) {
      await Promise.all([pods.settled(signal), nodes?.settled(signal)]);
    },
    onChange(listener) {
      // Wrapped: the same function given twice is two listeners.
      const own = () => listener();
      listeners.add(own);
      return () => {
        listeners.delete(own);
      };
    },
    async close() {
      for (const end of endings) end?.();
      cancelTelling?.();
      listeners.clear();
    },
  };
}
