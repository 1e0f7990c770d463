import type { Clock, Verdict } from '@k8s-gpu-mcp/core';
import type { CircuitState } from '../../domain/circuit.ts';
import type { AgentNode, NodeDirectorySnapshot } from '../../ports/node-directory.ts';

/** More than the largest GPU clusters have, and some 16 000 series: what one scrape can carry. */
export const defaultMaximumNodes = 2_000;

/** Length and characters of a DNS name. Anything else becomes no label. */
const nodeName = /^[A-Za-z0-9][A-Za-z0-9._-]{0,252}$/;

/** What the metrics tell of one node. Times are milliseconds since 1970. */
export interface NodeRow {
  instance: string;
  /** As its agent told; null when that told none, undefined before it was asked. */
  agentVersion: string | null | undefined;
  circuit: CircuitState;
  /** Since when the directory says that it cannot be asked; null while it can. */
  notReadySince: number | null;
  /** End of the first of the failed calls in a row; null once it answered. */
  failingSince: number | null;
  verdict: Verdict;
  /** Null before the first verdict. */
  verdictAt: number | null;
}

/**
 * The nodes that have series: those of the directory, and no others, so that the number of series is bounded by what lives. Of more than
 * the maximum those that were there first stay, so that series do not come and go.
 */
export class NodeTable {
  readonly #clock: Clock;
  readonly #maximumNodes: number;
  readonly #rows = new Map<string, NodeRow>();
  readonly #createdAt: number;
  #staleSince: number | null;
  #readyCount = 0;
  #notReadyCount = 0;
  #withoutRowCount = 0;

  constructor(clock: Clock, maximumNodes: number) {
    this.#clock = clock;
    this.#maximumNodes = maximumNodes;
    this.#createdAt = clock.now();
    this.#staleSince = this.#createdAt;
  }

  get rows(): ReadonlyMap<string, NodeRow> {
    return this.#rows;
  }

  get counts() {
    return {
      ready: this.#readyCount,
      notReady: this.#notReadyCount,
      withoutRow: this.#withoutRowCount,
    };
  }

  update(snapshot: NodeDirectorySnapshot): void {
    const neverRead = snapshot.readAt === null ? this.#createdAt : null;
    this.#staleSince = snapshot.staleSince === null ? neverRead : Date.parse(snapshot.staleSince);
    const present = new Set(snapshot.nodes.map((node) => node.name));
    for (const name of this.#rows.keys()) if (!present.has(name)) this.#rows.delete(name);
    for (const node of snapshot.nodes) this.#updateRow(node);
    this.#notReadyCount = snapshot.nodes.filter((node) => node.notReadyBecause !== null).length;
    this.#readyCount = snapshot.nodes.length - this.#notReadyCount;
    this.#withoutRowCount = snapshot.nodes.length - this.#rows.size;
  }

  #updateRow(node: AgentNode): void {
    let row = this.#rows.get(node.name);
    if (!row) {
      if (this.#rows.size >= this.#maximumNodes || !nodeName.test(node.name)) return;
      row = {
        instance: node.instance,
        agentVersion: undefined,
        circuit: 'closed',
        notReadySince: null,
        failingSince: null,
        verdict: 'unknown',
        verdictAt: null,
      };
      this.#rows.set(node.name, row);
    }
    if (row.instance !== node.instance) {
      // Another process answers there, with a closed circuit. The hardware is the same, and so is the verdict on it.
      row.instance = node.instance;
      row.agentVersion = undefined;
      row.circuit = 'closed';
      row.failingSince = null;
    }
    row.notReadySince = node.notReadyBecause === null ? null : (row.notReadySince ?? this.#clock.now());
  }

  /** Null for a node without series. */
  row(name: string): NodeRow | null {
    return this.#rows.get(name) ?? null;
  }

  /** How long the source of the directory has not answered; 0 while it does. */
  directoryStaleSeconds(): number {
    return this.#secondsSince(this.#staleSince);
  }

  /** How long the node has given no answer, or cannot be known to be there; 0 while all is well. */
  staleSeconds(row: NodeRow): number {
    const since = [row.failingSince, row.notReadySince, this.#staleSince];
    return Math.max(...since.map((time) => this.#secondsSince(time)));
  }

  /** Null before the first verdict: there is nothing that could be old. */
  verdictAgeSeconds(row: NodeRow): number | null {
    return row.verdictAt === null ? null : this.#secondsSince(row.verdictAt);
  }

  /** Never below 0, also when the clock was set back. */
  #secondsSince(time: number | null): number {
    return time === null ? 0 : Math.max(0, this.#clock.now() - time) / 1000;
  }
}
