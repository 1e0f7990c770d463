// Agents, a directory and time that a test moves by hand.

import { silentLogger } from '@k8s-gpu-mcp/core';
import { fixedClock } from '@k8s-gpu-mcp/core/testing';
import { ClusterEvents, type ClusterEventsOptions } from '../src/domain/cluster-events.ts';
import { newsOf } from '../src/domain/cluster-events-news.ts';
import { AgentFailure, type AgentFailureKind } from '../src/ports/agent-client.ts';
import type { AgentEvent, AgentEventBatch, AgentEvents, EventsPosition } from '../src/ports/agent-events.ts';
import type { AgentNode, NodeDirectory } from '../src/ports/node-directory.ts';

export const event = (id: number, more: Partial<AgentEvent> = {}): AgentEvent => ({
  id,
  revision: 0,
  kind: 'xid',
  at: '2026-01-01T00:00:00.000Z',
  xid: 79,
  gpu: { index: 3, uuid: 'GPU-3' },
  title: 'GPU has fallen off the bus',
  severity: 'fatal',
  verdict: 'critical',
  action: 'reboot-node',
  ...more,
});

export const nodeNamed = (name: string, more: Partial<AgentNode> = {}): AgentNode => ({
  name,
  url: `http://${name}:8080/mcp`,
  labels: {},
  notReadyBecause: null,
  instance: `uid of ${name}`,
  mayReceiveToken: true,
  ...more,
});

export function handDirectory(names: readonly string[]) {
  let nodes = names.map((name) => nodeNamed(name));
  const listeners = new Set<() => void>();
  const directory: NodeDirectory = {
    kind: 'static',
    snapshot: () => ({ nodes, readAt: '2026-01-01T00:00:00.000Z', staleSince: null, problem: null }),
    settled: async () => {},
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    close: async () => {},
  };
  return {
    directory,
    followers: () => listeners.size,
    set(next: readonly AgentNode[]) {
      nodes = [...next];
      for (const listener of [...listeners]) listener();
    },
  };
}

interface Listening {
  readonly node: AgentNode;
  tell(events: readonly AgentEvent[], more?: { lost?: number; listeningSince?: string }): void;
  fail(kind?: AgentFailureKind): Promise<void>;
}

/** Agents that say what the test has them say. */
export function handAgents() {
  const open = new Map<string, Listening>();
  const attempts: string[] = [];
  const agentEvents: AgentEvents = {
    listen(node, onEvents, signal, since) {
      attempts.push(node.name);
      return new Promise<never>((_, reject) => {
        let position: EventsPosition | undefined = since;
        const end = (kind: AgentFailureKind) => {
          if (open.get(node.name) === listening) open.delete(node.name);
          reject(new AgentFailure(kind, `it is ${kind}`));
        };
        const listening: Listening = {
          node,
          tell(events, { lost = 0, listeningSince = '2026-01-01T00:00:00.000Z' } = {}) {
            const reading = { observedAt: '2026-01-01T00:00:00.000Z', listeningSince, events };
            const batch: AgentEventBatch = newsOf({ ...reading, lost, unreadable: 0, notices: [] }, position);
            position = batch.position;
            onEvents(batch);
          },
          async fail(kind = 'unreachable') {
            end(kind);
            await turn();
          },
        };
        open.set(node.name, listening);
        signal.addEventListener('abort', () => end('cancelled'), { once: true });
      });
    },
    read: () => Promise.reject(new AgentFailure('unreachable', 'not here')),
  };
  const at = (name: string): Listening => {
    const listening = open.get(name);
    if (!listening) throw new Error(`nobody listens to ${name}`);
    return listening;
  };
  return { agentEvents, attempts, at, open: () => [...open.keys()].sort() };
}

/** Lets what promises hold happen. */
export async function turn(): Promise<void> {
  for (let round = 0; round < 5; round += 1) await Promise.resolve();
}

export function clusterRig(names: readonly string[], options: ClusterEventsOptions = {}, random = () => 0.5) {
  const clock = fixedClock();
  const directory = handDirectory(names);
  const agents = handAgents();
  const cluster = new ClusterEvents(
    { directory: directory.directory, events: agents.agentEvents, clock, random, logger: silentLogger },
    options,
  );
  return { clock, directory, agents, cluster };
}
