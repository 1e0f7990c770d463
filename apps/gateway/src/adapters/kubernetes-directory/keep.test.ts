import type { KubernetesObject } from '@k8s-gpu-mcp/kubernetes';
import { describe, expect, test } from 'vitest';
import { keepForDirectory } from './keep.ts';

const large = 'x'.repeat(10_000);
const pod: KubernetesObject = {
  metadata: {
    name: 'agent-a',
    namespace: 'gpu',
    uid: 'u',
    resourceVersion: '7',
    labels: { app: 'agent' },
    ownerReferences: [
      { apiVersion: 'apps/v1', kind: 'DaemonSet', name: 'gpu-agent', uid: 'd', controller: true },
    ],
    managedFields: [{ manager: large }],
    annotations: { 'example.com/note': large },
  },
  spec: {
    nodeName: 'node-a',
    containers: [{ name: 'agent', ports: [{ name: 'http', containerPort: 8080 }] }],
    initContainers: [{ name: large }],
    volumes: [{ name: large }],
    affinity: { nodeAffinity: large },
  },
  status: {
    phase: 'Running',
    podIP: '10.0.0.7',
    conditions: [{ type: 'Ready', status: 'True' }],
  },
} as KubernetesObject;

describe('what the directory keeps of an object', () => {
  test('all it reads, and not what makes most of the bytes', () => {
    const kept = keepForDirectory(pod);
    expect(JSON.stringify(kept)).not.toContain(large);
    expect(kept).toEqual({
      metadata: {
        name: 'agent-a',
        namespace: 'gpu',
        uid: 'u',
        resourceVersion: '7',
        labels: { app: 'agent' },
        ownerReferences: pod.metadata.ownerReferences,
      },
      spec: { nodeName: 'node-a', containers: (pod['spec'] as { containers: unknown }).containers },
      status: pod['status'],
    });
  });

  test('of a node the list of images goes', () => {
    const node = {
      metadata: { name: 'n' },
      spec: { unschedulable: true },
      status: { images: [large], phase: 'x' },
    };
    expect(keepForDirectory(node as KubernetesObject)).toEqual({
      metadata: { name: 'n' },
      spec: { unschedulable: true },
      status: { phase: 'x' },
    });
  });

  test('the object itself stays as it was', () => {
    const before = JSON.stringify(pod);
    keepForDirectory(pod);
    expect(JSON.stringify(pod)).toBe(before);
  });

  test.each([[undefined], [null], ['text'], [7], [[{ images: 1 }]]])(
    'a spec and status of %s are empty',
    (value) => {
      const object = { metadata: { name: 'n' }, spec: value, status: value } as unknown as KubernetesObject;
      expect(keepForDirectory(object)).toEqual({ metadata: { name: 'n' }, spec: {}, status: {} });
    },
  );
});
