import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  createFakeApiServer,
  type FakeApiServer,
} from '../../../packages/kubernetes/test/fake-api-server/index.ts';
import { openedByFile } from './opened-by-file.ts';
import { type RunningProgram, startProgram } from './run-program.ts';

const pods = '/api/v1/namespaces/gpu/pods';
const labels = { 'app.kubernetes.io/name': 'k8s-gpu-mcp-server', 'app.kubernetes.io/component': 'agent' };
const token = 'for-agents-of-this-test';

const { closing } = openedByFile();

interface PodFacts {
  readonly name: string;
  readonly node: string;
  readonly port: number;
  readonly daemonSet?: string;
  readonly isLeaving?: boolean;
}

/** As a 1.34 API server shows a running agent pod, reduced to what is read. */
const podOf = ({ name, node, port, daemonSet = 'gpu-agent', isLeaving = false }: PodFacts) => ({
  metadata: {
    name,
    namespace: 'gpu',
    uid: `uid-of-${name}`,
    labels,
    creationTimestamp: '2026-11-21T02:27:54Z',
    ...(isLeaving ? { deletionTimestamp: '2026-11-21T02:30:00Z' } : {}),
    ownerReferences: [
      { apiVersion: 'apps/v1', kind: 'DaemonSet', name: daemonSet, uid: 'd', controller: true },
    ],
  },
  spec: { nodeName: node, containers: [{ name: 'agent', ports: [{ name: 'http', containerPort: port }] }] },
  status: { phase: 'Running', podIP: '127.0.0.1', conditions: [{ type: 'Ready', status: 'True' }] },
});

const portOf = ({ origin }: RunningProgram) => Number(new URL(origin).port);

describe('a gateway in a cluster', () => {
  let folder: string;
  let api: FakeApiServer;
  let client: Client;
  let agent: RunningProgram;
  const seenByImpostor: (string | undefined)[] = [];

  const health = async () => {
    const result = await client.callTool({ name: 'get_gpu_health', arguments: {} });
    expect(result.isError ?? false, JSON.stringify(result.content)).toBe(false);
    return result.structuredContent as {
      readonly nodes: readonly { readonly node: string; readonly status: string; readonly reason?: string }[];
      readonly directory: { readonly staleSince: string | null };
    };
  };
  /** Asks until the directory has followed: how long a change takes is not what is tested. */
  const healthWhen = async (condition: (answer: Awaited<ReturnType<typeof health>>) => boolean) => {
    for (;;) {
      const answer = await health();
      if (condition(answer)) return answer;
    }
  };
  const statusOf = (answer: Awaited<ReturnType<typeof health>>, node: string) =>
    answer.nodes.find((each) => each.node === node)?.status;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'gateway-cluster-'));
    closing.push(() => rm(folder, { recursive: true }));
    const tokenFile = join(folder, 'token');
    await writeFile(tokenFile, token);
    api = await createFakeApiServer({ chunkBytes: 1 });
    closing.push(() => api.close());
    const kubeconfig = join(folder, 'kubeconfig');
    await writeFile(kubeconfig, api.kubeconfig());
    agent = await startProgram('agent', [
      '--backend',
      'mock',
      '--auth-token-file',
      tokenFile,
      '--node-name',
      'gpu-1',
    ]);
    closing.push(() => agent.stop('SIGKILL'));
    const impostor = createServer((request, response) => {
      seenByImpostor.push(request.headers.authorization);
      response.writeHead(401).end();
    }).listen(0, '127.0.0.1');
    await once(impostor, 'listening');
    closing.push(() => impostor.close());
    const impostorPort = (impostor.address() as AddressInfo).port;
    api.put(
      pods,
      podOf({ name: 'agent-a', node: 'gpu-1', port: portOf(agent) }),
      podOf({ name: 'other-b', node: 'gpu-2', port: impostorPort, daemonSet: 'somebody-elses' }),
    );
    api.put('/api/v1/nodes', {
      metadata: { name: 'gpu-3', labels: { 'nvidia.com/gpu.present': 'true' } },
      status: { allocatable: { 'nvidia.com/gpu': '8' } },
    });
    const gateway = await startProgram('gateway', [
      ...['--kubeconfig', kubeconfig, '--namespace', 'gpu', '--deadline', '10s'],
      ...['--agent-token-file', tokenFile, '--agent-daemonset', 'gpu-agent'],
    ]);
    closing.push(() => gateway.stop('SIGKILL'));
    client = new Client({ name: 'test', version: '0' }, { versionNegotiation: { mode: 'auto' } });
    await client.connect(new StreamableHTTPClientTransport(new URL(`${gateway.origin}/mcp`)));
    closing.push(() => client.close());
  });

  it('asks the pods of its DaemonSet with the token, and sends the token to no other', async () => {
    const answer = await health();
    expect(statusOf(answer, 'gpu-1')).toBe('ok');
    expect(statusOf(answer, 'gpu-2')).toBe('error');
    expect(seenByImpostor.length).toBeGreaterThan(0);
    expect(seenByImpostor.every((header) => header === undefined)).toBe(true);
  });

  it('names the GPU node on which no agent runs', async () => {
    expect(statusOf(await health(), 'gpu-3')).toBe('not-ready');
  });

  it('does not ask a pod that terminates, and asks its successor', async () => {
    api.put(pods, podOf({ name: 'agent-a', node: 'gpu-1', port: portOf(agent), isLeaving: true }));
    await healthWhen((answer) => statusOf(answer, 'gpu-1') === 'not-ready');
    api.put(pods, podOf({ name: 'agent-c', node: 'gpu-1', port: portOf(agent) }));
    await healthWhen((answer) => statusOf(answer, 'gpu-1') === 'ok');
  });

  it('goes on with the last known set, and says so, while the API server is away', async () => {
    await api.close();
    const answer = await healthWhen(({ directory }) => directory.staleSince !== null);
    expect(statusOf(answer, 'gpu-1')).toBe('ok');
  });
});
