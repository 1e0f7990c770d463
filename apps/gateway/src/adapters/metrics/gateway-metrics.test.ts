import { describe, expect, it } from 'vitest';
import {
  agentNode,
  createBusyMetrics,
  createMetrics,
  createMetricsApp,
  familiesOf,
  samplesOf,
  snapshot,
  startAt,
} from '../../../test/metrics-fixture.ts';
import type { AskStatus, GatewayMetrics } from './gateway-metrics.ts';

const read = async (metrics: GatewayMetrics) => samplesOf(await metrics.render());
const of = (metric: string, node: string) => `${metric}{node="${node}"}`;
const verdictOf = (samples: ReadonlyMap<string, number>, node: string) =>
  ['ok', 'warning', 'critical', 'unknown'].filter(
    (verdict) => samples.get(`gpu_node_verdict{node="${node}",verdict="${verdict}"}`) === 1,
  );
const seriesOf = (samples: ReadonlyMap<string, number>, node: string) =>
  [...samples.keys()].filter((key) => key.includes(`node="${node}"`));

describe('tool calls', () => {
  it('are in flight, then counted by how they ended, with their time', async () => {
    const { metrics, clock } = await createMetrics();
    const ended = metrics.toolStarted('get_gpu_health');
    expect((await read(metrics)).get('mcp_active_requests{tool="get_gpu_health"}')).toBe(1);
    clock.advance(1_500);
    ended('partial');
    const samples = await read(metrics);
    expect(samples.get('mcp_active_requests{tool="get_gpu_health"}')).toBe(0);
    expect(samples.get('mcp_requests_total{tool="get_gpu_health",status="partial"}')).toBe(1);
    expect(samples.get('mcp_requests_total{tool="get_gpu_health",status="ok"}')).toBe(0);
    expect(samples.get('mcp_request_duration_seconds_sum{tool="get_gpu_health"}')).toBe(1.5);
  });
});

describe('fan-outs', () => {
  it.each([
    [{ ok: 3 }, 'ok'],
    [{ ok: 2, timeout: 1 }, 'partial'],
    [{ error: 1, 'circuit-open': 2 }, 'error'],
    [{}, 'no-nodes'],
  ])('%j is %s', async (counts, outcome) => {
    const { metrics } = await createMetrics();
    metrics.fanOutEnded('get_gpu_health', 0.7, counts);
    const samples = await read(metrics);
    const labels = `tool="get_gpu_health",outcome="${outcome}"`;
    expect(samples.get(`mcp_gateway_fanout_duration_seconds_count{${labels}}`)).toBe(1);
    expect(samples.get(`mcp_gateway_fanout_duration_seconds_sum{${labels}}`)).toBe(0.7);
    expect(samples.get(`mcp_gateway_fanout_duration_seconds_bucket{le="0.5",${labels}}`)).toBe(0);
    expect(samples.get(`mcp_gateway_fanout_duration_seconds_bucket{le="1",${labels}}`)).toBe(1);
    for (const [status, count] of Object.entries(counts)) {
      const key = `mcp_gateway_node_outcomes_total{tool="get_gpu_health",status="${status}"}`;
      expect(samples.get(key)).toBe(count);
    }
  });

  it('of a tool that is not known are counted as other', async () => {
    const { metrics } = await createMetrics();
    for (let index = 0; index < 100; index += 1) metrics.fanOutEnded(`invented-${index}`, 1, { ok: 1 });
    const samples = await read(metrics);
    expect(samples.get('mcp_gateway_node_outcomes_total{tool="other",status="ok"}')).toBe(100);
    expect([...samples.keys()].filter((key) => key.includes('invented'))).toEqual([]);
  });
});

describe('calls to agents', () => {
  it('are timed by how they ended, without the name of the node', async () => {
    const { metrics } = await createMetrics();
    metrics.nodesSeen(snapshot([agentNode('a')]));
    metrics.nodeAsked('a', 0.3, 'ok');
    metrics.nodeAsked('gone', 2, 'unreachable');
    const samples = await read(metrics);
    const family = 'mcp_gateway_request_duration_seconds';
    expect(samples.get(`${family}_sum{transport="http",status="ok"}`)).toBe(0.3);
    expect(samples.get(`${family}_count{transport="http",status="unreachable"}`)).toBe(1);
    expect([...samples.keys()].filter((key) => key.startsWith(family) && key.includes('node='))).toEqual([]);
    expect(seriesOf(samples, 'gone')).toEqual([]);
  });

  it.each<[AskStatus, number]>([
    ['unreachable', 90],
    ['timeout', 90],
    ['garbage', 90],
    ['certificate', 90],
    ['cancelled', 0],
    ['ok', 0],
    ['tool-error', 0],
  ])('after %s a node is stale for %d of the next 90 seconds', async (status, seconds) => {
    const { metrics, clock } = await createMetrics();
    metrics.nodesSeen(snapshot([agentNode('a')]));
    metrics.nodeAsked('a', 1, status);
    clock.advance(90_000);
    expect((await read(metrics)).get(of('mcp_node_stale_seconds', 'a'))).toBe(seconds);
  });

  it('a node is stale since the first failure in a row, and not any more once it answers', async () => {
    const { metrics, clock } = await createMetrics();
    metrics.nodesSeen(snapshot([agentNode('a')]));
    metrics.nodeAsked('a', 1, 'timeout');
    clock.advance(10_000);
    metrics.nodeAsked('a', 1, 'unreachable');
    clock.advance(5_000);
    expect((await read(metrics)).get(of('mcp_node_stale_seconds', 'a'))).toBe(15);
    metrics.nodeAsked('a', 1, 'tool-error');
    expect((await read(metrics)).get(of('mcp_node_stale_seconds', 'a'))).toBe(0);
  });
});

describe('circuits and health', () => {
  it.each([
    ['closed', 0, 1],
    ['open', 1, 0],
    ['half-open', 2, 0],
  ] as const)('%s is %d, health %d', async (state, number, health) => {
    const { metrics } = await createMetrics();
    metrics.nodesSeen(snapshot([agentNode('a'), agentNode('b')]));
    metrics.circuitChanged('a', 'open');
    metrics.circuitChanged('a', state);
    const samples = await read(metrics);
    expect(samples.get(of('mcp_circuit_breaker_state', 'a'))).toBe(number);
    expect(samples.get(of('mcp_node_health', 'a'))).toBe(health);
    expect(samples.get(of('mcp_node_health', 'b'))).toBe(1);
  });

  it('a node that is not ready is not healthy, and stale since then', async () => {
    const { metrics, clock } = await createMetrics();
    const waiting = agentNode('a', { notReadyBecause: 'the pod is not ready' });
    metrics.nodesSeen(snapshot([waiting, agentNode('b')]));
    clock.advance(20_000);
    metrics.nodesSeen(snapshot([waiting, agentNode('b')]));
    clock.advance(10_000);
    const samples = await read(metrics);
    expect(samples.get(of('mcp_node_health', 'a'))).toBe(0);
    expect(samples.get(of('mcp_node_stale_seconds', 'a'))).toBe(30);
    expect(samples.get('mcp_gateway_nodes{state="ready"}')).toBe(1);
    expect(samples.get('mcp_gateway_nodes{state="not-ready"}')).toBe(1);
    metrics.nodesSeen(snapshot([agentNode('a'), agentNode('b')]));
    expect((await read(metrics)).get(of('mcp_node_health', 'a'))).toBe(1);
  });

  it('a new instance begins with a closed circuit and keeps the verdict on its hardware', async () => {
    const { metrics } = await createMetrics();
    metrics.nodesSeen(snapshot([agentNode('a')]));
    metrics.nodeAsked('a', 1, 'unreachable');
    metrics.circuitChanged('a', 'open');
    metrics.verdictSeen('a', 'warning');
    metrics.nodesSeen(snapshot([agentNode('a', { instance: 'a-2' })]));
    const samples = await read(metrics);
    expect(samples.get(of('mcp_circuit_breaker_state', 'a'))).toBe(0);
    expect(samples.get(of('mcp_node_health', 'a'))).toBe(1);
    expect(verdictOf(samples, 'a')).toEqual(['warning']);
  });
});

describe('the directory', () => {
  it('is stale since it was asked in vain, with all its nodes, and until then not', async () => {
    const { metrics, clock } = await createMetrics();
    clock.advance(3_000);
    expect((await read(metrics)).get('mcp_gateway_directory_stale_seconds')).toBe(3);
    metrics.nodesSeen(snapshot([agentNode('a')]));
    expect((await read(metrics)).get('mcp_gateway_directory_stale_seconds')).toBe(0);
    metrics.nodesSeen(snapshot([agentNode('a')], { staleSince: startAt, problem: 'no answer' }));
    clock.advance(60_000);
    const samples = await read(metrics);
    expect(samples.get('mcp_gateway_directory_stale_seconds')).toBe(63);
    expect(samples.get(of('mcp_node_stale_seconds', 'a'))).toBe(63);
  });

  it('takes every series of a node that left', async () => {
    const { metrics } = await createMetrics();
    metrics.nodesSeen(snapshot([agentNode('a'), agentNode('b')]));
    metrics.verdictSeen('a', 'critical');
    metrics.circuitChanged('a', 'open');
    // Health, circuit, stale, age, and four verdicts.
    expect(seriesOf(await read(metrics), 'a')).toHaveLength(8);
    metrics.nodesSeen(snapshot([agentNode('b')]));
    metrics.verdictSeen('a', 'critical');
    metrics.circuitChanged('a', 'open');
    metrics.nodeAsked('a', 1, 'timeout');
    expect(seriesOf(await read(metrics), 'a')).toEqual([]);
    metrics.nodesSeen(snapshot([agentNode('a'), agentNode('b')]));
    expect(verdictOf(await read(metrics), 'a')).toEqual(['unknown']);
  });

  it('bounds the series through a thousand generations of nodes', async () => {
    const { metrics } = await createMetrics();
    for (let generation = 0; generation < 1_000; generation += 1) {
      const nodes = [0, 1, 2].map((index) => agentNode(`node-${generation}-${index}`));
      metrics.nodesSeen(snapshot(nodes));
      for (const { name } of nodes) {
        metrics.nodeAsked(name, 0.1, 'ok');
        metrics.verdictSeen(name, 'ok');
      }
    }
    const samples = await read(metrics);
    expect([...samples.keys()].filter((key) => key.includes('node="'))).toHaveLength(3 * 8);
  });

  it('keeps the first nodes when there are more than the maximum, and says how many have no series', async () => {
    const { metrics } = await createMetrics({ maximumNodes: 2 });
    metrics.nodesSeen(snapshot([agentNode('m'), agentNode('n')]));
    metrics.nodesSeen(snapshot(['a', 'm', 'n', 'z'].map((name) => agentNode(name))));
    const samples = await read(metrics);
    expect(samples.get('mcp_gateway_nodes_without_series')).toBe(2);
    expect(samples.get('mcp_gateway_nodes{state="ready"}')).toBe(4);
    expect(seriesOf(samples, 'm').length).toBeGreaterThan(0);
    expect(seriesOf(samples, 'a')).toEqual([]);
    metrics.nodesSeen(snapshot(['a', 'n', 'z'].map((name) => agentNode(name))));
    expect(seriesOf(await read(metrics), 'a').length).toBeGreaterThan(0);
  });

  it.each(['', '__proto__', 'a"} 1\nfake 1', 'a\\', 'é', 'x'.repeat(254)])(
    'makes no label of %j',
    async (name) => {
      const { metrics } = await createMetrics();
      metrics.nodesSeen(snapshot([agentNode(name), agentNode('a')]));
      metrics.verdictSeen(name, 'critical');
      const text = await metrics.render();
      expect(samplesOf(text).get('mcp_gateway_nodes_without_series')).toBe(1);
      expect([...text.matchAll(/^mcp_node_health\{.*$/gm)].map(([line]) => line)).toEqual([
        'mcp_node_health{node="a"} 1',
      ]);
      expect(text).not.toContain('fake');
    },
  );
});

describe('verdicts', () => {
  it('are unknown and without an age before the first', async () => {
    const { metrics } = await createMetrics();
    metrics.nodesSeen(snapshot([agentNode('a')]));
    const samples = await read(metrics);
    expect(verdictOf(samples, 'a')).toEqual(['unknown']);
    expect(samples.has(of('gpu_node_verdict_age_seconds', 'a'))).toBe(false);
  });

  it.each(['ok', 'warning', 'critical', 'unknown'] as const)(
    '%s is the only one that is 1',
    async (verdict) => {
      const { metrics, clock } = await createMetrics();
      metrics.nodesSeen(snapshot([agentNode('a')]));
      metrics.verdictSeen('a', verdict === 'ok' ? 'critical' : 'ok');
      clock.advance(1_000);
      metrics.verdictSeen('a', verdict);
      clock.advance(42_000);
      const samples = await read(metrics);
      expect(verdictOf(samples, 'a')).toEqual([verdict]);
      expect([...samples.keys()].filter((key) => key.startsWith('gpu_node_verdict{'))).toHaveLength(4);
      expect(samples.get(of('gpu_node_verdict_age_seconds', 'a'))).toBe(42);
    },
  );

  it('an answer that was overtaken changes nothing', async () => {
    const { metrics, clock } = await createMetrics();
    metrics.nodesSeen(snapshot([agentNode('a')]));
    const before = clock.now();
    clock.advance(5_000);
    metrics.verdictSeen('a', 'critical');
    metrics.verdictSeen('a', 'ok', before);
    expect(verdictOf(await read(metrics), 'a')).toEqual(['critical']);
  });

  it('a clock that is set back neither makes ages negative nor holds verdicts', async () => {
    const { metrics, clock } = await createMetrics();
    metrics.nodesSeen(snapshot([agentNode('a')]));
    metrics.verdictSeen('a', 'ok', clock.now() + 3_600_000);
    expect((await read(metrics)).get(of('gpu_node_verdict_age_seconds', 'a'))).toBe(0);
    metrics.verdictSeen('a', 'critical');
    expect(verdictOf(await read(metrics), 'a')).toEqual(['critical']);
  });

  it('a word that is no verdict is unknown, not ok', async () => {
    const { metrics } = await createMetrics();
    metrics.nodesSeen(snapshot([agentNode('a')]));
    metrics.verdictSeen('a', 'ok');
    const { verdict } = JSON.parse('{"verdict":"splendid"}');
    metrics.verdictSeen('a', verdict);
    expect(verdictOf(await read(metrics), 'a')).toEqual(['unknown']);
  });
});

describe('/metrics', () => {
  it('has every family once, together with those of the transport, and a sample of each', async () => {
    const { metrics } = await createBusyMetrics();
    const { app } = await createMetricsApp(metrics);
    await app.request('/healthz', { headers: { host: 'localhost' } });
    const text = await (await app.request('/metrics', { headers: { host: 'localhost' } })).text();
    const names = [...familiesOf(text).keys()];
    expect(names).toContain('mcp_http_requests_total');
    expect(names).toContain('mcp_requests_total');
    const sampled = [...samplesOf(text).keys()];
    for (const name of names)
      expect(
        sampled.some((key) => key.startsWith(name)),
        name,
      ).toBe(true);
  });

  it('would not pass with a family that is there twice', async () => {
    const { metrics } = await createBusyMetrics();
    const text = await metrics.render();
    expect(() => familiesOf(`${text}${text}`)).toThrow('twice');
  });
});
