import { type Clock, type Verdict, verdicts } from '@k8s-gpu-mcp/core';
import type { ToolMetrics, ToolOutcome } from '@k8s-gpu-mcp/transport-http/tool-metrics';
import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import { type CircuitState, circuitStates } from '../../domain/circuit.ts';
import { type NodeStatus, nodeStatuses } from '../../domain/node-outcome.ts';
import type { AgentFailureKind } from '../../ports/agent-client.ts';
import type { AgentNode, NodeDirectorySnapshot } from '../../ports/node-directory.ts';
import { defaultMaximumNodes, type NodeRow, NodeTable } from './node-table.ts';

/** How one call to one agent ended. `tool-error`: the agent answered, with an error of its tool. */
export type AskStatus = 'ok' | 'tool-error' | AgentFailureKind;
export type NodeStatusCounts = Readonly<Partial<Record<NodeStatus, number>>>;

export interface GatewayMetricsOptions {
  readonly clock: Clock;
  /** Counts the tool calls, and says which tool names may be labels. */
  readonly tools: ToolMetrics;
  /** Nodes that get series of their own. Default 2000; the others are counted in `mcp_gateway_nodes_without_series`. */
  readonly maximumNodes?: number;
}

/** One agent may take as long as the caller waits, 60 s. */
const askBuckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];
const fanOutBuckets = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];
/** 0 closed, 1 open, 2 half-open: the order of the list. */
const circuitNumber = (state: CircuitState) => circuitStates.indexOf(state);

/**
 * The Prometheus metrics of a gateway, in a registry of their own; docs/metrics.md says what each one means. Labels come from closed sets
 * or are names of nodes that the directory has now. What is told of any other node moves the sums and makes no series.
 */
export class GatewayMetrics {
  readonly #clock: Clock;
  readonly #tools: ToolMetrics;
  readonly #nodes: NodeTable;
  readonly #registry = new Registry();
  readonly #asks: Histogram<'transport' | 'status'>;
  readonly #fanOuts: Histogram<'tool' | 'outcome'>;
  readonly #outcomes: Counter<'tool' | 'status'>;

  constructor(options: GatewayMetricsOptions) {
    this.#clock = options.clock;
    this.#tools = options.tools;
    this.#nodes = new NodeTable(options.clock, options.maximumNodes ?? defaultMaximumNodes);
    const registers = [this.#registry];
    // No node label: 1000 nodes with 11 statuses and 16 series for each would be 176 000. Which node is bad stands in the gauges below.
    this.#asks = new Histogram({
      name: 'mcp_gateway_request_duration_seconds',
      help: 'Time of one call from the gateway to one agent.',
      labelNames: ['transport', 'status'],
      buckets: askBuckets,
      registers,
    });
    this.#fanOuts = new Histogram({
      name: 'mcp_gateway_fanout_duration_seconds',
      help: 'Time to ask all nodes that one question was meant for.',
      labelNames: ['tool', 'outcome'],
      buckets: fanOutBuckets,
      registers,
    });
    this.#outcomes = new Counter({
      name: 'mcp_gateway_node_outcomes_total',
      help: 'Nodes that questions were meant for, by how each fared.',
      labelNames: ['tool', 'status'],
      registers,
    });
    this.#registerDirectoryGauges();
    this.#registerNodeGauges();
  }

  /** Call at the start of a tool call; call what it returns at its end. */
  toolStarted(tool: string): (outcome: ToolOutcome) => void {
    return this.#tools.observe(tool);
  }

  /** One question to all its nodes has ended. `counts`: nodes by status. */
  fanOutEnded(tool: string, durationSeconds: number, counts: NodeStatusCounts): void {
    const label = this.#tools.labelOf(tool);
    for (const status of nodeStatuses) this.#outcomes.inc({ tool: label, status }, counts[status] ?? 0);
    const asked = nodeStatuses.reduce((sum, status) => sum + (counts[status] ?? 0), 0);
    const answered = counts.ok ?? 0;
    const someOrNone = answered > 0 ? 'partial' : 'error';
    const outcome = asked === 0 ? 'no-nodes' : answered === asked ? 'ok' : someOrNone;
    this.#fanOuts.observe({ tool: label, outcome }, Math.max(0, durationSeconds));
  }

  /** One call to one agent has ended, each try counted. */
  nodeAsked(node: string, durationSeconds: number, status: AskStatus): void {
    this.#asks.observe({ transport: 'http', status }, Math.max(0, durationSeconds));
    const row = this.#nodes.row(node);
    if (row === null || status === 'cancelled') return;
    const isAnswer = status === 'ok' || status === 'tool-error';
    row.failingSince = isAnswer ? null : (row.failingSince ?? this.#clock.now());
  }

  /** Which version the agent told in its handshake: of a closed form, or null. */
  agentSeen({ name, instance }: Pick<AgentNode, 'name' | 'instance'>, version: string | null): void {
    const row = this.#nodes.row(name);
    // The answer of an agent that was replaced meanwhile says nothing about its successor.
    if (row?.instance === instance) row.agentVersion = version;
  }

  circuitChanged(node: string, state: CircuitState): void {
    const row = this.#nodes.row(node);
    if (row !== null) row.circuit = state;
  }

  /** Call at the start and after every change of the directory: it decides which nodes have series. */
  nodesSeen(snapshot: NodeDirectorySnapshot): void {
    this.#nodes.update(snapshot);
  }

  /**
   * What a node's health was found to be. `at`: when its answer came, by the gateway's own clock in milliseconds since 1970, so that an
   * agent whose clock is wrong cannot make a verdict look fresh. An older one than is known changes nothing.
   */
  verdictSeen(node: string, verdict: Verdict, at: number = this.#clock.now()): void {
    const row = this.#nodes.row(node);
    if (row === null) return;
    // One that lies ahead is from before the clock was set back.
    const known = row.verdictAt;
    if (known !== null && known <= this.#clock.now() && at < known) return;
    // It came over the network: a word that is not in the list supports nothing.
    row.verdict = verdicts.includes(verdict) ? verdict : 'unknown';
    row.verdictAt = at;
  }

  /** Prometheus text, for `HttpAppOptions.collectMetrics`. */
  async render(): Promise<string> {
    return `${(await this.#tools.render()).trimEnd()}\n${(await this.#registry.metrics()).trimEnd()}\n`;
  }

  #registerDirectoryGauges(): void {
    const nodes = this.#nodes;
    const registers = [this.#registry];
    new Gauge({
      name: 'mcp_gateway_nodes',
      help: 'Nodes in the directory.',
      labelNames: ['state'],
      registers,
      collect() {
        this.set({ state: 'ready' }, nodes.counts.ready);
        this.set({ state: 'not-ready' }, nodes.counts.notReady);
      },
    });
    new Gauge({
      name: 'mcp_gateway_nodes_without_series',
      help: 'Nodes in the directory that no metric with a node label shows: too many of them, or a name that cannot be one.',
      registers,
      collect() {
        this.set(nodes.counts.withoutRow);
      },
    });
    new Gauge({
      name: 'mcp_gateway_directory_stale_seconds',
      help: 'How long the source of the directory has not answered; 0 while it does.',
      registers,
      collect() {
        this.set(nodes.directoryStaleSeconds());
      },
    });
  }

  #registerNodeGauges(): void {
    const nodes = this.#nodes;
    this.#nodeGauge(
      'mcp_node_health',
      '1 if the agent is ready and its circuit closed, so that the node is asked; else 0.',
      (row) => (row.notReadySince === null && row.circuit === 'closed' ? 1 : 0),
    );
    this.#nodeGauge(
      'mcp_circuit_breaker_state',
      'Circuit of the node: 0 closed, 1 open, 2 half-open.',
      (row) => circuitNumber(row.circuit),
    );
    this.#nodeGauge(
      'mcp_node_stale_seconds',
      'How long calls to the node have failed, it was not ready, or the directory could not tell of it; else 0.',
      (row) => nodes.staleSeconds(row),
    );
    this.#nodeGauge(
      'gpu_node_verdict_age_seconds',
      'Time since the current verdict was found; absent before the first.',
      (row) => nodes.verdictAgeSeconds(row),
    );
    new Gauge({
      name: 'mcp_gateway_agent_info',
      help: '1 with the version of the agent that answers there, unknown if it told none; absent before it was asked.',
      labelNames: ['node', 'version'],
      registers: [this.#registry],
      collect() {
        this.reset();
        for (const [node, { agentVersion }] of nodes.rows) {
          if (agentVersion !== undefined) this.set({ node, version: agentVersion ?? 'unknown' }, 1);
        }
      },
    });
    new Gauge({
      name: 'gpu_node_verdict',
      help: '1 for the verdict on the health of the GPUs of the node, 0 for the others; unknown until one was found.',
      labelNames: ['node', 'verdict'],
      registers: [this.#registry],
      collect() {
        this.reset();
        for (const [node, row] of nodes.rows) {
          for (const verdict of verdicts) this.set({ node, verdict }, row.verdict === verdict ? 1 : 0);
        }
      },
    });
  }

  /** A gauge of every node, written anew with each scrape, so that nothing of a node that left remains. */
  #nodeGauge(name: string, help: string, valueFor: (row: NodeRow) => number | null): void {
    const nodes = this.#nodes;
    new Gauge({
      name,
      help,
      labelNames: ['node'],
      registers: [this.#registry],
      collect() {
        this.reset();
        for (const [node, row] of nodes.rows) {
          const value = valueFor(row);
          if (value !== null) this.set({ node }, value);
        }
      },
    });
  }
}
