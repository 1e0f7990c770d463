import { fixedClock } from '@k8s-gpu-mcp/core/testing';
import { describe, expect, it, test } from 'vitest';
import { BoundedCache } from './bounded-cache.ts';
import { isLabelValue, isObjectName, locateKind, pluralOf } from './resource-path.ts';
import { selectorsOf } from './workload-labels.ts';

describe('plurals, as the API servers and the projects name them', () => {
  it.each([
    ['Job', 'jobs'],
    ['ReplicaSet', 'replicasets'],
    ['RayCluster', 'rayclusters'],
    ['PyTorchJob', 'pytorchjobs'],
    ['JobSet', 'jobsets'],
    ['LeaderWorkerSet', 'leaderworkersets'],
    ['ClusterPolicy', 'clusterpolicies'],
    ['Ingress', 'ingresses'],
    ['Gateway', 'gateways'],
    ['InferenceService', 'inferenceservices'],
  ])('%s: %s', (kind, plural) => expect(pluralOf(kind)).toBe(plural));
});

describe('where a kind is', () => {
  test('in the core group, a group of Kubernetes and a group of somebody else', () => {
    expect(locateKind('v1', 'Pod')).toMatchObject({ root: '/api/v1', resource: 'pods', isCustom: false });
    expect(locateKind('batch/v1', 'Job')).toMatchObject({
      root: '/apis/batch/v1',
      resource: 'jobs.batch',
      isCustom: false,
    });
    expect(locateKind('ray.io/v1', 'RayCluster')).toMatchObject({
      root: '/apis/ray.io/v1',
      resource: 'rayclusters.ray.io',
      isCustom: true,
    });
  });

  it.each([
    ['../v1', 'Pod'],
    ['batch/../v1', 'Job'],
    ['a..b/v1', 'Job'],
    ['batch/v1/namespaces', 'Job'],
    ['v1', '../secrets'],
    ['v1', 'Pod?x='],
    ['V1', 'Pod'],
    ['', ''],
  ])('%j %j is no kind', (apiVersion, kind) => expect(locateKind(apiVersion, kind)).toBeNull());
});

describe('names', () => {
  it.each(['a', 'train-0', 'ip-10-0-0-1.ec2.internal', 'a'.repeat(253)])('%s is one', (name) =>
    expect(isObjectName(name)).toBe(true),
  );
  it.each(['', '-a', 'a.', '..', 'a..b', 'a/b', 'a,metadata.namespace=x', 'A', 'a b', 'a'.repeat(254)])(
    '%j is none',
    (name) => expect(isObjectName(name)).toBe(false),
  );
  it.each(['', 'a,b', 'a=b', '!a', 'a'.repeat(64), 'a)'])('%j is no label value', (value) =>
    expect(isLabelValue(value)).toBe(false),
  );
});

describe('labels of workloads', () => {
  const select = (kind: string, name = 'llm') => selectorsOf({ kind, name, namespace: 'ml' });

  test('the newer label of a Job first', () => {
    expect(select('Job').slice(0, 2)).toEqual(['batch.kubernetes.io/job-name=llm', 'job-name=llm']);
  });
  test('whatever the case of the kind', () => expect(select('pytorchjob')).toEqual(select('PyTorchJob')));
  it.each(['Deployment', 'RayJob', 'constructor', '__proto__'])('none for %s', (kind) =>
    expect(select(kind)).toEqual([]),
  );
  test('none for a name that is no label value', () => expect(select('Job', 'a,b')).toEqual([]));
});

describe('the cache', () => {
  test('forgets after its time, and the least recently used beyond its size', () => {
    const clock = fixedClock();
    const cache = new BoundedCache<number | undefined>(clock, 60_000, 2);
    cache.set('a', 1);
    cache.set('b', undefined);
    expect(cache.get('a')).toMatchObject({ value: 1 });
    cache.set('c', 3);
    expect([cache.size, cache.get('b')]).toEqual([2, undefined]);
    cache.set('b', undefined);
    expect(cache.get('b')).toMatchObject({ value: undefined });
    clock.advance(60_000);
    expect(cache.get('c')).toBeUndefined();
    expect(cache.get('b')).toBeUndefined();
    expect(cache.size).toBe(0);
  });

  test('planted fault: a cache without a bound would be seen', () => {
    const cache = new BoundedCache<number>(fixedClock(), 60_000, Number.POSITIVE_INFINITY);
    for (const key of ['a', 'b', 'c']) cache.set(key, 1);
    expect(cache.size).toBe(3);
  });
});
