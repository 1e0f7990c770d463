import { fixedClock } from '@k8s-gpu-mcp/core/testing';
import { createHttpApp, type HttpApp } from '@k8s-gpu-mcp/transport-http';
import { createToolMetrics } from '@k8s-gpu-mcp/transport-http/tool-metrics';
import { GatewayMetrics } from '../src/adapters/metrics/gateway-metrics.ts';
import type { AgentNode, NodeDirectorySnapshot } from '../src/ports/node-directory.ts';

export const startAt = '2026-03-01T12:00:00.000Z';

/** Gateway metrics on a clock of the test. */
export async function createMetrics(options: { readonly maximumNodes?: number } = {}) {
  const clock = fixedClock(startAt);
  const tools = await createToolMetrics(['get_gpu_health', 'get_gpu_inventory'], { now: () => clock.now() });
  return { clock, metrics: new GatewayMetrics({ clock, tools, ...options }) };
}

export function agentNode(name: string, more: Partial<AgentNode> = {}): AgentNode {
  return {
    name,
    url: `http://${name}:8080/mcp`,
    labels: {},
    notReadyBecause: null,
    instance: `${name}-1`,
    mayReceiveToken: true,
    ...more,
  };
}

export function snapshot(
  nodes: readonly AgentNode[],
  more: Partial<NodeDirectorySnapshot> = {},
): NodeDirectorySnapshot {
  return { nodes, readAt: startAt, staleSince: null, problem: null, ...more };
}

/**
 * Four nodes after ten minutes: `good` answers, `critical` has a bad GPU, `silent` does not answer and its circuit is open, `starting` is not
 * ready. Every metric of a gateway has a sample.
 */
export async function createBusyMetrics() {
  const { clock, metrics } = await createMetrics();
  metrics.nodesSeen(
    snapshot([
      agentNode('critical'),
      agentNode('good'),
      agentNode('silent'),
      agentNode('starting', { url: null, notReadyBecause: 'the pod has no address yet' }),
    ]),
  );
  const ended = metrics.toolStarted('get_gpu_health');
  metrics.agentSeen(agentNode('critical'), '0.0.9');
  metrics.nodeAsked('critical', 0.2, 'ok');
  metrics.nodeAsked('good', 0.04, 'ok');
  metrics.nodeAsked('silent', 20, 'timeout');
  metrics.verdictSeen('critical', 'critical');
  metrics.verdictSeen('good', 'ok');
  metrics.circuitChanged('silent', 'open');
  metrics.fanOutEnded('get_gpu_health', 20.1, { ok: 2, timeout: 1, 'not-ready': 1 });
  ended('partial');
  clock.advance(600_000);
  return { clock, metrics };
}

/** What a gateway answers at `/metrics`. */
export async function createMetricsApp(metrics: GatewayMetrics): Promise<HttpApp> {
  const noTools = () => Promise.reject(new Error('this server has no tools'));
  return createHttpApp(noTools, { collectMetrics: () => metrics.render(), processMetrics: false });
}

/** Samples by name and labels, as they stand in the text. */
export function samplesOf(text: string): ReadonlyMap<string, number> {
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(
    lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ')))]),
  );
}

export interface MetricFamily {
  readonly type: string;
  /** Sorted; without `le`, which every histogram has. */
  readonly labels: readonly string[];
}

/** Families by name. @throws Error when a family is there twice: Prometheus takes no such text. */
export function familiesOf(text: string): ReadonlyMap<string, MetricFamily> {
  const families = new Map<string, MetricFamily>();
  for (const [, name = '', type = ''] of text.matchAll(/^# TYPE (\S+) (\S+)$/gm)) {
    if (families.has(name)) throw new Error(`the family ${name} is there twice`);
    const labels = new Set<string>();
    for (const [, sample = '', pairs = ''] of text.matchAll(/^([a-z_]+)\{(.*)\} \S+$/gm)) {
      if (sample !== name && !['_bucket', '_sum', '_count'].some((suffix) => sample === name + suffix))
        continue;
      for (const [, label = ''] of pairs.matchAll(/([a-z_]+)="/g)) if (label !== 'le') labels.add(label);
    }
    families.set(name, { type, labels: [...labels].sort() });
  }
  return families;
}
