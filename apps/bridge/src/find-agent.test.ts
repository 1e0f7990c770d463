import { expect, test } from 'vitest';
import type { ClusterAccess } from './cluster-access.ts';
import { findAgentPod } from './find-agent.ts';

const pod = (namespace: string, name: string, node = 'gpu-7') => ({
  metadata: { namespace, name, labels: { 'app.kubernetes.io/component': 'agent' } },
  spec: { nodeName: node, containers: [{ name: 'agent' }] },
  status: { phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] },
});

const find = (
  pods: readonly unknown[],
  query: { readonly node?: string; readonly namespace?: string } = {},
) => {
  const cluster = { contextName: 'c', namespace: 'default', get: async () => ({ items: pods }) };
  const asked = { node: undefined, namespace: undefined, pod: undefined, container: undefined, ...query };
  return findAgentPod(cluster as unknown as ClusterAccess, asked, new AbortController().signal);
};

test('the agent of the node', async () => {
  expect(await find([pod('gpu', 'agent-x')], { node: 'gpu-7' })).toEqual({
    namespace: 'gpu',
    pod: 'agent-x',
    container: 'agent',
  });
});

test('a pod that somebody labelled in another namespace is not chosen by its name', async () => {
  const planted = [pod('tenant', 'aaa'), pod('gpu', 'agent-x')];
  await expect(find(planted, { node: 'gpu-7' })).rejects.toThrow(
    'Pods labelled as agents are in 2 namespaces (gpu, tenant): choose one with --namespace.',
  );
});
