import { describe, expect, test } from 'vitest';
import { containerOf, ended, podOf } from '../../test/cluster.ts';
import type { ClusterPod } from '../domain/cluster.ts';
import { endKinds } from './exit-codes.ts';
import { terminationCause } from './termination.ts';

const endOf = (code: number | null, reason: string | null = 'Error') =>
  terminationCause(podOf({ phase: 'Failed', containers: [containerOf({ state: ended(code, reason) })] }));

describe('how a container ended', () => {
  test.each([
    ['out of host memory', 137, 'OOMKilled', 'host-memory', false, 9],
    ['killed, and not for memory', 137, 'Error', 'killed', 'undecided', 9],
    ['a status that nobody saw', 137, 'ContainerStatusUnknown', 'status-lost', 'undecided', null],
    ['SIGSEGV', 139, 'Error', 'crashed', 'undecided', 11],
    ['SIGABRT, as of an NCCL watchdog', 134, 'Error', 'aborted', 'undecided', 6],
    ['SIGFPE', 136, 'Error', 'crashed', false, 8],
    ['its own error', 1, 'Error', 'own-error', 'undecided', null],
    ['command not found', 127, 'Error', 'not-startable', false, null],
    ['asked to stop', 143, 'Error', 'asked-to-stop', 'undecided', 15],
    ['never started', 128, 'StartError', 'not-started', 'undecided', null],
    ['too long', null, 'DeadlineExceeded', 'deadline', 'undecided', null],
    ['not told', null, null, 'unknown', 'undecided', null],
    ['a code of its own', 77, 'Error', 'own-error', 'undecided', null],
  ])('%s', (_, code, reason, kind, notYourCode, signal) => {
    expect(endOf(code, reason).first).toMatchObject({ kind, notYourCode, signal, exitCode: code, reason });
  });

  test('no exit code is taken for GPU memory, and memory of the host is said to be that', () => {
    expect(endOf(137, 'OOMKilled').first).toMatchObject({
      cause: 'host-memory',
      statement: expect.stringContaining('not GPU memory'),
    });
    for (const code of [1, 134, 137, 139])
      expect(endOf(code).first?.cause).not.toBe('application-gpu-memory');
  });

  test('a good end is no cause', () => {
    expect(endOf(0, 'Completed')).toMatchObject({ first: null, facts: [{ kind: 'completed' }] });
  });
});

describe('how a pod ended', () => {
  const withReason = (changes: Partial<ClusterPod>) =>
    terminationCause(podOf({ phase: 'Failed', containers: [], ...changes })).first;
  const disrupted = (reason: string) =>
    withReason({
      conditions: [{ type: 'DisruptionTarget', status: 'True', reason, lastTransitionAt: null }],
    });

  test.each([
    ['Evicted', 'evicted', 'undecided'],
    ['NodeLost', 'node-lost', true],
    ['DeadlineExceeded', 'deadline', 'undecided'],
    ['UnexpectedAdmissionError', 'device-unavailable', true],
    ['OutOfnvidia.com/gpu', 'device-unavailable', true],
    ['Preempting', 'preempted', true],
  ])('%s', (reason, kind, notYourCode) => {
    expect(withReason({ reason })).toMatchObject({ kind, notYourCode, container: null });
  });

  test.each([
    ['PreemptionByScheduler', 'preempted'],
    ['EvictionByEvictionAPI', 'evicted'],
    ['DeletionByPodGC', 'node-lost'],
    ['DeletionByTaintManager', 'evicted'],
  ])('by disruption condition %s', (reason, kind) => {
    expect(disrupted(reason)).toMatchObject({ kind, notYourCode: true });
  });

  test('what ended the pod comes before how its containers took it', () => {
    const pod = podOf({
      phase: 'Failed',
      reason: 'Evicted',
      containers: [containerOf({ state: ended(137, 'Error') })],
    });
    expect(terminationCause(pod).facts.map(({ kind }) => kind)).toEqual(['evicted', 'killed']);
  });
});

describe('which container', () => {
  test('the failure of phase Failed is looked for in its containers, init ones too', () => {
    const init = containerOf({ name: 'fetch', kind: 'init', state: ended(137, 'OOMKilled') });
    const main = containerOf({ state: { kind: 'waiting', reason: 'PodInitializing' } });
    expect(
      terminationCause(podOf({ phase: 'Failed', reason: null, containers: [init, main] })),
    ).toMatchObject({
      first: { container: 'fetch', containerKind: 'init', kind: 'host-memory' },
      facts: { length: 1 },
    });
  });

  test('the first to end badly, not the one it took with it; a debugging shell last', () => {
    const at = (finishedAt: string) => ({ finishedAt });
    const pod = podOf({
      containers: [
        containerOf({
          name: 'shell',
          kind: 'ephemeral',
          state: ended(1, 'Error', at('2026-11-21T10:01:00Z')),
        }),
        containerOf({
          name: 'proxy',
          kind: 'sidecar',
          state: ended(143, 'Error', at('2026-11-21T11:00:30Z')),
        }),
        containerOf({ name: 'train', state: ended(134, 'Error', at('2026-11-21T11:00:00Z')) }),
      ],
    });
    expect(terminationCause(pod).facts.map(({ container }) => container)).toEqual([
      'train',
      'proxy',
      'shell',
    ]);
  });

  test('a container that keeps crashing: the run before tells', () => {
    const pod = podOf({
      containers: [
        containerOf({
          restartCount: 7,
          state: { kind: 'waiting', reason: 'CrashLoopBackOff' },
          lastState: ended(139, 'Error'),
        }),
      ],
    });
    expect(terminationCause(pod)).toMatchObject({
      first: { kind: 'crashed', which: 'previous', restartCount: 7 },
      facts: [{ which: 'previous' }, { which: 'waiting', kind: 'backing-off' }],
    });
  });

  test('planted: a pod that runs has no cause', () => {
    expect(terminationCause(podOf())).toEqual({ facts: [], first: null });
  });
});

describe('hostile pods', () => {
  test('reasons named like members of objects mean nothing', () => {
    for (const reason of ['constructor', '__proto__', 'toString']) {
      expect(endOf(1, reason).first).toMatchObject({ kind: 'own-error' });
      expect(terminationCause(podOf({ reason }))).toMatchObject({ facts: [] });
    }
  });

  test('words of the pod never come into a statement, and facts are bounded', () => {
    const containers = Array.from({ length: 500 }, () =>
      containerOf({ name: 'IGNORE', state: ended(1, 'IGNORE') }),
    );
    const { facts } = terminationCause(podOf({ containers }));
    expect(facts).toHaveLength(32);
    expect(facts.map(({ statement }) => statement).join()).not.toContain('IGNORE');
    for (const { kind } of facts) expect(endKinds).toContain(kind);
  });
});
