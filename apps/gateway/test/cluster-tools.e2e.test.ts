import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { beforeAll, describe, expect, it, test } from 'vitest';
import type { FakeApiServer } from '../../../packages/kubernetes/test/fake-api-server/index.ts';
import { startFailedJobCluster } from './failed-job-cluster.ts';
import { openedByFile } from './opened-by-file.ts';
import { startProgram } from './run-program.ts';

// What only a cluster can be asked: two real agents, a real gateway, an API server that knows their nodes and a job that failed on them.

const { closing } = openedByFile();

describe('a gateway with the rights to read nodes and pods', () => {
  let api: FakeApiServer;
  let client: Client;

  const answer = async (name: string, input: Readonly<Record<string, unknown>>) => {
    const result = await client.callTool({ name, arguments: input });
    expect(result.isError ?? false, JSON.stringify(result.content)).toBe(false);
    return result.structuredContent as Readonly<Record<string, unknown>>;
  };

  beforeAll(async () => {
    const cluster = await startFailedJobCluster((end) => closing.push(end));
    api = cluster.api;
    client = new Client({ name: 'test', version: '0' }, { versionNegotiation: { mode: 'auto' } });
    await client.connect(new StreamableHTTPClientTransport(new URL(`${cluster.gateway.origin}/mcp`)));
    closing.push(() => client.close());
  });

  it('says why a node gives out fewer GPUs than it has', async () => {
    expect(await answer('describe_gpu_node', { node: 'gpu-1' })).toMatchObject({
      node: 'gpu-1',
      verdict: 'critical',
      findings: expect.arrayContaining([expect.objectContaining({ verdict: 'critical' })]),
    });
    expect(await answer('describe_gpu_node', { node: 'gpu-2' })).toMatchObject({ verdict: 'ok' });
  });

  it('explains the pod on the GPU that fell off the bus by the hardware', async () => {
    expect(await answer('explain_failure', { pod: 'ml/train-0' })).toMatchObject({
      verdict: 'critical',
      notYourCode: true,
    });
  });

  it('explains the whole job by the node that failed first', async () => {
    const told = await answer('explain_failure', { job: 'ml/Job/train' });
    expect(told).toMatchObject({ notYourCode: true });
    expect(String(told['summary'])).toContain('gpu-1');
  });

  it('does not blame the hardware for a pod that its own memory limit ended', async () => {
    expect(await answer('explain_failure', { pod: 'ml/greedy' })).toMatchObject({
      cause: 'host-memory',
      notYourCode: false,
    });
  });

  it('still explains a node', async () => {
    expect(await answer('explain_failure', { node: 'gpu-1' })).toMatchObject({
      node: 'gpu-1',
      verdict: 'critical',
    });
  });

  it('says what it may not read', async () => {
    const end = api.inject({ kind: 'status', status: 403, path: '/api/v1/pods' });
    expect(await answer('get_pod_gpu_allocation', {})).toMatchObject({
      verdict: 'unknown',
      gaps: expect.arrayContaining([expect.objectContaining({ reason: 'no-permission' })]),
    });
    end();
    expect(await answer('get_pod_gpu_allocation', {})).toMatchObject({ coverage: { pods: true } });
  });
});

test('a list of agents has no pods to explain, and says so', async () => {
  const gateway = await startProgram('gateway', ['--agents', 'gpu-1=http://127.0.0.1:1']);
  closing.push(() => gateway.stop('SIGKILL'));
  const client = new Client({ name: 'test', version: '0' }, { versionNegotiation: { mode: 'auto' } });
  await client.connect(new StreamableHTTPClientTransport(new URL(`${gateway.origin}/mcp`)));
  closing.push(() => client.close());
  const { tools } = await client.listTools();
  expect(tools.map(({ name }) => name)).not.toContain('describe_gpu_node');
  const result = await client.callTool({ name: 'explain_failure', arguments: { pod: 'ml/train-0' } });
  expect(result.isError).toBe(true);
  expect(JSON.stringify(result.content)).toContain('--directory kubernetes');
});
