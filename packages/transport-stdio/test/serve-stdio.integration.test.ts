import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { Client } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { Client as LegacyClient } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport as LegacyStdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { describe, expect, it } from 'vitest';

const server = fileURLToPath(new URL('fixtures/echo-server.mjs', import.meta.url));
const env = Object.fromEntries(
  Object.entries(process.env).filter(
    (entry): entry is [string, string] => entry[0] !== 'NODE_EXTRA_CA_CERTS' && entry[1] !== undefined,
  ),
);
const command = { command: process.execPath, args: [server], env, stderr: 'ignore' as const };
const INITIALIZE = JSON.stringify({
  jsonrpc: '2.0',
  id: 1,
  method: 'initialize',
  params: { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'test', version: '0' } },
});
const call = (id: number, name: string, args = {}) =>
  JSON.stringify({ jsonrpc: '2.0', id, method: 'tools/call', params: { name, arguments: args } });

interface Run {
  readonly child: ChildProcessWithoutNullStreams;
  readonly exited: Promise<{ code: number | null; stdout: string; stderr: string }>;
  answered(count: number): Promise<void>;
}

function run(options: Record<string, unknown> = {}): Run {
  const child = spawn(process.execPath, [server, JSON.stringify(options)], { env });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk) => {
    stdout += chunk;
  });
  child.stderr.on('data', (chunk) => {
    stderr += chunk;
  });
  child.stdin.on('error', () => {});
  return {
    child,
    exited: once(child, 'close').then(([code]) => ({ code, stdout, stderr })),
    answered: async (count) => {
      while (stdout.split('\n').length <= count) await once(child.stdout, 'data');
    },
  };
}

describe('official clients', () => {
  it('the current SDK, both eras negotiated', async () => {
    for (const mode of ['legacy', 'auto'] as const) {
      const client = new Client({ name: 'v2', version: '0' }, { versionNegotiation: { mode } });
      await client.connect(new StdioClientTransport(command));
      const result = await client.callTool({ name: 'echo', arguments: { text: mode } });
      expect(result.content).toEqual([{ type: 'text', text: mode }]);
      await client.close();
    }
  });

  it('the v1 SDK', async () => {
    const client = new LegacyClient({ name: 'v1', version: '0' });
    await client.connect(new LegacyStdioClientTransport(command));
    const result = await client.callTool({ name: 'echo', arguments: { text: 'v1' } });
    expect(result.content).toEqual([{ type: 'text', text: 'v1' }]);
    await client.close();
  });
});

describe('the process', () => {
  it('answers a piped script completely, with protocol only on stdout', async () => {
    const { child, exited } = run();
    child.stdin.end(`${INITIALIZE}\n\n{"trunc\n${call(2, 'echo', { text: 'hi' })}`);
    const { code, stdout, stderr } = await exited;
    const messages = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(new Set(messages.map(({ id }) => id))).toEqual(new Set([1, null, 2]));
    expect(messages).toHaveLength(3);
    expect(stderr).toContain('a library that prints');
    expect(stderr).toContain('closed: stdin-end, abandoned: 0');
    expect(code).toBe(0);
  });

  it.each(['SIGTERM', 'SIGINT'] as const)('%s ends it while a call hangs', async (signal) => {
    const { child, exited, answered } = run({ drainMilliseconds: 100 });
    child.stdin.write(`${INITIALIZE}\n${call(2, 'hang')}\n${call(3, 'echo', { text: 'x' })}\n`);
    await answered(2);
    child.kill(signal);
    const { code, stderr } = await exited;
    expect(stderr).toContain(`closed: ${signal}, abandoned: 1`);
    expect(code).toBe(0);
  });

  it('ends when nobody reads stdout any more', async () => {
    const { child, exited, answered } = run();
    child.stdin.write(`${INITIALIZE}\n`);
    await answered(1);
    child.stdout.destroy();
    child.stdin.write(`${call(2, 'echo', { text: 'x'.repeat(100_000) })}\n`);
    const { code, stderr } = await exited;
    expect(stderr).toContain('closed: stdout-error');
    expect(code).toBe(0);
  });

  it('refuses a 5 MB line without holding it, and answers the next message', async () => {
    const { child, exited } = run({ maxRequests: 1 });
    child.stdin.write(Buffer.alloc(5_000_000, 0x78));
    child.stdin.write(`\n${INITIALIZE}\n`);
    const { stdout } = await exited;
    const messages = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(messages).toMatchObject([
      { id: null, error: { code: -32600 } },
      { id: 1, result: { serverInfo: { name: 'echo' } } },
    ]);
  });
});
