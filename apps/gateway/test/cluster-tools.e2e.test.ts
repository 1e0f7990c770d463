import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { afterAll, beforeAll, describe, expect, it, test } from 'vitest';
import {
  createFakeApiServer,
  type FakeApiServer,
} from '../../../packages/kubernetes/test/fake-api-server/index.ts';
import { type RunningProgram, startProgram } from './run-program.ts';

// What only a cluster can be asked: two real agents, a real gateway, an API server that knows their nodes and a job that failed on them.

const closing: (() => unknown)[] = [];
afterAll(async () => {
  for (const close of closing.reverse()) await close();
});

const agentLabels = {
  'app.kubernetes.io/name': 'k8s-gpu-mcp-server',
  'app.kubernetes.io/component': 'agent',
};
const portOf = ({ origin }: RunningProgram) => Number(new URL(origin).port);
const seconds = (ago: number) => new Date(Date.now() - ago * 1_000).toISOString().replace(/\.\d+Z/, 'Z');

const agentPod = (node: string, program: RunningProgram) => ({
  metadata: {
    name: `agent-${node}`,
    namespace: 'gpu',
    uid: `uid-of-agent-${node}`,
    labels: agentLabels,
    ownerReferences: [
      { apiVersion: 'apps/v1', kind: 'DaemonSet', name: 'gpu-agent', uid: 'd', controller: true },
    ],
  },
  spec: {
    nodeName: node,
    containers: [{ name: 'agent', ports: [{ name: 'http', containerPort: portOf(program) }] }],
  },
  status: { phase: 'Running', podIP: '127.0.0.1', conditions: [{ type: 'Ready', status: 'True' }] },
});

const nodeOf = (name: string, allocatable: number) => ({
  metadata: { name, labels: { 'nvidia.com/gpu.present': 'true' } },
  status: {
    capacity: { 'nvidia.com/gpu': '8' },
    allocatable: { 'nvidia.com/gpu': String(allocatable) },
    conditions: [{ type: 'Ready', status: 'True', reason: 'KubeletReady' }],
    nodeInfo: { kubeletVersion: 'v1.34.1', kernelVersion: '6.8.0', bootID: 'b' },
  },
});

interface Ended {
  readonly exitCode: number;
  readonly reason: string;
  readonly secondsAgo: number;
  readonly job?: string;
}

const jobPod = (name: string, node: string, { exitCode, reason, secondsAgo, job = 'train' }: Ended) => ({
  metadata: {
    name,
    namespace: 'ml',
    uid: `uid-of-${name}`,
    labels: { 'batch.kubernetes.io/job-name': job },
    ownerReferences: [
      { apiVersion: 'batch/v1', kind: 'Job', name: job, uid: `uid-of-${job}`, controller: true },
    ],
  },
  spec: {
    nodeName: node,
    containers: [
      { name: 'main', resources: { limits: { 'nvidia.com/gpu': '8' }, requests: { 'nvidia.com/gpu': '8' } } },
    ],
  },
  status: {
    phase: 'Failed',
    startTime: seconds(7_200),
    containerStatuses: [
      {
        name: 'main',
        ready: false,
        restartCount: 0,
        containerID: `containerd://${'a'.repeat(64)}`,
        state: {
          terminated: {
            exitCode,
            reason,
            startedAt: seconds(7_200),
            finishedAt: seconds(secondsAgo),
            containerID: `containerd://${'a'.repeat(64)}`,
          },
        },
      },
    ],
  },
});

describe('a gateway with the rights to read nodes and pods', () => {
  let folder: string;
  let api: FakeApiServer;
  let client: Client;

  const answer = async (name: string, input: Readonly<Record<string, unknown>>) => {
    const result = await client.callTool({ name, arguments: input });
    expect(result.isError ?? false, JSON.stringify(result.content)).toBe(false);
    return result.structuredContent as Readonly<Record<string, unknown>>;
  };

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'gateway-objects-'));
    closing.push(() => rm(folder, { recursive: true }));
    api = await createFakeApiServer();
    closing.push(() => api.close());
    const kubeconfig = join(folder, 'kubeconfig');
    await writeFile(kubeconfig, api.kubeconfig());
    const [broken, healthy] = await Promise.all([
      startProgram('agent', ['--backend', 'mock', '--scenario', 'fallen-off-bus', '--node-name', 'gpu-1']),
      startProgram('agent', ['--backend', 'mock', '--node-name', 'gpu-2']),
    ]);
    for (const agent of [broken, healthy]) closing.push(() => agent.stop('SIGKILL'));
    api.put('/api/v1/nodes', nodeOf('gpu-1', 7), nodeOf('gpu-2', 8));
    api.put('/api/v1/namespaces/gpu/pods', agentPod('gpu-1', broken), agentPod('gpu-2', healthy));
    api.put('/apis/batch/v1/namespaces/ml/jobs', {
      apiVersion: 'batch/v1',
      kind: 'Job',
      metadata: { name: 'train', namespace: 'ml', uid: 'uid-of-train' },
    });
    api.put(
      '/api/v1/namespaces/ml/pods',
      jobPod('train-0', 'gpu-1', { exitCode: 1, reason: 'Error', secondsAgo: 2_400 }),
      jobPod('train-1', 'gpu-2', { exitCode: 1, reason: 'Error', secondsAgo: 2_397 }),
      jobPod('greedy', 'gpu-2', { exitCode: 137, reason: 'OOMKilled', secondsAgo: 30, job: 'other' }),
    );
    const gateway = await startProgram('gateway', [
      ...['--kubeconfig', kubeconfig, '--namespace', 'gpu', '--deadline', '20s'],
    ]);
    closing.push(() => gateway.stop('SIGKILL'));
    client = new Client({ name: 'test', version: '0' }, { versionNegotiation: { mode: 'auto' } });
    await client.connect(new StreamableHTTPClientTransport(new URL(`${gateway.origin}/mcp`)));
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
