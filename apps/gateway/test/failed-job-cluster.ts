import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  createFakeApiServer,
  type FakeApiServer,
} from '../../../packages/kubernetes/test/fake-api-server/index.ts';
import { type RunningProgram, startProgram } from './run-program.ts';

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

export interface FailedJobCluster {
  readonly api: FakeApiServer;
  readonly gateway: RunningProgram;
}

/**
 * Two real agents, a real gateway, and an API server that knows their nodes: gpu-1, whose GPU 3 fell off the bus, gpu-2, which is well, and
 * in namespace ml the job train that failed on both and the pod greedy that its own memory limit ended. `onEnd` gets what ends each.
 */
export async function startFailedJobCluster(onEnd: (end: () => unknown) => void): Promise<FailedJobCluster> {
  const folder = await mkdtemp(join(tmpdir(), 'gateway-objects-'));
  onEnd(() => rm(folder, { recursive: true }));
  const api = await createFakeApiServer();
  onEnd(() => api.close());
  const kubeconfig = join(folder, 'kubeconfig');
  await writeFile(kubeconfig, api.kubeconfig());
  const [broken, healthy] = await Promise.all([
    startProgram('agent', ['--backend', 'mock', '--scenario', 'fallen-off-bus', '--node-name', 'gpu-1']),
    startProgram('agent', ['--backend', 'mock', '--node-name', 'gpu-2']),
  ]);
  for (const agent of [broken, healthy]) onEnd(() => agent.stop('SIGKILL'));
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
  onEnd(() => gateway.stop('SIGKILL'));
  return { api, gateway };
}
