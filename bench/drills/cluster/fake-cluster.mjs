// The fake API server of the tests, with the pods of agents in it.
import { register } from 'node:module';

register('./typescript-loader.mjs', import.meta.url);
const { createFakeApiServer } = await import('../../../packages/kubernetes/test/fake-api-server/index.ts');

export const namespace = 'gpu';
export const daemonSet = 'gpu-agent';
const podsPath = `/api/v1/namespaces/${namespace}/pods`;
const labels = { 'app.kubernetes.io/name': 'k8s-gpu-mcp-server', 'app.kubernetes.io/component': 'agent' };

/** As a 1.34 API server shows a pod of a DaemonSet, reduced to what is read. */
const podOf = ({ node, generation, address, port, owner, isReady, isLeaving }) => ({
  metadata: {
    name: `agent-${node}-${generation}`,
    namespace,
    uid: `uid-${node}-${generation}`,
    labels,
    creationTimestamp: new Date(Date.UTC(2026, 10, 21) + generation * 1_000).toISOString(),
    ...(isLeaving ? { deletionTimestamp: '2026-11-21T23:59:59Z' } : {}),
    ownerReferences: [{ apiVersion: 'apps/v1', kind: 'DaemonSet', name: owner, uid: 'd', controller: true }],
  },
  spec: {
    nodeName: node,
    containers: [{ name: 'agent', ports: [{ name: 'http', containerPort: port, protocol: 'TCP' }] }],
  },
  status: {
    phase: 'Running',
    podIP: address,
    conditions: [{ type: 'Ready', status: isReady ? 'True' : 'False' }],
  },
});

/** `options` as for the fake API server. */
export async function createFakeCluster(options) {
  const api = await createFakeApiServer(options);
  return {
    api,
    addGpuNode(name) {
      api.put('/api/v1/nodes', {
        metadata: { name, labels: { 'nvidia.com/gpu.present': 'true' } },
        status: { allocatable: { 'nvidia.com/gpu': '8' } },
      });
    },
    /** A pod with the ways in which it changes. A new `generation` is another pod. */
    putPod({ owner = daemonSet, port = 8_080, ...facts }) {
      const all = { owner, port, ...facts };
      const put = (state) => api.put(podsPath, podOf({ ...all, ...state }));
      put({ isReady: true });
      return {
        leave: () => put({ isReady: true, isLeaving: true }),
        notReady: () => put({ isReady: false }),
        ready: () => put({ isReady: true }),
        remove: () => api.delete(podsPath, `agent-${all.node}-${all.generation}`),
      };
    },
  };
}
