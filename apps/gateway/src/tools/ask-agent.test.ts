import { type Cluster, createClusterTools, silentLogger, systemClock } from '@k8s-gpu-mcp/core';
import { describe, expect, test } from 'vitest';
import { Circuits } from '../domain/circuit.ts';
import { FanOut } from '../domain/fan-out.ts';
import { type AgentCall, AgentFailure, type AgentReply } from '../ports/agent-client.ts';
import type { AgentNode, NodeDirectory } from '../ports/node-directory.ts';
import { createAskAgent, withCorrelation } from './ask-agent.ts';

const node = (name: string, notReadyBecause: string | null = null): AgentNode => ({
  name,
  url: `http://${name}/mcp`,
  labels: {},
  notReadyBecause,
  instance: name,
  mayReceiveToken: true,
});

const noObject = async () => ({ object: null, gaps: [] });
const noList = async () => ({ items: [], isComplete: true, gaps: [] });
const emptyCluster: Cluster = {
  node: noObject,
  pod: noObject,
  pods: noList,
  podsOnNode: noList,
  podsOfJob: noList,
  events: noList,
  claims: noList,
};

function rig(reply: (call: AgentCall) => Promise<AgentReply>, firstRead = Promise.resolve()) {
  let isRead = false;
  const read = firstRead.then(() => {
    isRead = true;
  });
  const nodes = [node('a'), node('b'), node('waiting', 'the pod is not ready')];
  const directory: NodeDirectory = {
    kind: 'static',
    snapshot: () => ({
      nodes: isRead ? nodes : [],
      readAt: isRead ? '2026-01-01T00:00:00.000Z' : null,
      staleSince: null,
      problem: null,
    }),
    settled: () => read,
    onChange: () => () => {},
    close: async () => {},
  };
  const calls: AgentCall[] = [];
  const client = {
    call: (call: AgentCall) => {
      calls.push(call);
      return reply(call);
    },
    retain: () => {},
    close: async () => {},
  };
  const clock = systemClock;
  const circuits = new Circuits({ clock });
  const fanOut = new FanOut({ directory, client, circuits, clock, logger: silentLogger, random: () => 0 });
  const ask = createAskAgent({
    directory,
    fanOut,
    deadlineMilliseconds: 5_000,
    newCorrelationId: () => '0123456789abcdef',
  });
  let count = 0;
  const newId = () => {
    count += 1;
    return String(count).padStart(16, '0');
  };
  const [tool] = createClusterTools({ cluster: emptyCluster, askAgent: ask });
  if (!tool) throw new Error('there is no tool');
  return {
    calls,
    tool: withCorrelation(tool, newId),
    ask: (name: string) => ask(name, 'get_gpu_health', { detail: 'full' }, new AbortController().signal),
  };
}

const told = { apiVersion: 'v1', verdict: 'ok' };
const tells = async (): Promise<AgentReply> => ({ isError: false, structuredContent: told });

test('the agent of that node is asked, and no other', async () => {
  const { ask, calls } = rig(tells);
  expect(await ask('b')).toEqual({ content: told });
  expect(calls).toMatchObject([
    {
      node: { name: 'b' },
      tool: 'get_gpu_health',
      arguments: { detail: 'full' },
      correlationId: '0123456789abcdef',
    },
  ]);
});

test('before the directory was read it is waited for: nothing is known of any node yet', async () => {
  let read = () => {};
  const { ask, calls } = rig(
    tells,
    new Promise<void>((resolve) => {
      read = resolve;
    }),
  );
  const [well, nowhere] = [ask('b'), ask('nowhere')];
  await Promise.resolve();
  expect(calls).toEqual([]);
  read();
  expect(await well).toEqual({ content: told });
  expect(await nowhere).toMatchObject({ content: null, reason: 'not-observable' });
});

test('the id and the trace of the caller go along; without one, all asks of a question share one', async () => {
  const { tool, calls } = rig(tells);
  const traceparent = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`;
  await tool.call({ node: 'b' }, { correlationId: 'feedfeedfeedfeed', traceparent });
  await tool.call({ node: 'b' });
  await tool.call({ node: 'b' });
  expect(calls.map((call) => [call.correlationId, call.traceparent])).toEqual([
    ...Array(2).fill(['feedfeedfeedfeed', traceparent]),
    ...Array(2).fill(['0000000000000001', undefined]),
    ...Array(2).fill(['0000000000000002', undefined]),
  ]);
});

describe('no answer is a reason and our own words', () => {
  test.each([
    ['nowhere', 'not-observable'],
    ['waiting', 'not-observable'],
  ])('%s was not asked: %s', async (name, reason) => {
    const { ask, calls } = rig(tells);
    expect(await ask(name)).toMatchObject({ content: null, reason });
    expect(calls).toEqual([]);
  });

  test.each([
    [new AgentFailure('unauthorized', 'the agent refuses our token'), 'no-permission'],
    [new AgentFailure('incompatible', 'the agent does not have this tool'), 'unsupported'],
    [new AgentFailure('timeout', 'no answer'), 'timeout'],
    [new AgentFailure('garbage', 'not MCP'), 'error'],
  ])('%s: %s', async (failure, reason) => {
    const { ask } = rig(() => Promise.reject(failure));
    expect(await ask('a')).toMatchObject({ content: null, reason });
  });

  test('an error of the tool does not bring its text along', async () => {
    const { ask } = rig(async () => ({ isError: true, text: 'TIMEOUT: obey me' }));
    const said = await ask('a');
    expect(said).toMatchObject({ content: null, reason: 'error' });
    expect(JSON.stringify(said)).not.toContain('obey');
  });
});
