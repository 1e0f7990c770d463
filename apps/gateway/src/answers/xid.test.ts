import { beforeAll, expect, test } from 'vitest';
import { agentAnswer, asking, fanOut, ok } from '../../test/agent-answers.ts';
import { podsIn } from '../../test/pods.ts';
import { createPodJoin } from '../domain/pod-join.ts';
import { withPods } from './processes-pods.ts';
import { presentXidErrors } from './xid.ts';

const question = asking('analyze_xid_errors');
let quiet: Record<string, unknown>;
let offBus: Record<string, unknown>;
let pageFault: Record<string, unknown>;
beforeAll(async () => {
  quiet = await agentAnswer('analyze_xid_errors', 'healthy-8xh100');
  offBus = await agentAnswer('analyze_xid_errors', 'fallen-off-bus');
  pageFault = await agentAnswer('analyze_xid_errors', 'application-page-fault');
});

test('incidents by number over the nodes', () => {
  const outcomes = [ok('gpu-a', quiet), ok('gpu-b', offBus), ok('gpu-c', offBus), ok('gpu-d', pageFault)];
  const answer = presentXidErrors(question, fanOut(outcomes));
  expect(answer['verdict']).toBe('critical');
  expect(answer['incidents']).toContainEqual(
    expect.objectContaining({
      xid: 79,
      title: 'Xid 79 (GPU has fallen off the bus)',
      verdict: 'critical',
      action: 'reboot-node',
      nodeCount: 2,
      nodes: ['gpu-b', 'gpu-c'],
    }),
  );
  // The verdict of an error of a program is ok, and still it is told.
  expect(answer['incidents']).toContainEqual(
    expect.objectContaining({ xid: 31, verdict: 'ok', nodes: ['gpu-d'] }),
  );
  expect(answer['nextSteps']).toMatchObject([
    { action: 'reboot-node', node: 'gpu-b', tool: 'explain_failure' },
  ]);
  expect(answer['nodes']).toMatchObject([
    { node: 'gpu-b' },
    { node: 'gpu-c' },
    { node: 'gpu-a' },
    { node: 'gpu-d' },
  ]);
});

test('log text stands in raw only, and only in full answers', () => {
  const bare = JSON.stringify(presentXidErrors(question, fanOut([ok('gpu-b', offBus)])));
  expect(bare).not.toContain('NVRM');
  const answer = presentXidErrors({ ...question, detail: 'full' }, fanOut([ok('gpu-b', offBus)]));
  const [row] = answer['nodes'] as { incidents: { raw: string }[] }[];
  expect(row?.incidents.some(({ raw }) => raw.includes('NVRM'))).toBe(true);
});

test('quiet logs are ok; one that cannot be read is unknown', () => {
  expect(presentXidErrors(question, fanOut([ok('gpu-a', quiet)]))).toMatchObject({
    verdict: 'ok',
    incidents: [],
  });
  const blind = { ...quiet, coverage: { kernelLog: { source: 'none', readable: false } } };
  const answer = presentXidErrors(question, fanOut([ok('gpu-a', blind)]));
  expect(answer['verdict']).toBe('unknown');
  expect(answer['summary']).toContain('The kernel log of 1 node could not be read.');
  // Planted: of a log that nobody read nothing is said.
  expect(answer['summary']).not.toContain('No GPU errors');
  const half = presentXidErrors(question, fanOut([ok('gpu-a', blind), ok('gpu-b', quiet)]));
  expect(half['summary']).toContain('No GPU errors in the kernel logs that were read.');
});

test('Xid 154, which is advice, comes after the fault that it comes of', () => {
  const [incident] = offBus['incidents'] as object[];
  const of = (xid: number) => ({ ...incident, kind: 'xid', xid, verdict: 'critical', action: 'reboot-node' });
  const told = { ...offBus, incidents: [of(154), of(95)] };
  const answer = presentXidErrors(question, fanOut([ok('gpu-a', told), ok('gpu-b', told)]));
  expect(answer['findings']).toMatchObject([{ ruleId: 'log.xid-95' }, { ruleId: 'log.xid-154' }]);
  expect(answer['summary']).toContain('Worst: Xid 95');
  expect(answer['nextSteps']).toMatchObject([{ reason: expect.stringContaining('Xid 95') }]);
});

test('planted fault: what a program wrote makes no verdict and no step', () => {
  const forged = (offBus['incidents'] as object[]).map((incident) => ({ ...incident, trusted: false }));
  const told = { ...offBus, verdict: 'ok', nextSteps: [], incidents: forged };
  const answer = presentXidErrors(question, fanOut([ok('gpu-a', told)]));
  expect(answer).toMatchObject({ verdict: 'ok', nextSteps: [] });
  expect(answer['incidents']).toMatchObject(
    [{ trusted: false }, {}, {}].slice(0, (answer['incidents'] as []).length),
  );
});

/** The incidents of a page fault, each with the facts of a process that still runs. */
async function withFacts(changes: object = {}) {
  const holders = await agentAnswer('get_gpu_processes', 'healthy-8xh100');
  const [holder] = holders['processes'] as Record<string, unknown>[];
  const { pid, startedAt, container, podUid } = holder ?? {};
  const processes = [{ pid, name: 'python3', startedAt, container, podUid, ...changes }];
  const incidents = (pageFault['incidents'] as object[]).map((incident) => ({ ...incident, processes }));
  const pods = ['gpu-a', 'gpu-b'].flatMap((node) => podsIn(node, holders));
  return { content: { ...pageFault, incidents }, known: { join: createPodJoin(pods), gaps: [] } };
}
const llama = { namespace: 'ml', kind: 'PyTorchJob', name: 'llama' };
const inPod = {
  pod: { namespace: 'ml', name: 'llama-worker-0' },
  container: { name: 'pytorch' },
  owner: { kind: 'PyTorchJob', name: 'llama' },
};

test('a process that still runs has its pod, and the incidents of all nodes their jobs', async () => {
  const { content, known } = await withFacts();
  const answer = presentXidErrors(question, fanOut([ok('gpu-a', content), ok('gpu-b', content)]), known);
  expect(answer['incidents']).toContainEqual(
    expect.objectContaining({ xid: 31, nodeCount: 2, owners: [llama], ownerCount: 1 }),
  );
  expect(answer['nodes']).toMatchObject([{ incidents: [{ xid: 31, pods: [inPod] }, {}] }, {}]);
  const [incident] = withPods('gpu-a', content, known)['incidents'] as { processes: object[] }[];
  expect(incident?.processes).toMatchObject([inPod]);
});

test('planted fault: no owner for a reused pid, a forged line, a pod that is gone, another node', async () => {
  const ownersOf = ({ content, known }: Awaited<ReturnType<typeof withFacts>>, node = 'gpu-a') => {
    const [group] = presentXidErrors(question, fanOut([ok(node, content)]), known)['incidents'] as object[];
    return (group as { owners?: unknown }).owners;
  };
  const real = await withFacts();
  expect(ownersOf(real)).toEqual([llama]);
  const incidents = real.content.incidents.map((incident) => ({ ...incident, trusted: false }));
  expect(ownersOf({ ...real, content: { ...real.content, incidents } })).toBeUndefined();
  expect(ownersOf(await withFacts({ startedAt: '2020-01-01T00:00:00Z' }))).toBeUndefined();
  expect(ownersOf(await withFacts({ podUid: 'gone' }))).toBeUndefined();
  expect(ownersOf(real, 'gpu-z')).toBeUndefined();
  const gone = await withFacts({ podUid: 'gone' });
  expect(presentXidErrors(question, fanOut([ok('gpu-a', gone.content)]), gone.known)['nodes']).toMatchObject([
    { incidents: [{ pods: [{ podBecause: 'pod-not-listed' }] }, {}] },
  ]);
});

test('a process of which the agent tells nothing is left as it is', () => {
  const known = { join: createPodJoin([]), gaps: [] };
  expect(withPods('gpu-a', pageFault, known)).toEqual(pageFault);
});
