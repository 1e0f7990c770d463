import { describe, expect, test } from 'vitest';
import { containerOf, ended, podOf } from '../../test/cluster.ts';
import { podOfProcess } from './process-pod.ts';

const id = 'ab'.repeat(32);
const other = 'cd'.repeat(32);
const pod = podOf({ containers: [containerOf({ containerId: id })] });
const process = (changes: Partial<Parameters<typeof podOfProcess>[0]> = {}) => ({
  podUid: pod.uid,
  container: { id, runtime: 'containerd' },
  startedAt: '2026-11-21T10:00:05Z',
  ...changes,
});
const because = (changes: Parameters<typeof process>[0], pods = [pod]) => {
  const found = podOfProcess(process(changes), pods);
  return found.pod === null ? found.because : 'found';
};

describe('a process of a pod', () => {
  test('is found by uid and container', () => {
    expect(podOfProcess(process(), [podOf({ uid: 'x' }), pod])).toEqual({
      pod,
      container: pod.containers[0],
    });
  });

  test.each([
    ['the systemd cgroup driver writes underscores', { podUid: pod.uid.replaceAll('-', '_') }],
    ['no uid in the path, the container alone', { podUid: null }],
    ['an id with its runtime before it', { container: { id: `containerd://${id}`, runtime: null } }],
    ['the start is not known', { startedAt: null }],
    ['the API rounds to seconds', { startedAt: '2026-11-21T09:59:59Z' }],
  ])('%s', (_, changes) => expect(because(changes)).toBe('found'));

  test('of an init, or a former, container', () => {
    const init = podOf({
      containers: [
        containerOf({
          kind: 'init',
          containerId: other,
          state: ended(0, 'Completed', { containerId: other }),
        }),
        containerOf({ containerId: null, state: null, lastState: ended(1, 'Error', { containerId: id }) }),
      ],
    });
    expect(because({}, [init])).toBe('found');
    expect(because({ container: { id: other, runtime: null } }, [init])).toBe('found');
  });

  test('a static pod, by the hash that its cgroups carry', () => {
    const mirror = podOf({
      uid: 'api-uid',
      staticPodUid: '0f1e2d',
      containers: [containerOf({ containerId: id })],
    });
    expect(because({ podUid: '0f1e2d' }, [mirror])).toBe('found');
  });
});

describe('what cannot be meant', () => {
  test.each([
    ['not-in-a-pod', { podUid: null, container: null }],
    ['pod-not-listed', { podUid: 'gone' }],
    ['container-not-of-this-pod', { container: { id: other, runtime: null } }],
    ['container-not-of-this-pod', { container: null }],
    ['started-before-its-container', { startedAt: '2026-11-21T09:00:00Z' }],
  ])('%s', (reason, changes) => expect(because(changes)).toBe(reason));

  test('started after its container ended: a pid that is used again', () => {
    const gone = podOf({
      containers: [containerOf({ containerId: id, state: ended(0, 'Completed', { containerId: id }) })],
    });
    expect(because({ startedAt: '2026-11-21T12:00:00Z' }, [gone])).toBe('started-after-its-container-ended');
    expect(because({ startedAt: '2026-11-21T10:30:00Z' }, [gone])).toBe('found');
  });
});
