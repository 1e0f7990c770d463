// Operator mode over HTTP: which token may do what; and what is refused before anything listens.
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import {
  auditOf,
  cannotKill,
  createFakeNode,
  endVictims,
  type FakeNode,
  heldBy,
  noCompiler,
  startVictim,
  trailOf,
  until,
} from './fake-node.ts';
import { freePort, type RunningAgent, runAgent, startAgent } from './run-agent.ts';

const kill = 'kill_gpu_process';
const operatorTools = [kill, 'reset_gpu'];
const tokens = { reader: 'a-token-to-read', operator: 'a-token-to-operate' } as const;
type Principal = keyof typeof tokens;

let node: FakeNode;
let tokenFiles: { readonly [P in Principal]: string };
beforeAll(() => {
  if (noCompiler) return;
  node = createFakeNode();
  tokenFiles = { reader: node.path('reader.token'), operator: node.path('operator.token') };
  for (const principal of ['reader', 'operator'] as const)
    writeFileSync(tokenFiles[principal], `${tokens[principal]}\n`);
});
afterAll(() => node?.dispose());
afterEach(endVictims);

const requestInit = (principal: Principal) => ({
  headers: { authorization: `Bearer ${tokens[principal]}` },
});

async function connect(origin: string, principal: Principal, mode: 'legacy' | 'auto' = 'auto') {
  const client = new Client(
    { name: principal, version: '0' },
    { capabilities: { elicitation: {} }, versionNegotiation: { mode } },
  );
  client.setRequestHandler('elicitation/create', async () => ({
    action: 'accept',
    content: { confirm: true },
  }));
  await client.connect(
    new StreamableHTTPClientTransport(new URL(`${origin}/mcp`), { requestInit: requestInit(principal) }),
  );
  return client;
}

async function start(args: readonly string[], env: Record<string, string> = {}) {
  const port = await freePort();
  const common = [...node.args, '--kernel-log', 'none', '--port', String(port)];
  const agent = startAgent([...common, ...args], { ...node.env, ...env });
  await agent.logged('http: listening');
  return { agent, origin: `http://127.0.0.1:${port}` };
}

describe.skipIf(cannotKill)(`two tokens${cannotKill ? ` (skipped: ${cannotKill})` : ''}`, () => {
  let agent: RunningAgent;
  let origin: string;
  beforeAll(async () => {
    ({ agent, origin } = await start([
      ...['--mode', 'operator', '--audit-file', node.path('audit')],
      ...['--auth-token-file', tokenFiles.reader, '--operator-token-file', tokenFiles.operator],
    ]));
  });
  afterAll(async () => {
    agent.child.kill('SIGTERM');
    expect(await agent.exited).toMatchObject({ code: 0, stdout: '' });
  });

  it.each(['legacy', 'auto'] as const)('the one for reading does not open the tools (%s)', async (mode) => {
    const client = await connect(origin, 'reader', mode);
    const names = (await client.listTools()).tools.map(({ name }) => name);
    expect(names).toContain('get_gpu_health');
    for (const name of operatorTools) {
      expect(names).not.toContain(name);
      // By name too: what is not registered cannot be called.
      await expect(client.callTool({ name, arguments: { gpu: 0, pid: 4711 } })).rejects.toThrow(name);
    }
    await client.close();
  });

  it.each(['legacy', 'auto'] as const)(
    'the one for operating ends a process, and the audit names it (%s)',
    async (mode) => {
      const victim = await startVictim({ after: node.prepare(heldBy()) });
      node.configure(heldBy(victim.pid));
      const client = await connect(origin, 'operator', mode);
      expect((await client.listTools()).tools.map(({ name }) => name)).toEqual(
        expect.arrayContaining(operatorTools),
      );
      const target = { gpu: 0, pid: victim.pid };
      const planned = await client.callTool({ name: kill, arguments: target });
      const { planId } = planned.structuredContent as { planId: string };
      const done = await client.callTool({ name: kill, arguments: { ...target, planId } });
      expect(done.structuredContent).toMatchObject({ outcome: 'done' });
      expect(await victim.exited).toEqual({ code: 0, signal: null });
      expect(trailOf(node.path('audit'), planId).at(-1)).toBe('verify done');
      for (const line of auditOf(node.path('audit')).filter((each) => each.planId === planId))
        expect(line.caller).toBe('operator');
      await client.close();
    },
  );

  it('a session of the operator does not open to the bearer of the other token', async () => {
    const open = (principal: Principal, session?: string, body?: object) =>
      fetch(`${origin}/mcp`, {
        method: 'POST',
        headers: {
          ...requestInit(principal).headers,
          'content-type': 'application/json',
          accept: 'application/json, text/event-stream',
          ...(session === undefined ? {} : { 'mcp-session-id': session }),
        },
        body: JSON.stringify({ jsonrpc: '2.0', id: 1, ...body }),
      });
    const clientInfo = { name: 'raw', version: '0' };
    const opened = await open('operator', undefined, {
      method: 'initialize',
      params: { protocolVersion: '2025-06-18', capabilities: {}, clientInfo },
    });
    await opened.text();
    const session = opened.headers.get('mcp-session-id') ?? '';
    expect(session).not.toBe('');
    expect((await open('reader', session, { method: 'tools/list' })).status).toBe(404);
    const own = await open('operator', session, { method: 'tools/list' });
    expect(await own.text()).toContain(kill);
  });
});

describe.skipIf(cannotKill)(`SIGTERM over HTTP${cannotKill ? ` (skipped: ${cannotKill})` : ''}`, () => {
  it('waits for a kill in its grace, and answers', async () => {
    const after = node.prepare(heldBy());
    const victim = await startVictim({ isStubborn: true, after });
    node.configure(heldBy(victim.pid));
    const audit = node.path('audit-of-shutdown');
    const { agent, origin } = await start([
      ...['--mode', 'operator', '--audit-file', audit, '--operator-token-file', tokenFiles.operator],
    ]);
    const client = await connect(origin, 'operator');
    const target = { gpu: 0, pid: victim.pid, graceSeconds: 6 };
    const planned = await client.callTool({ name: kill, arguments: target });
    const { planId } = planned.structuredContent as { planId: string };
    const call = client.callTool({ name: kill, arguments: { ...target, planId } });
    await until(() => !existsSync(after.from));
    agent.child.kill('SIGTERM');
    // Longer than the 5 s that calls which only read are given.
    expect((await call).structuredContent).toMatchObject({ act: { result: 'ended-by-sigkill' } });
    expect(await agent.exited).toMatchObject({ code: 0 });
    expect(trailOf(audit, planId).slice(-2)).toEqual(['act done', 'verify done']);
    await client.close();
  });
});

describe.skipIf(noCompiler !== undefined)('what is refused at start', () => {
  const operator = ['--mode', 'operator', '--port', '9'];
  it.each([
    ['nobody known', () => [...operator, '--allow-unauthenticated'], '--allow-unauthenticated'],
    [
      'no token of its own',
      () => [...operator, '--auth-token-file', tokenFiles.reader],
      '--operator-token-file',
    ],
    [
      'the same token in two files',
      () => {
        const copy = node.path('copy.token');
        writeFileSync(copy, tokens.operator);
        return [...operator, '--auth-token-file', copy, '--operator-token-file', tokenFiles.operator];
      },
      'the same token',
    ],
    [
      'an operator token that cannot be read',
      () => [...operator, '--operator-token-file', '/nope'],
      'ENOENT',
    ],
    ['simulated GPUs', () => ['--mode', 'operator', '--backend', 'mock'], '--backend mock'],
    [
      'an audit file that is a folder',
      () => {
        mkdirSync(node.path('folder'), { recursive: true });
        return ['--mode', 'operator', '--audit-file', node.path('folder')];
      },
      '--audit-file',
    ],
    [
      'an audit file in no folder',
      () => ['--mode', 'operator', '--audit-file', '/does/not/exist/audit'],
      '--audit-file',
    ],
    ['an audit file without operator mode', () => ['--audit-file', node.path('audit')], '--mode operator'],
  ] as const)('%s: one line, 64', async (_, args, named) => {
    const { code, stdout, stderr } = await runAgent([...args(), '--log-level', 'silent']);
    expect({ code, stdout }).toEqual({ code: 64, stdout: '' });
    expect(stderr.trim().split('\n')).toHaveLength(1);
    expect(stderr).toContain(named);
  });
});

describe.skipIf(noCompiler !== undefined)('read-only mode', () => {
  it('has neither tool, whatever else is set, and lets nobody in by the operator token', async () => {
    const { agent, origin } = await start(['--auth-token-file', tokenFiles.reader], {
      K8S_GPU_MCP_OPERATOR_TOKEN_FILE: tokenFiles.operator,
      K8S_GPU_MCP_CONFIRM_WITHOUT_ELICITATION: 'true',
      K8S_GPU_MCP_AUDIT_FILE: node.path('audit-of-reader'),
    });
    const client = await connect(origin, 'reader');
    const names = (await client.listTools()).tools.map(({ name }) => name);
    expect(names).toContain('get_gpu_health');
    for (const name of operatorTools) {
      expect(names).not.toContain(name);
      await expect(client.callTool({ name, arguments: { gpu: 0 } })).rejects.toThrow(name);
    }
    await client.close();
    // A token of another mode opens nothing.
    await expect(connect(origin, 'operator')).rejects.toThrow();
    agent.child.kill('SIGTERM');
    expect(await agent.exited).toMatchObject({ code: 0 });
  });
});
