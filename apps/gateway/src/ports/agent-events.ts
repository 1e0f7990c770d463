import type { Action, DecodedDetail, EventSeverity, Trust, Verdict } from '@k8s-gpu-mcp/core';
import type { AgentNode } from './node-directory.ts';

/** Something that happened to a GPU, as its agent told it: checked, capped, and its text made harmless. */
export interface AgentEvent {
  /** Counts up from 1 as long as the agent runs. */
  readonly id: number;
  /** A higher one replaces what was told under the same id. */
  readonly revision: number;
  /** `xid`, `sxid`, `bus-loss` and the like; agents of another version may know further kinds. */
  readonly kind: string;
  /** ISO 8601. */
  readonly at: string;
  /** Who told of it: `driver`, `kernel-log`. */
  readonly sources?: readonly string[] | undefined;
  readonly repeatCount?: number | undefined;
  readonly xid?: number | undefined;
  readonly sxid?: number | undefined;
  readonly gpu: { readonly index: number; readonly uuid: string | null } | null;
  readonly pciAddress?: string | null | undefined;
  readonly gpuInstanceId?: number | undefined;
  readonly computeInstanceId?: number | undefined;
  /** The agent's words. */
  readonly title: string;
  readonly severity: EventSeverity;
  readonly verdict: Verdict;
  readonly action: Action;
  readonly trusted?: Trust | undefined;
  readonly value?: number | undefined;
  readonly pid?: number | undefined;
  /** Untrusted. */
  readonly processName?: string | undefined;
  readonly link?: number | undefined;
  readonly switchIndex?: number | undefined;
  /** Its words are untrusted. */
  readonly decoded?: DecodedDetail | undefined;
  /** The line of the kernel log. Untrusted. */
  readonly raw?: string | undefined;
}

/** The events that an agent keeps, at one moment. */
export interface AgentEventsReading {
  /** ISO 8601. */
  readonly observedAt: string;
  /** Since when the agent hears its sources, ISO 8601; null while it does not. */
  readonly listeningSince: string | null;
  /** By id, at most 256; the last revision of each. */
  readonly events: readonly AgentEvent[];
  /** How many events of this agent are not among them: they made room, or a source lost and counted them. */
  readonly lost: number;
  /** Events that were among them and could not be understood. */
  readonly unreadable: number;
  /** What the agent could not see. Untrusted, capped. */
  readonly notices: readonly string[];
}

/** How far the events of one agent were heard. */
export interface EventsPosition {
  readonly listeningSince: string | null;
  readonly lastId: number;
  /** What was seen last of each event that the agent still kept, by id. */
  readonly seen: ReadonlyMap<number, { readonly revision: number; readonly at: string }>;
  /** Lost by the agent's sources until then. */
  readonly sourceLost: number;
}

/** What is new since the batch before. */
export interface AgentEventBatch {
  /** ISO 8601. */
  readonly observedAt: string;
  /** Since when the agent hears its sources, ISO 8601. */
  readonly listeningSince: string | null;
  /** New ids and new revisions, by id. */
  readonly events: readonly AgentEvent[];
  /** Events that were never seen, at least. */
  readonly lost: number;
  /** The first batch of an agent: events from before anybody here listened. */
  readonly isHistory: boolean;
  /** The ids began anew: the agent was restarted. */
  readonly isRenumbered: boolean;
  /** To go on from here after a pause. */
  readonly position: EventsPosition;
}

/** The live events of agents, over the connections of the agent client. */
export interface AgentEvents {
  /**
   * Listens to one agent until that fails or `signal` aborts, and hands on what is new since `since`. The first batch comes when listening
   * has begun, also when there is nothing new.
   * @throws AgentFailure, and nothing else. It never resolves.
   */
  listen(
    node: AgentNode,
    onEvents: (batch: AgentEventBatch) => void,
    signal: AbortSignal,
    since?: EventsPosition,
  ): Promise<never>;
  /**
   * What the agent keeps at this moment.
   * @throws AgentFailure, and nothing else.
   */
  read(node: AgentNode, signal: AbortSignal): Promise<AgentEventsReading>;
}
