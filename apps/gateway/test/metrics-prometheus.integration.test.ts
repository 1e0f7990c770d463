import { type ChildProcess, execFile, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type HttpServing, serveHttp } from '@k8s-gpu-mcp/transport-http';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { GatewayMetrics } from '../src/adapters/metrics/gateway-metrics.ts';
import { createBusyMetrics } from './metrics-fixture.ts';

// Prometheus itself as the judge: its linter, its scraper, its query language and its alert rules.

const missing = ['prometheus', 'promtool'].filter(
  (program) => spawnSync(program, ['--version']).error !== undefined,
);
const suite = missing.length === 0 ? 'Prometheus' : `Prometheus (skipped: no ${missing.join(', no ')} here)`;

interface Finished {
  readonly exitCode: number | string | null | undefined;
  readonly output: string;
}
/** Runs promtool to its end, without blocking the server that it may ask. */
function promtool(args: readonly string[], input = ''): Promise<Finished> {
  return new Promise((resolve) => {
    const child = execFile('promtool', args, { timeout: 30_000 }, (error, stdout, stderr) => {
      resolve({ exitCode: error === null ? 0 : error.code, output: `${stdout}${stderr}` });
    });
    child.stdin?.end(input);
  });
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('no TCP address');
  return address.port;
}

/** The alerts of the documentation, as a rule file. */
function documentedRules(): string {
  const page = readFileSync(new URL('../../../docs/metrics.md', import.meta.url), 'utf8');
  const [, rules] = /^```yaml\n(groups:\n[\s\S]*?)^```$/m.exec(page) ?? [];
  if (rules === undefined) throw new Error('docs/metrics.md has no rules');
  return rules;
}

describe.skipIf(missing.length > 0)(suite, () => {
  const directory = mkdtempSync(join(tmpdir(), 'gateway-metrics-'));
  const rulesFile = join(directory, 'rules.yml');
  let metrics: GatewayMetrics;
  let serving: HttpServing;
  let prometheus: ChildProcess;
  let origin: string;
  let log = '';

  beforeAll(async () => {
    ({ metrics } = await createBusyMetrics());
    serving = await serveHttp(() => Promise.reject(new Error('no tools')), {
      collectMetrics: () => {
        // A failing call between any two scrapes, so that the alert on errors has a rate.
        metrics.toolStarted('get_gpu_inventory')('error');
        return metrics.render();
      },
    });
    writeFileSync(rulesFile, documentedRules());
    const target = new URL(serving.origin).host;
    writeFileSync(
      join(directory, 'prometheus.yml'),
      [
        'global: { scrape_interval: 500ms, scrape_timeout: 500ms, evaluation_interval: 500ms }',
        `rule_files: ['${rulesFile}']`,
        `scrape_configs: [{ job_name: gateway, static_configs: [{ targets: ['${target}'] }] }]`,
      ].join('\n'),
    );
    const port = await freePort();
    origin = `http://127.0.0.1:${port}`;
    prometheus = spawn(
      'prometheus',
      [
        `--config.file=${join(directory, 'prometheus.yml')}`,
        `--storage.tsdb.path=${join(directory, 'data')}`,
        `--web.listen-address=127.0.0.1:${port}`,
        '--log.level=warn',
      ],
      { stdio: ['ignore', 'ignore', 'pipe'] },
    );
    prometheus.stderr?.on('data', (chunk) => {
      log += String(chunk);
    });
    await vi.waitFor(async () => expect((await fetch(`${origin}/-/ready`)).status, log).toBe(200), {
      timeout: 30_000,
      interval: 100,
    });
  });

  afterAll(async () => {
    if (prometheus?.exitCode === null && prometheus.signalCode === null) {
      const exited = once(prometheus, 'exit');
      prometheus.kill('SIGKILL');
      await exited;
    }
    await serving?.close();
    rmSync(directory, { recursive: true, force: true });
  });

  const metricsText = async () => (await fetch(`${serving.origin}/metrics`)).text();
  /** Series and values of an instant query. @throws when promtool refuses the query. */
  async function query(expression: string): Promise<readonly string[]> {
    const { exitCode, output } = await promtool(['query', 'instant', origin, expression]);
    if (exitCode !== 0) throw new Error(output);
    const lines = output.split('\n').filter((line) => line !== '');
    return lines.map((line) =>
      line.replace(/ @\[[^\]]*\]$/, '').replaceAll(/,? ?(instance|job)="[^"]*"/g, ''),
    );
  }
  const eventually = (expression: string, expected: readonly string[]) =>
    vi.waitFor(async () => expect([...(await query(expression))].sort()).toEqual(expected), {
      timeout: 20_000,
      interval: 200,
    });

  it('promtool check metrics has nothing to say', async () => {
    expect(await promtool(['check', 'metrics'], await metricsText())).toEqual({ exitCode: 0, output: '' });
  });

  it.each([
    ['a counter without _total', '# HELP x_requests x\n# TYPE x_requests counter\nx_requests 1\n'],
    ['a family twice', '# HELP mcp_http_sessions x\n# TYPE mcp_http_sessions gauge\nmcp_http_sessions 1\n'],
  ])('and would have on %s', async (_, fault) => {
    const { exitCode } = await promtool(['check', 'metrics'], (await metricsText()) + fault);
    expect(exitCode).not.toBe(0);
  });

  it('scrapes them, and gives the values back', async () => {
    await eventually('up', ['up{} => 1']);
    await eventually('sum by (node) (mcp_node_health)', [
      '{node="critical"} => 1',
      '{node="good"} => 1',
      '{node="silent"} => 0',
      '{node="starting"} => 0',
    ]);
    await eventually('sum by (node) (mcp_circuit_breaker_state{node="silent"})', ['{node="silent"} => 1']);
    await eventually('sum by (node, verdict) (gpu_node_verdict == 1)', [
      '{node="critical", verdict="critical"} => 1',
      '{node="good", verdict="ok"} => 1',
      '{node="silent", verdict="unknown"} => 1',
      '{node="starting", verdict="unknown"} => 1',
    ]);
    await eventually('sum by (node) (gpu_node_verdict_age_seconds)', [
      '{node="critical"} => 600',
      '{node="good"} => 600',
    ]);
    await eventually('sum(mcp_gateway_fanout_duration_seconds_sum{outcome="partial"})', ['{} => 20.1']);
    await eventually('sum by (status) (mcp_gateway_request_duration_seconds_count)', [
      '{status="ok"} => 2',
      '{status="timeout"} => 1',
    ]);
  });

  it('takes the documented alerts, and each of them goes off for what it is for', async () => {
    expect((await promtool(['check', 'rules', rulesFile])).exitCode).toBe(0);
    await eventually('sum by (alertname, node, tool) (ALERTS)', [
      '{alertname="GpuNodeCritical", node="critical"} => 1',
      '{alertname="GpuNodeNotAsked", node="silent"} => 1',
      '{alertname="GpuNodeNotAsked", node="starting"} => 1',
      '{alertname="GpuToolErrors", tool="get_gpu_inventory"} => 1',
    ]);
  });

  it('sees the series of a node end when it leaves', async () => {
    metrics.nodesSeen({ nodes: [], readAt: new Date().toISOString(), staleSince: null, problem: null });
    await eventually('mcp_node_health', []);
    await eventually('ALERTS{alertname="GpuNodeCritical"}', []);
  });
});
