import { once } from 'node:events';
import { createServer as createHttpServer, request as httpRequest } from 'node:http';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openedByFile } from './opened-by-file.ts';
import { freePort, type RunningProgram } from './run-program.ts';

/** What a tool answered, as far as these tests look. */
interface ClusterAnswer {
  readonly verdict: string;
  readonly nodeCount: number;
  readonly statusCounts: Readonly<Record<string, number>>;
  readonly gpuCount?: number;
  readonly agentVersions?: unknown;
  readonly nodes: readonly {
    readonly node: string;
    readonly status: string;
    readonly verdict?: string;
    readonly gpuCount?: number;
    readonly reason?: string;
  }[];
}

const deadlineSeconds = 10;
const { closing, start } = openedByFile();

const agentOf = (scenario: string, node: string) =>
  start('agent', ['--backend', 'mock', '--scenario', scenario, '--node-name', node]);

async function urlOf(server: Server): Promise<string> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  closing.push(() => server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function connect(origin: string, mode: 'auto' | 'legacy' = 'auto'): Promise<Client> {
  const client = new Client({ name: 'test', version: '0' }, { versionNegotiation: { mode } });
  await client.connect(new StreamableHTTPClientTransport(new URL(`${origin}/mcp`)));
  closing.push(() => client.close());
  return client;
}

function startGateway(agents: Readonly<Record<string, string>>): Promise<RunningProgram> {
  const list = Object.entries(agents).map(([name, url]) => `${name}=${url}`);
  return start('gateway', ['--agents', list.join(','), '--deadline', `${deadlineSeconds}s`]);
}

async function ask(
  client: Client,
  name: string,
  given: Record<string, unknown> = {},
): Promise<ClusterAnswer> {
  const result = await client.callTool({ name, arguments: given });
  expect(result.isError ?? false, JSON.stringify(result.content)).toBe(false);
  return result.structuredContent as unknown as ClusterAnswer;
}

const statusOf = (answer: ClusterAnswer) =>
  Object.fromEntries(answer.nodes.map(({ node, status }) => [node, status]));

const gpusOfNode = 8;

/** Whether each of these nodes answered with all that it has. @throws AssertionError */
function expectComplete(answer: ClusterAnswer, verdicts: Readonly<Record<string, string>>): void {
  for (const [node, verdict] of Object.entries(verdicts)) {
    const row = answer.nodes.find((each) => each.node === node);
    expect(row).toMatchObject({ node, status: 'ok', verdict, gpuCount: gpusOfNode });
  }
  expect(answer.gpuCount).toBe(Object.keys(verdicts).length * gpusOfNode);
}

/** Stands before an agent and changes the text of its answers. */
async function doorBefore(agent: RunningProgram, change: (text: string) => string): Promise<string> {
  const { port } = new URL(agent.origin);
  const server = createHttpServer((incoming, response) => {
    const { method, url, headers } = incoming;
    const given = { ...headers, host: `127.0.0.1:${port}` };
    const onward = httpRequest({ host: '127.0.0.1', port, path: url, method, headers: given }, (answer) => {
      let text = '';
      answer.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      answer.on('end', () => {
        const { 'content-length': _length, 'transfer-encoding': _encoding, ...rest } = answer.headers;
        response.writeHead(answer.statusCode ?? 502, rest).end(change(text));
      });
    });
    onward.on('error', () => response.destroy());
    incoming.pipe(onward);
  });
  return urlOf(server);
}

describe('a gateway over agents of which some are well', () => {
  let client: Client;
  let gateway: RunningProgram;
  const sockets: { destroy(): void }[] = [];
  beforeAll(async () => {
    const [well, lost] = await Promise.all([
      agentOf('healthy-8xh100', 'node-well'),
      agentOf('fallen-off-bus', 'node-lost'),
    ]);
    const silent = await urlOf(createServer((socket) => void sockets.push(socket.on('error', () => {}))));
    const garbage = await urlOf(createHttpServer((_request, response) => response.end('<html>login</html>')));
    gateway = await startGateway({
      'node-well': well.origin,
      'node-lost': lost.origin,
      'node-silent': silent,
      'node-garbage': garbage,
      'node-gone': `http://127.0.0.1:${await freePort()}`,
    });
    client = await connect(gateway.origin);
  });
  afterAll(() => {
    for (const socket of sockets) socket.destroy();
  });

  it('names what is wrong with each node that did not answer, and has the others whole', async () => {
    const answer = await ask(client, 'get_gpu_health');
    expect(answer.nodeCount).toBe(5);
    expect(statusOf(answer)).toEqual({
      'node-well': 'ok',
      'node-lost': 'ok',
      'node-silent': 'timeout',
      'node-garbage': 'error',
      'node-gone': 'error',
    });
    expect(answer.nodes[0]).toMatchObject({ node: 'node-lost', verdict: 'critical' });
    expect(answer.verdict).toBe('critical');
    expectComplete(answer, { 'node-well': 'ok', 'node-lost': 'critical' });
    expect(answer).not.toHaveProperty('agentVersions');
  });

  it('never takes a node that did not answer for a healthy one', async () => {
    const answer = await ask(client, 'get_gpu_health', { node: ['node-well', 'node-garbage'] });
    expect(answer).toMatchObject({ verdict: 'unknown', nodeCount: 2 });
  });

  it('gives one node in full, as its agent answers', async () => {
    const answer = await ask(client, 'get_gpu_health', { node: 'node-lost' });
    expect(answer).toMatchObject({ node: 'node-lost', verdict: 'critical' });
    expect(answer).not.toHaveProperty('nodeCount');
  });

  it.each(['get_gpu_inventory', 'analyze_xid_errors', 'get_gpu_processes', 'compare_gpus'])(
    '%s is answered for all',
    async (tool) => {
      const answer = await ask(client, tool);
      expect(answer.statusCounts).toMatchObject({ ok: 2 });
    },
  );

  it.each([
    'get_gpu_topology',
    'get_gpu_telemetry',
    'explain_failure',
    'get_gpu_timeline',
    'get_incident_report',
  ])('%s is answered for one node', async (tool) => {
    expect(await ask(client, tool, { node: 'node-well' })).toMatchObject({ node: 'node-well' });
    const refused = await client.callTool({ name: tool, arguments: {} });
    expect(refused.isError).toBe(true);
  });

  it('says which nodes there are when one is not', async () => {
    const result = await client.callTool({ name: 'get_gpu_health', arguments: { node: 'node-wel' } });
    expect(result.isError).toBe(true);
    expect(JSON.stringify(result.content)).toContain('node-well');
  });

  it('serves clients of the older revisions alike', async () => {
    const legacy = await connect(gateway.origin, 'legacy');
    expect(await ask(legacy, 'get_gpu_health', { node: 'node-well' })).toMatchObject({ verdict: 'ok' });
  });

  it('tells Prometheus how the nodes are', async () => {
    const metrics = await (await fetch(`${gateway.origin}/metrics`)).text();
    expect(metrics).toMatch(/^gpu_node_verdict\{.*node="node-lost".*verdict="critical".*\} 1$/m);
    expect(metrics).toMatch(/^mcp_node_health\{node="node-well"\} 1$/m);
    expect(metrics).toMatch(/^mcp_node_health\{node="node-gone"\} 0$/m);
  });

  it('ends when it is told to', async () => {
    expect(await gateway.stop()).toBe(0);
  });
});

describe('a gateway over an agent whose answers are changed on the way', () => {
  const change = { text: (text: string) => text };
  let client: Client;
  beforeAll(async () => {
    const agent = await agentOf('healthy-8xh100', 'node-a');
    const door = await doorBefore(agent, (text) => change.text(text));
    client = await connect((await startGateway({ 'node-a': door })).origin);
  });
  const replacing = (from: string, to: string) => {
    change.text = (text) => text.replaceAll(from, to);
  };

  it('planted fault: what changes an answer turns the check of completeness red', async () => {
    expectComplete(await ask(client, 'get_gpu_health'), { 'node-a': 'ok' });
    for (const [from, to] of [
      ['"gpus":[', '"gpus":["nothing",'],
      ['"verdict":"ok"', '"verdict":"warning"'],
      ['"structuredContent":', '"structured":'],
    ] as const) {
      replacing(from, to);
      const answer = await ask(client, 'get_gpu_health');
      expect(() => expectComplete(answer, { 'node-a': 'ok' }), from).toThrow();
    }
    replacing('', '');
    expectComplete(await ask(client, 'get_gpu_health'), { 'node-a': 'ok' });
  });

  it('an answer of another form is named, and nothing of it is used', async () => {
    replacing('"apiVersion":"v1"', '"apiVersion":"v2"');
    const answer = await ask(client, 'get_gpu_health');
    expect(answer).toMatchObject({
      verdict: 'unknown',
      nodes: [
        {
          status: 'error',
          reason: 'its answer is of version v2, this gateway reads v1: upgrade the gateway',
        },
      ],
    });
    const one = await client.callTool({ name: 'get_gpu_topology', arguments: { node: 'node-a' } });
    expect(one.isError).toBe(true);
    expect(JSON.stringify(one.content)).toContain('its answer is of version v2');
  });
});

describe('a gateway over agents of several versions', () => {
  it('asks all of them, and names what they are', async () => {
    const agent = await agentOf('healthy-8xh100', 'node-old');
    const asVersion = (version: string) => (text: string) =>
      text.replace(/("name":"k8s-gpu-mcp-server"[^}]*"version":)"[^"]*"/g, `$1"${version}"`);
    const older = (text: string) => asVersion('0.0.9')(text).replaceAll('get_gpu_topology', 'get_gpu_links');
    const gateway = await startGateway({
      'node-old': await doorBefore(agent, older),
      'node-own': agent.origin,
      'node-new': await doorBefore(agent, asVersion('7.0.0')),
    });
    const client = await connect(gateway.origin);
    const answer = await ask(client, 'get_gpu_health');
    expectComplete(answer, { 'node-old': 'ok', 'node-own': 'ok', 'node-new': 'ok' });
    expect(answer.agentVersions).toEqual([
      { version: '0.0.9', compatible: false, nodeCount: 1, nodes: ['node-old'] },
      { version: expect.any(String), compatible: true, nodeCount: 1, nodes: ['node-own'] },
      { version: '7.0.0', compatible: false, nodeCount: 1, nodes: ['node-new'] },
    ]);
    const missing = await client.callTool({ name: 'get_gpu_topology', arguments: { node: 'node-old' } });
    expect(JSON.stringify(missing.content)).toContain('agent 0.0.9 does not have get_gpu_topology');
    const metrics = await (await fetch(`${gateway.origin}/metrics`)).text();
    expect(metrics).toMatch(/^mcp_gateway_agent_info\{node="node-old",version="0\.0\.9"\} 1$/m);
  });
});

describe('a gateway none of whose agents answers', () => {
  it('says so of each, and is unknown', async () => {
    const [one, two] = [await freePort(), await freePort()];
    const gateway = await startGateway({ one: `http://127.0.0.1:${one}`, two: `http://127.0.0.1:${two}` });
    const answer = await ask(await connect(gateway.origin), 'get_gpu_health');
    expect(answer).toMatchObject({ verdict: 'unknown', statusCounts: { ok: 0 } });
    expect(statusOf(answer)).toEqual({ one: 'error', two: 'error' });
  });
});
