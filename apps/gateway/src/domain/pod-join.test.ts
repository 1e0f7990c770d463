import { describe, expect, test } from 'vitest';
import { containerOf, ended, podOf } from '../../../../packages/core/test/cluster.ts';
import { ownedBy } from '../../test/pods.ts';
import { createPodJoin, type ProcessPlace } from './pod-join.ts';

const id = 'ab'.repeat(32);
const before = 'cd'.repeat(32);
const pod = podOf({
  owner: ownedBy('PyTorchJob', 'llama'),
  containers: [
    containerOf({ containerId: id, lastState: ended(1, 'Error', { containerId: before }) }),
    containerOf({ name: 'sidecar', containerId: 'ef'.repeat(32) }),
  ],
});
const place = (changes: Partial<ProcessPlace> = {}): ProcessPlace => ({
  podUid: pod.uid,
  container: { id, runtime: 'containerd' },
  startedAt: '2026-11-21T10:00:05Z',
  ...changes,
});
const join = createPodJoin([podOf({ uid: 'other', name: 'other' }), pod]);
const found = {
  pod: { namespace: 'research', name: 'train-0', uid: pod.uid },
  container: 'main',
  owner: { kind: 'PyTorchJob', name: 'llama' },
};

describe('a process and its pod', () => {
  test.each([
    ['by uid and container', {}],
    ['a uid with underscores', { podUid: pod.uid.replaceAll('-', '_').toUpperCase() }],
    [
      'the container alone, with its runtime before it',
      { podUid: null, container: { id: `cri-o://${id}`, runtime: null } },
    ],
    ['of the run before', { container: { id: before, runtime: null }, startedAt: '2026-11-21T10:00:00Z' }],
  ])('%s', (_, changes) => expect(join('gpu-node-7', place(changes))).toEqual(found));

  test('a pod that nobody manages has no owner, a static pod goes by its hash', () => {
    const bare = podOf({ staticPodUid: '0f1e', containers: [containerOf({ containerId: id })] });
    expect(createPodJoin([bare])('gpu-node-7', place({ podUid: '0f1e' }))).toEqual({ ...found, owner: null });
  });
});

describe('guards', () => {
  test.each([
    ['not-in-a-pod', { podUid: null, container: null }],
    ['pod-not-listed', { podUid: 'gone' }],
    ['pod-not-listed', { podUid: null, container: { id: '00', runtime: null } }],
    ['container-not-of-this-pod', { container: { id: '00', runtime: null } }],
    ['started-before-its-container', { startedAt: '2026-11-21T09:00:00Z' }],
    ['pod-not-listed', { podUid: '__proto__' }],
  ])('%s', (because, changes) => {
    expect(join('gpu-node-7', place(changes))).toEqual({ pod: null, because });
  });

  test('planted fault: a node that claims the process of another node gets no pod', () => {
    expect(join('gpu-node-7', place())).toEqual(found);
    expect(join('gpu-node-8', place())).toEqual({ pod: null, because: 'pod-not-listed' });
  });
});

test('100,000 processes against 5,000 pods take seconds at most', () => {
  const pods = Array.from({ length: 5_000 }, (_, index) =>
    podOf({
      uid: `uid-${index}`,
      node: `gpu-${index % 50}`,
      containers: [containerOf({ containerId: index.toString(16).padStart(64, '0') })],
    }),
  );
  const many = createPodJoin(pods);
  const startedAt = performance.now();
  let count = 0;
  for (let index = 0; index < 100_000; index += 1) {
    const number = index % 5_000;
    const container = { id: number.toString(16).padStart(64, '0'), runtime: null };
    if (many(`gpu-${number % 50}`, place({ podUid: `uid-${number}`, container })).pod) count += 1;
  }
  expect(count).toBe(100_000);
  // A look at every pod for each process would take minutes.
  expect(performance.now() - startedAt).toBeLessThan(5_000);
});
