import type { Clock, Logger } from '@k8s-gpu-mcp/core';
import type { AgentEvent, AgentEventBatch, AgentEvents, EventsPosition } from '../ports/agent-events.ts';
import type { AgentNode, NodeDirectory } from '../ports/node-directory.ts';
import { NodeListener } from './cluster-events-listener.ts';
import { maximumLost } from './cluster-events-news.ts';
import { type ClusterEvent, EventRing, type RingLimits } from './cluster-events-ring.ts';

export interface ClusterEventsParts {
  readonly directory: NodeDirectory;
  readonly events: AgentEvents;
  readonly clock: Clock;
  /** From 0 to below 1. */
  readonly random: () => number;
  readonly logger: Logger;
}

export interface ClusterEventsOptions extends RingLimits {
  /** Nodes listened to at once. Default 1,000. */
  readonly maximumListeners?: number;
  /** Events of one node that are taken at once and per second; the rest is counted as lost. Default 50. */
  readonly perSecond?: number;
  /** How long the nodes are listened to after the last who wanted it. Default 60 s. */
  readonly lingerMilliseconds?: number;
}

/** A node that is not listened to at this moment, and why. */
export interface NotHeard {
  readonly node: string;
  /** ISO 8601; null for a node that nobody tried. */
  readonly since: string | null;
  /** In our own words. */
  readonly reason: string;
}

export interface ClusterEventsSnapshot {
  /** Since when nodes are listened to, ISO 8601; null while nobody wants it. */
  readonly listeningSince: string | null;
  /** Nodes of the directory. */
  readonly nodeCount: number;
  readonly heardCount: number;
  /** By name. Empty while nobody is listened to. */
  readonly notHeard: readonly NotHeard[];
  /** By id. */
  readonly events: readonly ClusterEvent[];
  /** Events that were heard and made room for others. */
  readonly evicted: number;
  /** Events that never came in, at least: lost by agents, missed between two readings, or more than one node may tell per second. */
  readonly lost: number;
  /** Of nodes of the directory, worst first. */
  readonly lostByNode: readonly { readonly node: string; readonly lost: number }[];
}

/** `events`: a node told something new, or lost something. `nodes`: a node came, went, or is heard or not heard any more. */
export type ClusterEventsChange =
  | { readonly kind: 'events'; readonly node: string; readonly events: readonly AgentEvent[] }
  | { readonly kind: 'nodes' };

/** What outlives a listener, as long as the node is in the directory. */
interface NodeRecord {
  instance: string;
  /** Grows when the node's ids begin anew. */
  numbering: number;
  position: EventsPosition | undefined;
  lost: number;
}

interface Interest {
  holders: number;
  cancelLinger: () => void;
}

/** All connections at once would be a storm; they begin within this. */
const spreadMilliseconds = 2_000;
const spreadPerNodeMilliseconds = 5;

/**
 * The live events of all agents as one stream. Agents are listened to only while somebody wants it and shortly after. The directory is
 * followed: nodes come, go, and get other agents. Memory and work are bounded, whatever the agents tell.
 */
export class ClusterEvents {
  readonly #parts: ClusterEventsParts;
  readonly #options: Required<Omit<ClusterEventsOptions, keyof RingLimits>>;
  readonly #ring: EventRing;
  readonly #listeners = new Map<string, NodeListener>();
  readonly #records = new Map<string, NodeRecord>();
  readonly #notListened = new Map<string, string>();
  readonly #observers = new Set<(change: ClusterEventsChange) => void>();
  /** Who wants which node; under undefined: all of them. */
  readonly #interests = new Map<string | undefined, Interest>();
  #lost = 0;
  #numberings = 0;
  #since: number | undefined;
  #stopFollowing: () => void = () => {};
  #isClosed = false;

  constructor(parts: ClusterEventsParts, options: ClusterEventsOptions = {}) {
    this.#parts = parts;
    const { maximumListeners = 1_000, perSecond = 50, lingerMilliseconds = 60_000 } = options;
    this.#options = { maximumListeners, perSecond, lingerMilliseconds };
    this.#ring = new EventRing(options);
  }

  /** Has one agent listened to, or all, until the result is called, and a while after. */
  hold(node?: string): () => void {
    const interest = this.#interests.get(node) ?? { holders: 0, cancelLinger: () => {} };
    this.#interests.set(node, interest);
    interest.holders += 1;
    interest.cancelLinger();
    this.#begin();
    let isHeld = true;
    return () => {
      if (!isHeld) return;
      isHeld = false;
      interest.holders -= 1;
      if (interest.holders > 0 || this.#isClosed) return;
      // Nobody was listened to for it: an invented name leaves nothing behind.
      if (node !== undefined && !this.#listeners.has(node)) {
        this.#interests.delete(node);
        return;
      }
      interest.cancelLinger = this.#parts.clock.after(this.#options.lingerMilliseconds, () => {
        this.#interests.delete(node);
        this.#follow();
      });
    };
  }

  /** Has all agents listened to for a while: for somebody who reads and does not subscribe. */
  touch(): void {
    this.hold()();
  }

  /** Resolves when each agent has answered or failed once, after `milliseconds`, or when `signal` aborts. Never rejects. */
  settled(milliseconds: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const isSettled = () => ![...this.#listeners.values()].some(({ isFirst }) => isFirst);
      const end = () => {
        cancel();
        stop();
        signal?.removeEventListener('abort', end);
        resolve();
      };
      const cancel = this.#parts.clock.after(milliseconds, end);
      const stop = this.onChange(() => {
        if (isSettled()) end();
      });
      signal?.addEventListener('abort', end, { once: true });
      if (signal?.aborted || isSettled()) end();
    });
  }

  /** Calls `listener` after every change; the result ends that. */
  onChange(listener: (change: ClusterEventsChange) => void): () => void {
    this.#observers.add(listener);
    return () => this.#observers.delete(listener);
  }

  snapshot(): ClusterEventsSnapshot {
    const listeners = [...this.#listeners.values()];
    const heard = listeners.filter(({ status }) => status.state === 'listening');
    return {
      listeningSince: isoTime(this.#since),
      nodeCount: this.#parts.directory.snapshot().nodes.length,
      heardCount: heard.length,
      notHeard: this.#notHeard(listeners),
      events: this.#ring.events,
      evicted: this.#ring.evicted,
      lost: this.#lost,
      lostByNode: [...this.#records]
        .filter(([, { lost }]) => lost > 0)
        .map(([node, { lost }]) => ({ node, lost }))
        .sort((a, b) => b.lost - a.lost || (a.node < b.node ? -1 : 1)),
    };
  }

  /** Ends all listening for good. */
  close(): void {
    this.#isClosed = true;
    for (const { cancelLinger } of this.#interests.values()) cancelLinger();
    this.#interests.clear();
    this.#follow();
    this.#observers.clear();
  }

  #notHeard(listeners: readonly NodeListener[]): readonly NotHeard[] {
    const failing = listeners
      .filter(({ status }) => status.state !== 'listening')
      .map(({ node, status }) => ({
        node: node.name,
        since: isoTime(status.since),
        reason: status.reason ?? 'its agent has not answered yet',
      }));
    const notAsked = [...this.#notListened].map(([node, reason]) => ({ node, since: null, reason }));
    return [...failing, ...notAsked].sort((a, b) => (a.node < b.node ? -1 : 1));
  }

  #begin(): void {
    if (this.#isClosed) return;
    const { directory, clock, logger } = this.#parts;
    if (this.#since === undefined) {
      this.#since = clock.now();
      logger.info('events: listening to agents');
      this.#stopFollowing = directory.onChange(() => this.#follow());
    }
    this.#follow();
  }

  #end(): void {
    this.#since = undefined;
    this.#stopFollowing();
    for (const name of [...this.#listeners.keys()]) this.#stop(name);
    this.#notListened.clear();
    this.#parts.logger.info('events: nobody wants them any more');
  }

  /** Listens to what is wanted of what the directory names now, and to nothing else. */
  #follow(): void {
    if (this.#since === undefined) return;
    if (this.#interests.size === 0) {
      this.#end();
      return;
    }
    const { nodes } = this.#parts.directory.snapshot();
    const names = new Set(nodes.map(({ name }) => name));
    for (const name of this.#records.keys()) if (!names.has(name)) this.#records.delete(name);
    const wanted = new Map<string, AgentNode>();
    const notListened = new Map<string, string>();
    const isForAll = this.#interests.has(undefined);
    for (const node of nodes) {
      if (!isForAll && !this.#interests.has(node.name)) continue;
      const why = this.#whyNot(node, wanted.size);
      if (why === undefined) wanted.set(node.name, node);
      else notListened.set(node.name, why);
    }
    let hasChanged = !isSame(notListened, this.#notListened);
    this.#notListened.clear();
    for (const entry of notListened) this.#notListened.set(...entry);
    for (const [name, { node }] of this.#listeners) {
      const current = wanted.get(name);
      if (current && isSameAgent(current, node)) continue;
      this.#stop(name);
      hasChanged = true;
    }
    const spread = Math.min(spreadMilliseconds, wanted.size * spreadPerNodeMilliseconds);
    for (const node of wanted.values()) {
      if (this.#listeners.has(node.name)) continue;
      this.#start(node, spread);
      hasChanged = true;
    }
    if (hasChanged) this.#tell({ kind: 'nodes' });
  }

  #whyNot({ url, notReadyBecause }: AgentNode, listeners: number): string | undefined {
    const { maximumListeners } = this.#options;
    if (notReadyBecause !== null) return notReadyBecause;
    if (url === null) return 'it has no address yet';
    if (listeners < maximumListeners) return undefined;
    return `more nodes than the ${maximumListeners} that this gateway listens to at once`;
  }

  #start(node: AgentNode, spread: number): void {
    const { events, clock, random } = this.#parts;
    const record = this.#recordOf(node);
    const listener = new NodeListener(
      node,
      {
        ...{ events, clock, random, perSecond: this.#options.perSecond },
        onTaken: (taken, lost, batch) => this.#take(node, record, taken, lost, batch),
        onStatus: () => this.#tell({ kind: 'nodes' }),
      },
      record.position,
    );
    this.#listeners.set(node.name, listener);
    listener.start(Math.floor(random() * spread));
  }

  #stop(name: string): void {
    const listener = this.#listeners.get(name);
    this.#listeners.delete(name);
    listener?.stop();
  }

  #recordOf({ name, instance }: AgentNode): NodeRecord {
    const known = this.#records.get(name);
    if (known?.instance === instance) return known;
    this.#numberings += 1;
    // Another agent counts from 1; what was lost at this node stays lost.
    const record = { instance, numbering: this.#numberings, position: undefined, lost: known?.lost ?? 0 };
    this.#records.set(name, record);
    return record;
  }

  #take(
    { name }: AgentNode,
    record: NodeRecord,
    taken: readonly AgentEvent[],
    lost: number,
    { position, isRenumbered }: AgentEventBatch,
  ): void {
    if (isRenumbered) {
      this.#numberings += 1;
      record.numbering = this.#numberings;
    }
    record.position = position;
    record.lost = Math.min(record.lost + lost, maximumLost);
    this.#lost = Math.min(this.#lost + lost, maximumLost);
    for (const event of taken) this.#ring.add(name, record.numbering, event);
    if (taken.length > 0 || lost > 0) this.#tell({ kind: 'events', node: name, events: taken });
  }

  #tell(change: ClusterEventsChange): void {
    for (const observer of [...this.#observers]) {
      try {
        observer(change);
      } catch (error) {
        this.#parts.logger.error('events: an observer failed', { error: String(error) });
      }
    }
  }
}

const isoTime = (milliseconds: number | undefined) =>
  milliseconds === undefined ? null : new Date(milliseconds).toISOString();

const isSameAgent = (a: AgentNode, b: AgentNode) =>
  a.instance === b.instance && a.url === b.url && a.mayReceiveToken === b.mayReceiveToken;

const isSame = (a: ReadonlyMap<string, string>, b: ReadonlyMap<string, string>) =>
  a.size === b.size && [...a].every(([key, value]) => b.get(key) === value);
