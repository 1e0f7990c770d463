import type { Terminal } from '@k8s-gpu-mcp/command-line';
import type { StructuredContent } from '@k8s-gpu-mcp/core';
import { describe, expect, test } from 'vitest';
import { jobAnswer, memoryAnswer, podAnswer } from '../../../test/workload-answers.ts';
import { renderDiagnosis } from './diagnosis.ts';
import { renderTopOfCluster, renderTopOfNode } from './top.ts';

const pipe: Terminal = {
  hasColor: false,
  columns: Number.POSITIVE_INFINITY,
  style: (_style, text) => text,
  write: async () => {},
};
const rendered = (answer: StructuredContent) => renderDiagnosis(answer, pipe);

describe('diagnose of a pod', () => {
  const text = rendered(podAnswer);
  test('names hardware, GPU, pod, owner and node, and the one thing to do', () => {
    const [first, second] = text.split('\n');
    expect(first).toBe('CRITICAL  GPU 3  not your code: hardware (GPU off its bus) (confidence high)');
    expect(second).toMatch(/^pod ml\/train-0 of Job train {2}gpu-1 {2}\d{4}-/);
    expect(text).toMatch(/Do now\n {2}reboot-node: Xid 79 on GPU 3 of node gpu-1/);
  });
  test('says how its container ended and what its node saw', () => {
    expect(text).toMatch(
      /How it ended\n {2}train-0\/main on gpu-1 {2}own-error, reason Error, exit code 1, at 2026-/,
    );
    expect(text).toMatch(/^gpu-1 +CRITICAL +1 +True +GPU 3: hardware \(GPU off its bus\), Xid 154, Xid 79$/m);
  });
  test('says what else it could be, and how sure that is', () => {
    expect(text).toMatch(/What else it could be\n {2}confidence low {2}undecided: .* Then: check-app\./);
    expect(text).toMatch(/Not seen\n {2}- No events/);
  });
});

describe('diagnose of a job', () => {
  const text = rendered(jobAnswer);
  test('names the job, its size, and the node that failed first', () => {
    expect(text.split('\n')[1]).toMatch(/^Job ml\/train, 2 pods on 2 nodes {2}gpu-1 {2}/);
    expect(text).toMatch(/^ {2}2 pods on 2 nodes: own-error, reason Error, exit code 1$/m);
  });
  test('has a row for each node and an end for each pod, the first first', () => {
    expect(text).toMatch(/^gpu-2 +UNKNOWN +1 +True/m);
    expect(text.indexOf('train-0/main')).toBeLessThan(text.indexOf('train-1/main'));
  });
});

test('a pod that its own limit ended is told as its own', () => {
  const text = rendered(memoryAnswer);
  expect(text.split('\n')[0]).toMatch(/^\w+ {2}your code: out of main memory/);
  // 137 is 128 and SIGKILL; OOMKilled is the kubelet's word.
  expect(text).toMatch(/^ {2}greedy\/main on gpu-2 {2}[\w-]+, reason OOMKilled, exit code 137/m);
});

describe('the command that shows what the program said', () => {
  const command = 'kubectl logs POD --namespace NAMESPACE --all-containers --previous';
  const withStep = {
    ...podAnswer,
    nextSteps: [{ action: 'none', reason: 'See what the program itself said.', command }],
  };
  const [end = {}] = podAnswer['terminations'] as readonly StructuredContent[];
  test('names the first pod that ended, and its namespace', () => {
    expect(rendered(withStep)).toContain(
      '(run kubectl logs train-0 --namespace ml --all-containers --previous)',
    );
  });
  test.each([
    ['a;reboot', 'ml'],
    ['-v', 'ml'],
    ['a..b', 'ml'],
    ['$(id)', 'ml'],
    ['Train', 'ml'],
    ['a'.repeat(254), 'ml'],
    [undefined, 'ml'],
    ['train-0', 'a.b'],
    ['train-0', '--all'],
    ['train-0', 'm'.repeat(64)],
  ])('planted fault: %j in %j is no name, and the places stay', (pod, namespace) => {
    const answer = {
      ...withStep,
      subject: { namespace, pod: 'train-0' },
      terminations: [{ ...end, pod }],
    };
    expect(rendered(answer)).toContain(`(run ${command})`);
  });
  test('no other command is changed', () => {
    const other = 'kubectl get pods --namespace NAMESPACE # kubectl logs POD --namespace NAMESPACE';
    const step = { action: 'none', reason: 'See.', command: other };
    expect(rendered({ ...withStep, nextSteps: [step] })).toContain(`(run ${other})`);
  });
});

test.each([
  [{ simulatedNodeCount: 1 }, true],
  [{ simulated: true }, true],
  [{ simulatedNodeCount: 0 }, false],
  [{}, false],
])('GPUs of a workload with %j are told as simulated: %j', (gpuBackend, isTold) => {
  const [, second] = rendered({ ...podAnswer, coverage: { gpuBackend } }).split('\n');
  expect(second?.endsWith('  SIMULATED GPUs')).toBe(isTold);
});

describe('what was not heard, and what is newer than this program', () => {
  const silent = {
    node: 'gpu-9',
    podCount: 1,
    ready: 'gone',
    gpusHeld: null,
    verdict: null,
    because: 'timeout',
  };
  test('a node whose agent was not heard is unknown', () => {
    const text = rendered({ ...podAnswer, nodes: [silent] });
    expect(text).toMatch(/^gpu-9 +UNKNOWN +1 +gone +its agent was not heard: timeout$/m);
  });
  test('ends and nodes that the answer leaves out are counted', () => {
    const [end] = podAnswer['terminations'] as readonly StructuredContent[];
    const text = rendered({
      ...jobAnswer,
      subject: { namespace: 'ml', job: { kind: 'Job', name: 'train' }, nodeCount: 9 },
      terminations: Array.from({ length: 40 }, () => end),
      endedPodCount: 64,
    });
    expect(text).toContain('and 52 more ends');
    expect(text).toContain('and 7 more nodes');
  });
  test('a cause of a newer gateway is told by its name', () => {
    expect(rendered({ ...podAnswer, cause: 'cosmic-ray' })).toContain('not your code: cosmic-ray');
  });
  test("messages of the cluster's events stand behind a bar, and cannot move the cursor", () => {
    const event = {
      about: { kind: 'Pod', name: 'train-0' },
      type: 'Warning',
      reason: 'BackOff',
      lastAt: '2026-11-21T16:17:04Z',
      message: 'evil\u001b[2J\nCRITICAL',
    };
    const text = rendered({ ...podAnswer, events: [event] });
    expect(text).toMatch(/Events\n {2}Pod train-0 BackOff, at 2026-11-21T16:17:04Z\n {4}\| evil/);
    expect(text).not.toContain('\u001b');
  });
});

describe('top', () => {
  const joined = {
    pid: 7,
    name: 'python3',
    podUid: '0a1b',
    pod: { namespace: 'ml', name: 'train-0' },
    container: { name: 'main' },
    owner: { kind: 'Job', name: 'train' },
    gpus: [{ index: 0, memoryUsedBytes: 2 ** 30 }],
    memoryUsedBytes: 2 ** 30,
  };
  test('names pod and job of a holder where the gateway knows them', () => {
    const cluster = { scope: 'cluster', nodes: [{ node: 'gpu-1', status: 'ok', holders: [joined] }] };
    expect(renderTopOfCluster(cluster, pipe)).toContain('python3 1.0 GiB (ml/train-0 of Job train)');
    expect(renderTopOfNode({ node: 'gpu-1', processes: [joined] }, pipe)).toMatch(
      /^ *7 +0: 1\.0 GiB +ml\/train-0 of Job train +python3$/m,
    );
  });
  test.each([
    [{ ...joined, pod: undefined, owner: undefined, podBecause: 'not-listed' }, 'pod 0a1b'],
    [{ ...joined, owner: undefined }, 'ml/train-0'],
    [{ ...joined, pod: 'evil', podUid: null, container: { id: 'c'.repeat(64) } }, 'container cccccccccccc'],
  ])('else what is known', (process, owner) => {
    expect(renderTopOfNode({ node: 'gpu-1', processes: [process] }, pipe)).toMatch(
      new RegExp(` ${owner} +python3$`, 'm'),
    );
  });
});

test('planted fault: an answer without its ends and nodes shows none', () => {
  const { terminations: _ends, ways: _ways, nodes: _nodes, ...bare } = podAnswer;
  const text = rendered(bare);
  for (const heading of ['How it ended', 'Its nodes']) {
    expect(rendered(podAnswer)).toContain(heading);
    expect(text).not.toContain(heading);
  }
});
