import { describe, expect, test } from 'vitest';
import type { OwnerRef } from '../domain/cluster.ts';
import { type OwnerLookup, ownerOf } from './owner.ts';

const ref = (kind: string, name: string, isController = true): OwnerRef => ({
  apiVersion: 'v1',
  kind,
  name,
  uid: `${kind}-${name}`,
  isController,
});
const pod = (owner: OwnerRef | null, labels: Readonly<Record<string, string>> = {}) => ({
  ownerReferences: owner ? [owner] : [],
  labels,
});
const lookupOf =
  (known: Readonly<Record<string, readonly OwnerRef[]>>): OwnerLookup =>
  ({ uid }) =>
    known[uid];

describe('by owner references', () => {
  test.each([
    ['Deployment', [ref('ReplicaSet', 'web-7d4'), ref('Deployment', 'web')]],
    ['JobSet', [ref('Job', 'run-workers-0'), ref('JobSet', 'run')]],
    ['PyTorchJob', [ref('PyTorchJob', 'llm')]],
    ['RayJob', [ref('RayCluster', 'tune-x'), ref('RayJob', 'tune')]],
    ['LeaderWorkerSet', [ref('StatefulSet', 'serve-0'), ref('LeaderWorkerSet', 'serve')]],
    ['CronJob', [ref('Job', 'nightly-29'), ref('CronJob', 'nightly')]],
  ])('%s', (kind, chain) => {
    const known = Object.fromEntries(
      chain.map((each, index) => [each.uid, chain.slice(index + 1, index + 2)]),
    );
    const owner = ownerOf(pod(chain[0] ?? null), lookupOf(known));
    expect(owner).toMatchObject({ kind, basis: 'owner-references', isComplete: true });
    expect(owner?.chain.map((each) => each.kind)).toEqual(chain.map((each) => each.kind));
  });

  test('a bare pod has none, whatever its labels say', () => {
    expect(ownerOf(pod(null, { 'jobset.sigs.k8s.io/jobset-name': 'mine' }))).toBeNull();
  });

  test('the controller counts, not the first of several', () => {
    const references = [ref('Secret', 's', false), ref('Job', 'j')];
    expect(ownerOf({ ownerReferences: references, labels: {} }, () => [])).toMatchObject({
      kind: 'Job',
      isComplete: true,
    });
  });
});

describe('owners that cannot be read', () => {
  test.each([
    ['Deployment', 'web', ref('ReplicaSet', 'web-7d4f'), { 'pod-template-hash': '7d4f' }],
    ['JobSet', 'run', ref('Job', 'run-workers-0'), { 'jobset.sigs.k8s.io/jobset-name': 'run' }],
    [
      'LeaderWorkerSet',
      'serve',
      ref('StatefulSet', 'serve-0'),
      { 'leaderworkerset.sigs.k8s.io/name': 'serve' },
    ],
    [
      'RayJob',
      'tune',
      ref('RayCluster', 'tune-x'),
      { 'ray.io/originated-from-crd': 'RayJob', 'ray.io/originated-from-cr-name': 'tune' },
    ],
  ])('%s by labels, and said to be so', (kind, name, owner, labels) => {
    expect(ownerOf(pod(owner, labels))).toMatchObject({
      kind,
      name,
      uid: null,
      basis: 'labels',
      isComplete: false,
    });
  });

  test('without labels the nearest is the answer, and not complete', () => {
    expect(ownerOf(pod(ref('Job', 'j')))).toMatchObject({ kind: 'Job', isComplete: false });
  });
});

describe('hostile chains', () => {
  test('a cycle ends', () => {
    const a = ref('Job', 'a');
    const b = ref('JobSet', 'b');
    const owner = ownerOf(pod(a), lookupOf({ [a.uid]: [b], [b.uid]: [a] }));
    expect(owner).toMatchObject({ kind: 'JobSet', isComplete: false });
    expect(owner?.chain).toHaveLength(2);
  });

  test('an endless chain is cut', () => {
    let depth = 0;
    const owner = ownerOf(pod(ref('Job', 'x')), () => {
      depth += 1;
      return [ref('Job', `x${depth}`)];
    });
    expect(owner?.chain.length).toBe(8);
    expect(owner?.isComplete).toBe(false);
  });

  test('labels named like members of objects are not read', () => {
    expect(ownerOf(pod(ref('constructor', 'x')))).toMatchObject({ kind: 'constructor' });
  });
});
