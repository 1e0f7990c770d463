import { describe, expect, test } from 'vitest';
import { agentNode, createMetrics, samplesOf, snapshot } from '../../../test/metrics-fixture.ts';
import { type AgentCall, type AgentClient, AgentFailure, type AgentReply } from '../../ports/agent-client.ts';
import { measured } from './measured-client.ts';

const agent = { name: 'k8s-gpu-mcp-server', version: '0.0.9', isCompatible: false };

/** A client that takes 40 ms and then does as it is told. */
async function setUp(answer: () => AgentReply) {
  const { clock, metrics } = await createMetrics();
  const node = agentNode('a');
  metrics.nodesSeen(snapshot([node, agentNode('b')]));
  const ends: string[] = [];
  const client: AgentClient = {
    async call() {
      clock.advance(40);
      return answer();
    },
    retain: (instances) => void ends.push(`retain ${[...instances].join()}`),
    close: async () => void ends.push('close'),
  };
  const call: AgentCall = {
    node,
    tool: 'get_gpu_health',
    arguments: {},
    deadlineMilliseconds: 1_000,
    signal: new AbortController().signal,
    correlationId: '0123456789abcdef',
  };
  const counted = measured(client, metrics, clock);
  const samples = async () => samplesOf(await metrics.render());
  return { ask: () => counted.call(call), client: counted, ends, samples, metrics, call };
}
const name = 'mcp_gateway_request_duration_seconds';
const labels = (status: string) => `{transport="http",status="${status}"}`;
const info = 'mcp_gateway_agent_info';

describe('each call to an agent is counted and timed', () => {
  test.each<readonly [string, () => AgentReply]>([
    ['ok', () => ({ isError: false, structuredContent: {} })],
    ['tool-error', () => ({ isError: true, text: 'INVALID_INPUT: no' })],
    [
      'garbage',
      () => {
        throw new AgentFailure('garbage', 'not MCP');
      },
    ],
  ])('%s', async (status, answer) => {
    const { ask, samples } = await setUp(answer);
    expect([...(await samples()).keys()].some((key) => key.startsWith(`${name}_count`))).toBe(false);
    await ask().catch((error: unknown) => expect(error).toMatchObject({ kind: status }));
    const after = await samples();
    expect(after.get(`${name}_count${labels(status)}`)).toBe(1);
    expect(after.get(`${name}_sum${labels(status)}`)).toBeCloseTo(0.04, 9);
    expect([...after.keys()].filter((key) => key.startsWith(`${name}_count`))).toHaveLength(1);
  });

  test('what is no failure of an agent is a defect: thrown on, and not counted as a call', async () => {
    const { ask, samples } = await setUp(() => {
      throw new TypeError('a defect');
    });
    await expect(ask()).rejects.toThrow('a defect');
    expect([...(await samples()).keys()].some((key) => key.startsWith(`${name}_count`))).toBe(false);
  });

  test('the rest of the client is passed through', async () => {
    const { client, ends } = await setUp(() => ({ isError: true, text: '' }));
    client.retain(new Set(['x', 'y']));
    await client.close();
    expect(ends).toEqual(['retain x,y', 'close']);
  });
});

describe('the version of an agent', () => {
  test.each<readonly [string, () => AgentReply]>([
    ['an answer', () => ({ isError: false, structuredContent: {}, agent })],
    ['an error of a tool', () => ({ isError: true, text: '', agent })],
    [
      'a failure',
      () => {
        throw new AgentFailure('incompatible', 'another version', { agent });
      },
    ],
  ])('comes with %s', async (_, answer) => {
    const { ask, samples } = await setUp(answer);
    await ask().catch(() => {});
    const told = [...(await samples())].filter(([key]) => key.startsWith(info));
    // And of a node that was not asked nothing is told.
    expect(told).toEqual([[`${info}{node="a",version="0.0.9"}`, 1]]);
  });

  test('is one at a time, unknown when it is not told, and gone with the instance', async () => {
    const { metrics, call, samples } = await setUp(() => ({ isError: true, text: '' }));
    const told = async () => [...(await samples()).keys()].filter((key) => key.startsWith(info));
    metrics.agentSeen(call.node, '0.0.9');
    metrics.agentSeen(call.node, null);
    expect(await told()).toEqual([`${info}{node="a",version="unknown"}`]);
    metrics.nodesSeen(snapshot([agentNode('a', { instance: 'a-2' })]));
    expect(await told()).toEqual([]);
    // The late answer of the agent before.
    metrics.agentSeen(call.node, '0.0.9');
    expect(await told()).toEqual([]);
    metrics.agentSeen(agentNode('nobody'), '0.0.9');
    expect(await told()).toEqual([]);
  });
});
