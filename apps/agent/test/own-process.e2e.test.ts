import { describe, expect, it } from 'vitest';
import { freePort, startAgent } from './run-agent.ts';

const initialize = {
  jsonrpc: '2.0',
  id: 1,
  method: 'initialize',
  params: { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'test', version: '0' } },
};

/** What the agent says of itself in its first log line, and the ids of its first sessions, which must not be guessed. */
async function started(): Promise<{ pid: number; logged: number; sessions: (string | null)[] }> {
  const port = await freePort();
  const agent = startAgent(['--backend', 'mock', '--port', String(port)]);
  await agent.logged('http: listening');
  const open = async () => {
    const answer = await fetch(`http://127.0.0.1:${port}/mcp`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream' },
      body: JSON.stringify(initialize),
    });
    await answer.text();
    return answer.headers.get('mcp-session-id');
  };
  const sessions = [await open(), await open()];
  const [first = ''] = agent.stderr().split('\n');
  agent.child.kill('SIGTERM');
  await agent.exited;
  return { pid: agent.child.pid ?? 0, logged: (JSON.parse(first) as { pid: number }).pid, sessions };
}

// A startup snapshot is the memory of another process: nothing of that one may be taken for this one's own.
describe('every process', () => {
  it('has its own process id in the log, and its own randomness', async () => {
    const agents = [await started(), await started()];
    expect(agents.map(({ logged }) => logged)).toEqual(agents.map(({ pid }) => pid));
    const sessions = agents.flatMap((agent) => agent.sessions);
    expect(sessions).not.toContain(null);
    expect(new Set(sessions).size).toBe(4);
  });
});
