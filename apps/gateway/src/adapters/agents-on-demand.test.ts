import { expect, test, vi } from 'vitest';
import type { AgentCall } from '../ports/agent-client.ts';
import { type Agents, agentsOnDemand } from './agents-on-demand.ts';

const call = { tool: 'get_gpu_health' } as AgentCall;

function rig() {
  const opened = {
    client: {
      call: vi.fn(async () => ({ isError: false, structuredContent: {} }) as const),
      retain: vi.fn(),
      close: vi.fn(async () => {}),
    },
    events: { listen: vi.fn(), read: vi.fn(async () => ({ lost: 7 })) },
  };
  const open = vi.fn(async () => opened as unknown as Agents);
  return { ...opened, open, agents: agentsOnDemand(open) };
}

test('nothing is opened before it is needed, and then once', async () => {
  const { agents, open, client } = rig();
  agents.client.retain(new Set(['a']));
  expect(open).not.toHaveBeenCalled();
  await Promise.all([agents.client.call(call), agents.client.call(call), agents.load()]);
  expect(open).toHaveBeenCalledTimes(1);
  expect(client.call.mock.calls).toEqual([[call], [call]]);
});

test('questions and live events share it', async () => {
  const { agents, open } = rig();
  await agents.load();
  expect(await agents.events.read({} as never, new AbortController().signal)).toEqual({ lost: 7 });
  expect(open).toHaveBeenCalledTimes(1);
});

test('what was forgotten before it was opened is forgotten', async () => {
  const { agents, client } = rig();
  const [first, second] = [new Set(['a']), new Set(['b'])];
  agents.client.retain(first);
  await agents.load();
  agents.client.retain(second);
  await Promise.resolve();
  expect(client.retain.mock.calls).toEqual([[first], [second]]);
});

test('closed before it was opened, it is never opened', async () => {
  const { agents, open } = rig();
  await agents.client.close();
  await agents.load();
  await expect(agents.client.call(call)).rejects.toMatchObject({ name: 'AgentFailure', kind: 'cancelled' });
  expect(open).not.toHaveBeenCalled();
});

test('closing it closes what was opened', async () => {
  const { agents, client } = rig();
  await agents.load();
  await agents.client.close();
  expect(client.close).toHaveBeenCalledTimes(1);
});
