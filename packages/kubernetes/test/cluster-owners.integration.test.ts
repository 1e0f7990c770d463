import { type Clock, silentLogger } from '@k8s-gpu-mcp/core';
import { type FixedClock, fixedClock } from '@k8s-gpu-mcp/core/testing';
import { afterEach, beforeEach, describe, expect, it, test } from 'vitest';
import { createKubernetesCluster } from '../src/cluster/create-kubernetes-cluster.ts';
import type { OwnerResolverLimits } from '../src/cluster/owner-resolver.ts';
import { createHttpApi } from '../src/http-api.ts';
import { createFakeApiServer, type FakeApiServer } from './fake-api-server/index.ts';

const never = new AbortController().signal;
const podsPath = '/api/v1/namespaces/ml/pods';
const jobsPath = '/apis/batch/v1/namespaces/ml/jobs';
const jobSetsPath = '/apis/jobset.x-k8s.io/v1alpha2/namespaces/ml/jobsets';

let server: FakeApiServer;
let clock: FixedClock;

interface Owner {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
  readonly controller: boolean;
}
const owner = (apiVersion: string, kind: string, name: string, uid = `${kind}-${name}`): Owner => ({
  apiVersion,
  kind,
  name,
  uid,
  controller: true,
});
const job = (name: string) => owner('batch/v1', 'Job', name);
const jobSet = owner('jobset.x-k8s.io/v1alpha2', 'JobSet', 'run');
const objectOf = ({ apiVersion, kind, name, uid }: Owner, by?: Owner) => ({
  apiVersion,
  kind,
  metadata: { name, uid, ...(by ? { ownerReferences: [by] } : {}) },
});
const pod = (name: string, by?: Owner, labels: Record<string, string> = {}) => ({
  kind: 'Pod',
  apiVersion: 'v1',
  metadata: { name, uid: `uid-${name}`, labels, ...(by ? { ownerReferences: [by] } : {}) },
  spec: { containers: [{ name: 'main' }] },
});
const connect = (owners: Partial<OwnerResolverLimits> = {}, time: Clock = clock) =>
  createKubernetesCluster(
    createHttpApi({ server: new URL(server.url), namespace: 'ml', clock: time, authorize: async () => ({}) }),
    { clock: time, logger: silentLogger, limits: { owners } },
  );
const gets = () => server.requests.filter(({ verb }) => verb === 'get').map(({ path }) => path);
const lists = () =>
  server.requests.filter(({ verb }) => verb === 'list').map(({ query }) => query.get('labelSelector'));
/** A worker pod of a job of a JobSet. */
const jobSetWorld = () => {
  server.put(jobsPath, objectOf(job('run-0'), jobSet), objectOf(job('alone')));
  server.put(jobSetsPath, objectOf(jobSet));
  const labels = (name: string) => ({ 'batch.kubernetes.io/job-name': name, 'job-name': name });
  const inSet = { 'jobset.sigs.k8s.io/jobset-name': 'run' };
  server.put(
    podsPath,
    pod('w-0', job('run-0'), { ...labels('run-0'), ...inSet }),
    pod('w-1', job('run-0'), { ...labels('run-0'), ...inSet }),
    pod('x-0', job('alone'), labels('alone')),
    pod('bare'),
  );
};

beforeEach(async () => {
  clock = fixedClock();
  server = await createFakeApiServer();
});
afterEach(() => server.close());

describe('owners of pods', () => {
  test('up to the root, each owner asked for once, and remembered for a minute', async () => {
    jobSetWorld();
    const cluster = connect();
    const { items, gaps } = await cluster.pods('ml', never);
    expect(gaps).toEqual([]);
    expect(items?.map(({ name, owner: found }) => [name, found?.kind ?? null, found?.isComplete])).toEqual([
      ['bare', null, undefined],
      ['w-0', 'JobSet', true],
      ['w-1', 'JobSet', true],
      ['x-0', 'Job', true],
    ]);
    expect(items?.[1]?.owner?.chain.map(({ kind }) => kind)).toEqual(['Job', 'JobSet']);
    const once = [`${jobsPath}/alone`, `${jobsPath}/run-0`, `${jobSetsPath}/run`];
    expect(gets().sort()).toEqual(once);
    await cluster.pods('ml', never);
    expect(gets()).toHaveLength(3);
    clock.advance(60_000);
    await cluster.pods('ml', never);
    expect(gets()).toHaveLength(6);
  });

  test('of 1,000 pods of two jobs: two questions', async () => {
    server.put(jobsPath, objectOf(job('a')), objectOf(job('b')));
    for (let index = 0; index < 1_000; index += 1)
      server.put(podsPath, pod(`p-${index}`, job(index % 2 ? 'a' : 'b')));
    const { items } = await connect().pods('ml', never);
    expect(items?.every(({ owner: found }) => found?.isComplete)).toBe(true);
    expect(gets().sort()).toEqual([`${jobsPath}/a`, `${jobsPath}/b`]);
  });

  test('the worker of a LeaderWorkerSet: over the pod of its leader', async () => {
    const set = owner('leaderworkerset.x-k8s.io/v1', 'LeaderWorkerSet', 'serve');
    const leaders = owner('apps/v1', 'StatefulSet', 'serve');
    const leader = owner('v1', 'Pod', 'serve-0', 'uid-serve-0');
    const workers = owner('apps/v1', 'StatefulSet', 'serve-0');
    server.put('/apis/leaderworkerset.x-k8s.io/v1/namespaces/ml/leaderworkersets', objectOf(set));
    server.put('/apis/apps/v1/namespaces/ml/statefulsets', objectOf(leaders, set), objectOf(workers, leader));
    const labels = { 'leaderworkerset.sigs.k8s.io/name': 'serve' };
    server.put(podsPath, pod('serve-0', leaders, labels), pod('serve-0-1', workers, labels));
    const cluster = connect();
    const { object: worker } = await cluster.pod('ml', 'serve-0-1', never);
    expect(worker?.owner).toMatchObject({ kind: 'LeaderWorkerSet', name: 'serve', isComplete: true });
    expect(worker?.owner?.chain.map(({ kind }) => kind)).toEqual([
      'StatefulSet',
      'Pod',
      'StatefulSet',
      'LeaderWorkerSet',
    ]);
    const found = await cluster.podsOfJob({ kind: 'LeaderWorkerSet', name: 'serve', namespace: 'ml' }, never);
    expect(found.items).toHaveLength(2);
  });

  test('an owner without a namespace', async () => {
    const policy = owner('nvidia.com/v1', 'ClusterPolicy', 'cluster-policy');
    const daemons = owner('apps/v1', 'DaemonSet', 'driver');
    server.put('/apis/nvidia.com/v1/clusterpolicies', objectOf(policy));
    server.put('/apis/apps/v1/namespaces/ml/daemonsets', objectOf(daemons, policy));
    server.put(podsPath, pod('driver-x', daemons));
    const { object } = await connect().pod('ml', 'driver-x', never);
    expect(object?.owner).toMatchObject({
      kind: 'ClusterPolicy',
      basis: 'owner-references',
      isComplete: true,
    });
  });

  test('an object that took the name of an owner is not it', async () => {
    server.put(jobsPath, objectOf({ ...job('run-0'), uid: 'another' }, jobSet));
    server.put(podsPath, pod('w-0', job('run-0')));
    const { object, gaps } = await connect().pod('ml', 'w-0', never);
    expect(object?.owner).toMatchObject({ kind: 'Job', isComplete: false });
    expect(gaps).toEqual([]);
  });

  test('an owner that a pod invents does not spoil what is known of the true one', async () => {
    jobSetWorld();
    server.put(podsPath, pod('a-liar', { ...job('no-such'), uid: job('run-0').uid }));
    const { items } = await connect().pods('ml', never);
    expect(items?.map(({ owner: found }) => found?.kind)).toEqual([
      'Job',
      undefined,
      'JobSet',
      'JobSet',
      'Job',
    ]);
  });

  it.each([
    ['Secret', 'v1', 'token'],
    ['Node', 'v1', 'gpu-1'],
    ['Job', 'batch/v1', '../../secrets/x'],
    ['../secrets', 'batch/v1', 'x'],
    ['Job', '../../api', 'x'],
  ])('nothing is asked of the API on the word of a pod owned by %j %j %j', async (kind, apiVersion, name) => {
    server.put(podsPath, pod('a', owner(apiVersion, kind, name)));
    expect((await connect().pod('ml', 'a', never)).object?.owner).toMatchObject({ kind });
    expect(gets()).toEqual([`${podsPath}/a`]);
  });

  test('a chain without end is cut', async () => {
    for (let index = 0; index < 20; index += 1)
      server.put(jobsPath, objectOf(job(`j-${index}`), job(`j-${index + 1}`)));
    server.put(podsPath, pod('a', job('j-0')));
    const { object } = await connect().pod('ml', 'a', never);
    expect(object?.owner?.isComplete).toBe(false);
    expect(object?.owner?.chain).toHaveLength(8);
    expect(gets().length).toBeLessThanOrEqual(9);
  });
});

describe('owners that cannot be read', () => {
  test('403: labels decide, the missing right is named, and the kind is not asked for again', async () => {
    jobSetWorld();
    for (const name of ['run-0', 'alone'])
      server.inject({ kind: 'status', status: 403, path: `${jobsPath}/${name}` });
    const cluster = connect({ parallel: 1 });
    const { items, gaps, isComplete } = await cluster.pods('ml', never);
    expect(isComplete).toBe(true);
    expect(items?.map(({ owner: found }) => [found?.kind, found?.basis, found?.isComplete])).toEqual([
      [undefined, undefined, undefined],
      ['JobSet', 'labels', false],
      ['JobSet', 'labels', false],
      ['Job', 'owner-references', false],
    ]);
    const missing = { field: 'pods.owner', reason: 'no-permission' };
    expect(gaps).toMatchObject([missing]);
    expect(gaps[0]?.detail).toContain('get jobs.batch in namespace ml');
    expect(gets()).toHaveLength(1);
    expect((await cluster.pods('ml', never)).gaps).toMatchObject([missing]);
    expect(gets()).toHaveLength(1);
  });

  test('one that is gone says nothing of the rights to its kind', async () => {
    const [gone, here] = ['gone', 'here'].map((name) => owner('ray.io/v1', 'RayCluster', name));
    if (!gone || !here) throw new Error('two owners');
    server.put('/apis/ray.io/v1/namespaces/ml/rayclusters', objectOf(here));
    server.put(podsPath, pod('a', gone), pod('b', here));
    server.inject({ kind: 'status', status: 403, path: '/apis/ray.io/v1/rayclusters/gone' });
    const { items, gaps } = await connect({ parallel: 1 }).pods('ml', never);
    expect(gaps).toEqual([]);
    expect(items?.map(({ owner: found }) => found?.isComplete)).toEqual([false, true]);
  });

  test('a failing server is not asked for each of many owners', async () => {
    for (let index = 0; index < 200; index += 1) {
      server.put(podsPath, pod(`p-${index}`, job(`j-${index}`)));
      server.inject({ kind: 'status', status: 500, path: `${jobsPath}/j-${index}` });
    }
    const { items, gaps } = await connect().pods('ml', never);
    expect(items).toHaveLength(200);
    expect(gets().length).toBeLessThanOrEqual(8);
    expect(gaps.map(({ field }) => field)).toContain('pods.owner');
  });

  test('more owners than are asked for: the pods are there, and a gap', async () => {
    for (let index = 0; index < 20; index += 1) {
      server.put(jobsPath, objectOf(job(`j-${index}`)));
      server.put(podsPath, pod(`p-${index}`, job(`j-${index}`)));
    }
    const { items, gaps } = await connect({ lookups: 5 }).pods('ml', never);
    expect(items?.filter(({ owner: found }) => found?.isComplete)).toHaveLength(5);
    expect(gaps).toMatchObject([{ field: 'pods.owner', reason: 'not-observable' }]);
    expect(gets()).toHaveLength(5);
  });

  test('owners that hang cost their time and not the pods', async () => {
    jobSetWorld();
    server.inject({ kind: 'dead', on: 'get' });
    const late = server.until(() => gets().length === 2).then(() => clock.advance(5_000));
    const { items, gaps } = await connect().pods('ml', never);
    await late;
    expect(items).toHaveLength(4);
    expect(gaps).toMatchObject([{ field: 'pods.owner', reason: 'timeout' }]);
  });

  test('the caller may give up while owners are asked for', async () => {
    jobSetWorld();
    server.inject({ kind: 'dead', on: 'get' });
    const caller = new AbortController();
    const asked = server.until(() => gets().length === 2).then(() => caller.abort());
    await expect(connect().pods('ml', caller.signal)).rejects.toMatchObject({ code: 'CANCELLED' });
    await asked;
  });
});

describe('pods of a job', () => {
  const find = (kind: string, name: string) => connect().podsOfJob({ kind, name, namespace: 'ml' }, never);

  test('by its label, so that the namespace is not listed', async () => {
    jobSetWorld();
    const { items, isComplete } = await find('Job', 'run-0');
    expect(items?.map(({ name }) => name)).toEqual(['w-0', 'w-1']);
    expect(isComplete).toBe(true);
    expect(lists()).toEqual(['batch.kubernetes.io/job-name=run-0']);
    expect((await find('jobset', 'run')).items).toHaveLength(2);
  });

  test('by the older label', async () => {
    server.put(jobsPath, objectOf(job('old')));
    server.put(podsPath, pod('o-0', job('old'), { 'job-name': 'old' }));
    expect((await find('Job', 'old')).items).toHaveLength(1);
    expect(lists()).toEqual(['batch.kubernetes.io/job-name=old', 'job-name=old']);
  });

  test('by owners alone, for kinds without a label', async () => {
    const cron = owner('batch/v1', 'CronJob', 'nightly');
    server.put('/apis/batch/v1/namespaces/ml/cronjobs', objectOf(cron));
    server.put(jobsPath, objectOf(job('nightly-1'), cron));
    server.put(podsPath, pod('n-0', job('nightly-1')), pod('other'));
    expect((await find('CronJob', 'nightly')).items?.map(({ name }) => name)).toEqual(['n-0']);
    expect(lists()).toEqual([null]);
  });

  test('a label that anybody wrote makes no pod of the job', async () => {
    jobSetWorld();
    server.put(podsPath, pod('forged', job('alone'), { 'batch.kubernetes.io/job-name': 'run-0' }));
    server.put(podsPath, pod('bare-forged', undefined, { 'batch.kubernetes.io/job-name': 'run-0' }));
    const { items, isComplete } = await find('Job', 'run-0');
    expect(items?.map(({ name }) => name)).toEqual(['w-0', 'w-1']);
    expect(isComplete).toBe(true);
  });

  test('a job that is not there has none', async () => {
    jobSetWorld();
    expect(await find('Job', 'no-such')).toEqual({ items: [], isComplete: true, gaps: [] });
  });

  test('none found among pods whose owners could not be read is not known to be none', async () => {
    const mpi = owner('kubeflow.org/v2beta1', 'MPIJob', 'sim');
    server.put(jobsPath, objectOf(job('sim-launcher'), mpi));
    server.put(podsPath, pod('l-0', job('sim-launcher'), { 'training.kubeflow.org/job-name': 'sim' }));
    server.inject({ kind: 'status', status: 403, path: `${jobsPath}/sim-launcher` });
    const { items, isComplete, gaps } = await find('MPIJob', 'sim');
    expect([items, isComplete]).toEqual([[], false]);
    expect(gaps.map(({ reason }) => reason)).toEqual(['no-permission', 'not-observable']);
  });

  test('planted fault: labels believed without owners would be seen', async () => {
    jobSetWorld();
    server.put(podsPath, pod('forged', job('alone'), { 'job-name': 'run-0' }));
    const labelled = (await connect().pods('ml', never)).items?.filter(
      ({ labels }) => labels['job-name'] === 'run-0',
    );
    expect(labelled).toHaveLength(3);
    expect((await find('Job', 'run-0')).items).not.toEqual(labelled);
  });
});
