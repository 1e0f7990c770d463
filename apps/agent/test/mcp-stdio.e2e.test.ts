import { Client } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { Client as LegacyClient } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport as LegacyStdioTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { afterEach, describe, expect, it } from 'vitest';
import {
  agentCommand,
  cleanEnvironment,
  initialize,
  type RunningAgent,
  startAgent,
  toolCall,
} from './run-agent.ts';

const mock = ['--backend', 'mock', '--scenario', 'fallen-off-bus', '--node-name', 'node-a'];
const command = {
  ...agentCommand(mock),
  env: cleanEnvironment(),
  stderr: 'ignore' as const,
};
const tools = [
  'get_gpu_health',
  'explain_failure',
  'get_gpu_inventory',
  'get_gpu_telemetry',
  'analyze_xid_errors',
  'get_gpu_topology',
  'get_gpu_processes',
  'compare_gpus',
  'get_gpu_timeline',
  'get_incident_report',
];

let agent: RunningAgent | undefined;
afterEach(() => {
  agent?.child.kill('SIGKILL');
  agent = undefined;
});

function startMock(...args: string[]): RunningAgent {
  agent = startAgent(args.length > 0 ? args : mock);
  agent.child.stdin.write(initialize(1));
  return agent;
}

interface CallResult {
  readonly isError?: boolean;
  readonly structuredContent?: Record<string, unknown>;
  readonly content: readonly { readonly text?: string }[];
}
const resultOf = (answer: Record<string, unknown>) => answer['result'] as CallResult;

describe('official clients over stdio', () => {
  it.each(['legacy', 'auto'] as const)('the current SDK (%s)', async (mode) => {
    const client = new Client({ name: 'v2', version: '0' }, { versionNegotiation: { mode } });
    await client.connect(new StdioClientTransport(command));
    try {
      expect((await client.listTools()).tools.map(({ name }) => name)).toEqual(tools);
      expect(client.getInstructions()).toContain('get_gpu_health');
      const result = await client.callTool({ name: 'get_gpu_health', arguments: {} });
      expect(result.structuredContent).toMatchObject({ node: 'node-a', verdict: 'critical' });
      const inventory = await client.readResource({ uri: 'gpu://node-a/inventory' });
      expect(JSON.stringify(inventory.contents)).toContain('gpuCount');
      const xid = await client.readResource({ uri: 'gpu://catalog/xid/79' });
      expect(JSON.stringify(xid.contents)).toContain('79');
      await expect(client.readResource({ uri: 'gpu://catalog/xid/99999' })).rejects.toThrow(/catalogue/);
      const prompt = await client.getPrompt({ name: 'gpu-triage', arguments: { gpu: '3' } });
      expect(JSON.stringify(prompt.messages)).toContain('get_gpu_health');
    } finally {
      await client.close();
    }
  });

  it('the previous SDK line', async () => {
    const client = new LegacyClient({ name: 'v1', version: '0' });
    await client.connect(new LegacyStdioTransport(command));
    try {
      expect((await client.listTools()).tools.map(({ name }) => name)).toEqual(tools);
      const result = await client.callTool({ name: 'analyze_xid_errors', arguments: {} });
      expect(result.structuredContent).toMatchObject({ node: 'node-a', verdict: 'critical' });
    } finally {
      await client.close();
    }
  });
});

describe('input that is wrong', () => {
  it('a truncated message is answered, and the next call works', async () => {
    const { child, answerTo } = startMock();
    await answerTo(1);
    child.stdin.write(`${toolCall(2, 'get_gpu_inventory').slice(0, 40)}\n`);
    child.stdin.write(toolCall(3, 'get_gpu_inventory'));
    expect(resultOf(await answerTo(3)).structuredContent).toMatchObject({ gpuCount: 8 });
    child.stdin.end();
    const { code, stdout } = await (agent as RunningAgent).exited;
    expect(code).toBe(0);
    expect(stdout).toContain('-32700');
  });

  it.each([
    ['an unknown argument', { gpuu: 1 }, 'gpuu'],
    ['a wrong type', { gpu: { index: 1 } }, 'gpu ='],
    ['an index out of range', { gpu: 64 }, '64'],
    ['a malformed UUID', { gpu: 'GPU-zzzz' }, 'GPU-zzzz'],
    ['a duration that is none', { since: 'yesterday' }, 'since'],
  ])('%s is an error result that names it, and the next call works', async (_, args, named) => {
    const { child, answerTo } = startMock();
    child.stdin.write(toolCall(2, 'get_gpu_health', args));
    child.stdin.write(toolCall(3, 'get_gpu_health'));
    const wrong = resultOf(await answerTo(2));
    expect(wrong.isError).toBe(true);
    expect(wrong.content[0]?.text).toContain(named);
    expect(resultOf(await answerTo(3)).structuredContent).toMatchObject({ verdict: 'critical' });
  });

  it('an unknown tool is a protocol error', async () => {
    const { child, answerTo } = startMock();
    child.stdin.write(toolCall(2, 'get_gpu_weather'));
    const answer = await answerTo(2);
    expect(JSON.stringify(answer)).toContain('get_gpu_weather');
    expect(answer['error']).toMatchObject({ code: -32602 });
  });
});

describe('lifetime', () => {
  it('answers initialize before anything native is touched, even with a library that does not exist', async () => {
    const { answerTo, child } = startMock('--nvml-library', '/does/not/exist.so', '--kernel-log', 'none');
    expect(await answerTo(1)).toMatchObject({ result: { serverInfo: { name: 'k8s-gpu-mcp-server' } } });
    child.stdin.write(toolCall(2, 'get_gpu_health'));
    const answer = resultOf(await answerTo(2)).structuredContent;
    expect(answer).toMatchObject({ verdict: 'unknown', coverage: { gpuBackend: { readable: false } } });
    expect(JSON.stringify(answer)).toContain('LIBRARY_NOT_FOUND');
  });

  it('ends with its input', async () => {
    const { child, answerTo, exited } = startMock();
    await answerTo(1);
    child.stdin.end();
    expect(await exited).toMatchObject({ code: 0 });
  });

  it('ends after --oneshot requests', async () => {
    const { child, exited } = startMock(...mock, '--oneshot', '2');
    child.stdin.write(toolCall(2, 'get_gpu_inventory'));
    const { code, stdout } = await exited;
    expect(code).toBe(0);
    expect(stdout.trim().split('\n')).toHaveLength(2);
  });

  it.each(['SIGTERM', 'SIGINT'] as const)(
    '%s while a call hangs in the driver ends it cleanly, and soon',
    async (signal) => {
      const { child, answerTo, exited } = startMock('--backend', 'mock', '--scenario', 'hung-driver');
      await answerTo(1);
      child.stdin.write(toolCall(2, 'get_gpu_health'));
      // Answered in order of arrival: once the ping is, the call before it has begun.
      child.stdin.write(`${JSON.stringify({ jsonrpc: '2.0', id: 3, method: 'ping' })}\n`);
      await answerTo(3);
      const startedAt = performance.now();
      child.kill(signal);
      const { code, stdout } = await exited;
      expect(code).toBe(0);
      expect(performance.now() - startedAt).toBeLessThan(8_000);
      expect(stdout).not.toContain('"id":2');
    },
  );

  it('writes nothing but protocol on stdout, and one JSON object per line on stderr', async () => {
    const { child, answerTo, exited } = startMock(...mock, '--log-level', 'debug');
    await answerTo(1);
    child.stdin.write(toolCall(2, 'get_gpu_inventory'));
    await answerTo(2);
    child.stdin.end();
    const { stdout, stderr } = await exited;
    for (const line of stdout.trim().split('\n')) expect(JSON.parse(line)).toHaveProperty('jsonrpc', '2.0');
    const levels = stderr
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line).level);
    expect(levels).toContain('info');
  });
});
