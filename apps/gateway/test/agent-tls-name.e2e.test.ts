// A pod's certificate cannot name the pod's address: it names the Service, and the gateway is told that name.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { beforeAll, describe, expect, it } from 'vitest';
import { createFakeApiServer } from '../../../packages/kubernetes/test/fake-api-server/index.ts';
import { certificatesIn, hasOpenssl, unlessOpenssl } from './certificates.ts';
import { openedByFile } from './opened-by-file.ts';
import { freePort } from './run-program.ts';

const agentName = 'gpu-agent.gpu.svc';
const { closing, start } = openedByFile();

describe.skipIf(!hasOpenssl)(`--agent-tls-name${unlessOpenssl}`, () => {
  const folder = mkdtempSync(join(tmpdir(), 'agent-tls-name-'));
  closing.push(() => rmSync(folder, { recursive: true }));
  const path = (name: string) => join(folder, name);
  let agentPort: number;

  beforeAll(async () => {
    const { authority, certify } = certificatesIn(folder);
    authority('ca');
    certify('agent', `DNS:${agentName}`);
    writeFileSync(path('token'), 'for-agents-of-this-test');
    agentPort = await freePort();
    const files = ['--tls-cert', path('agent.pem'), '--tls-key', path('agent.key')];
    await start('agent', ['--backend', 'mock', ...files, '--auth-token-file', path('token')], agentPort);
    const api = await createFakeApiServer();
    closing.push(() => api.close());
    writeFileSync(path('kubeconfig'), api.kubeconfig());
    const controller = { apiVersion: 'apps/v1', kind: 'DaemonSet', name: 'gpu-agent', controller: true };
    const port = { name: 'https', containerPort: agentPort };
    api.put('/api/v1/namespaces/gpu/pods', {
      metadata: {
        name: 'gpu-agent-x',
        namespace: 'gpu',
        uid: 'u',
        labels: {
          'app.kubernetes.io/name': 'k8s-gpu-mcp-server',
          'app.kubernetes.io/component': 'agent',
        },
        ownerReferences: [{ ...controller, uid: 'd' }],
      },
      spec: { nodeName: 'gpu-1', containers: [{ name: 'agent', ports: [port] }] },
      status: { phase: 'Running', podIP: '127.0.0.1', conditions: [{ type: 'Ready', status: 'True' }] },
    });
  });

  /** What is said of the one node. */
  async function healthThrough(...flags: readonly string[]): Promise<unknown> {
    const trust = ['--agent-ca', path('ca.pem'), '--agent-token-file', path('token')];
    const { origin } = await start('gateway', [...trust, ...flags]);
    const client = new Client({ name: 'test', version: '0' }, { versionNegotiation: { mode: 'auto' } });
    await client.connect(new StreamableHTTPClientTransport(new URL(`${origin}/mcp`)));
    closing.push(() => client.close());
    const { structuredContent } = await client.callTool({ name: 'get_gpu_health', arguments: {} });
    return structuredContent;
  }
  const inCluster = () => [
    ...['--kubeconfig', path('kubeconfig'), '--namespace', 'gpu'],
    ...['--agent-daemonset', 'gpu-agent', '--agent-tls'],
  ];
  const ofList = () => ['--agents', `gpu-1=https://127.0.0.1:${agentPort}`];

  it.each([
    ['a pod', inCluster],
    ['an agent of a list', ofList],
  ])('lets the gateway ask %s by its address', async (_what, directory) => {
    const answer = await healthThrough(...directory(), '--agent-tls-name', agentName);
    expect(answer).toMatchObject({ statusCounts: { ok: 1 }, nodes: [{ node: 'gpu-1', status: 'ok' }] });
  });

  it.each([
    ['another name', ['--agent-tls-name', `other-${agentName}`]],
    ['no name', []],
  ])('with %s the certificate is refused', async (_what, flags) => {
    expect(await healthThrough(...inCluster(), ...flags)).toMatchObject({
      statusCounts: { error: 1 },
      nodes: [
        {
          node: 'gpu-1',
          status: 'error',
          reason: "the agent's certificate is refused: it is for another name or address",
        },
      ],
    });
  });
});
