import {
  type Cluster,
  type ClusterPod,
  type ListReading,
  type StructuredContent,
  silentLogger,
  systemClock,
} from '@k8s-gpu-mcp/core';
import { beforeAll, describe, expect, test } from 'vitest';
import { agentAnswer } from '../../test/agent-answers.ts';
import { ownedBy, podsIn } from '../../test/pods.ts';
import { Circuits } from '../domain/circuit.ts';
import { FanOut } from '../domain/fan-out.ts';
import { type AgentCall, AgentFailure, type AgentReply } from '../ports/agent-client.ts';
import type { AgentNode, NodeDirectory } from '../ports/node-directory.ts';
import { createClusterTools } from './create-cluster-tools.ts';

type Row = Readonly<Record<string, unknown>>;

const node = (name: string): AgentNode => ({
  name,
  url: `http://${name}/mcp`,
  labels: {},
  notReadyBecause: null,
  instance: name,
  mayReceiveToken: true,
});

let answers: Readonly<Record<string, StructuredContent>>;
beforeAll(async () => {
  const told = await Promise.all(
    ['get_gpu_processes', 'get_gpu_inventory', 'compare_gpus', 'analyze_xid_errors'].map(
      async (tool) =>
        [
          tool,
          await agentAnswer(tool, 'straggler', { input: tool === 'compare_gpus' ? { detail: 'full' } : {} }),
        ] as const,
    ),
  );
  answers = Object.fromEntries(told);
});

const whole = <T>(items: readonly T[]): ListReading<T> => ({ items, isComplete: true, gaps: [] });

/** A cluster of these pods; only what the tools use. */
function clusterOf(pods: readonly ClusterPod[], fails?: ListReading<ClusterPod>) {
  const reads: string[] = [];
  const list = (read: string, items: readonly ClusterPod[]) => {
    reads.push(read);
    return Promise.resolve(fails ?? whole(items));
  };
  const cluster = {
    pods: (namespace: string | null) =>
      list(
        `pods ${namespace}`,
        pods.filter((pod) => namespace === null || pod.namespace === namespace),
      ),
    podsOnNode: (name: string) =>
      list(
        `node ${name}`,
        pods.filter((pod) => pod.node === name),
      ),
    podsOfJob: ({ namespace, kind, name }: { namespace: string; kind: string; name: string }) =>
      list(
        `job ${kind}/${name}`,
        pods.filter(
          (pod) => pod.namespace === namespace && pod.owner?.kind === kind && pod.owner.name === name,
        ),
      ),
  } as unknown as Cluster;
  return { cluster, reads };
}

/** An agent that calls the arguments wrong: its text. */
type Refuse = (call: AgentCall) => string | undefined;

function rig(
  cluster?: Cluster | null,
  nodes = ['gpu-a', 'gpu-b', 'gpu-c'],
  refuse: Refuse = () => undefined,
) {
  const directory: NodeDirectory = {
    kind: 'kubernetes',
    snapshot: () => ({
      nodes: nodes.map(node),
      readAt: '2026-01-01T00:00:00.000Z',
      staleSince: null,
      problem: null,
    }),
    settled: async () => {},
    onChange: () => () => {},
    close: async () => {},
  };
  const calls: AgentCall[] = [];
  const client = {
    call: async (call: AgentCall): Promise<AgentReply> => {
      calls.push(call);
      const text = refuse(call);
      if (text !== undefined) return { isError: true, text };
      const structuredContent = answers[call.tool];
      if (!structuredContent) throw new AgentFailure('incompatible', 'the agent does not have this tool');
      return { isError: false, structuredContent };
    },
    retain: () => {},
    close: async () => {},
  };
  const clock = systemClock;
  const logger = silentLogger;
  const fanOut = new FanOut({
    directory,
    client,
    circuits: new Circuits({ clock }),
    clock,
    logger,
    random: () => 0,
  });
  const tools = createClusterTools({
    directory,
    fanOut,
    clock,
    logger,
    deadlineMilliseconds: 5_000,
    newCorrelationId: () => '0123456789abcdef',
    ...(cluster === undefined ? {} : { cluster }),
  });
  const ask = async (name: string, input: unknown) => {
    const result = await tools.find((tool) => tool.name === name)?.call(input);
    if (!result) throw new Error(`no tool ${name}`);
    return result;
  };
  const answer = async (name: string, input: unknown) => {
    const result = await ask(name, input);
    if (result.isError) throw new Error(result.text);
    return result.structuredContent;
  };
  return { tools, calls, ask, answer };
}

const llama = { kind: 'PyTorchJob', name: 'llama' };
const podsOf = (...nodes: string[]) =>
  nodes.flatMap((name) => podsIn(name, answers['get_gpu_processes'] ?? {}, { name: `llama-${name}` }));

describe('get_gpu_processes', () => {
  test('one node: pods of that node, read once', async () => {
    const { cluster, reads } = clusterOf(podsOf('gpu-a', 'gpu-b'));
    const { answer } = rig(cluster);
    for (let time = 0; time < 2; time += 1) {
      const { processes } = await answer('get_gpu_processes', { node: 'gpu-a' });
      expect((processes as Row[])[0]).toMatchObject({
        pod: { namespace: 'ml', name: 'llama-gpu-a' },
        container: { name: 'pytorch', runtime: 'containerd' },
        owner: llama,
      });
    }
    expect(reads).toEqual(['node gpu-a']);
  });

  test('all nodes: one list of all pods', async () => {
    const { cluster, reads } = clusterOf(podsOf('gpu-a', 'gpu-b'));
    const answer = await rig(cluster).answer('get_gpu_processes', {});
    expect(answer['owners']).toMatchObject([{ namespace: 'ml', ...llama, nodeCount: 2 }]);
    expect(reads).toEqual(['pods null']);
  });

  test('planted fault: an API server that refuses is a gap, and the processes are there all the same', async () => {
    const gaps = [{ field: 'pods', reason: 'no-permission' as const, detail: 'may not list pods' }];
    const { cluster } = clusterOf([], { items: null, isComplete: false, gaps });
    const { answer } = rig(cluster);
    expect((await answer('get_gpu_processes', { node: 'gpu-a' }))['gaps']).toContainEqual(gaps[0]);
    const many = await answer('get_gpu_processes', {});
    expect(many['gaps']).toContainEqual(gaps[0]);
    expect(many['processCount']).toBeGreaterThan(0);
    expect(many).not.toHaveProperty('owners');
  });

  test.each([null, undefined])('without an API server (%s) the agent speaks for itself', async (cluster) => {
    const { answer, tools } = rig(cluster);
    expect(await answer('get_gpu_processes', { node: 'gpu-a' })).toEqual(answers['get_gpu_processes']);
    expect(await answer('get_gpu_processes', {})).not.toHaveProperty('owners');
    const compare = tools.find(({ name }) => name === 'compare_gpus');
    expect(Object.keys(compare?.inputSchema.shape ?? {})).not.toContain('job');
  });

  test('other tools do not read pods', async () => {
    const { cluster, reads } = clusterOf([]);
    const { answer } = rig(cluster);
    await answer('get_gpu_inventory', {});
    await answer('get_gpu_inventory', { node: 'gpu-a' });
    expect(reads).toEqual([]);
  });
});

describe('what every node calls wrong input', () => {
  const said = 'INVALID_INPUT: Invalid arguments for analyze_xid_errors: since = "-5m" is no time.';

  test('is an error of the caller, and no outage', async () => {
    const result = await rig(null, undefined, () => said).ask('analyze_xid_errors', { since: '-5m' });
    expect(result).toMatchObject({ isError: true, code: 'INVALID_INPUT' });
    expect(result.isError && result.text).toContain(
      String.raw`node gpu-a: its agent said: "Invalid arguments for analyze_xid_errors: since = \"-5m\" is no time."`,
    );
  });

  test('planted fault: one that answers, or another error, is told per node', async () => {
    const one = rig(null, undefined, ({ node: { name } }) => (name === 'gpu-a' ? undefined : said));
    expect(await one.answer('analyze_xid_errors', {})).toMatchObject({ statusCounts: { ok: 1, error: 2 } });
    const ill = rig(null, undefined, () => 'UNAVAILABLE: no driver.');
    expect(await ill.answer('analyze_xid_errors', {})).toMatchObject({ statusCounts: { error: 3 } });
  });

  test('of one node: the code once', async () => {
    const refuse = () => 'GPU_NOT_FOUND: gpu = "17" is not on this node.';
    expect(await rig(null, undefined, refuse).ask('get_gpu_health', { node: 'gpu-a' })).toMatchObject({
      code: 'GPU_NOT_FOUND',
      text: expect.stringMatching(/^GPU_NOT_FOUND: node gpu-a: its agent said: "gpu = /),
    });
  });
});

describe('a tool of one node, asked of several', () => {
  test.each(['explain_failure', 'get_incident_report'])(
    '%s tells what else it may be asked of',
    async (tool) => {
      const { cluster } = clusterOf([]);
      expect(await rig(cluster).ask(tool, {})).toMatchObject({
        code: 'INVALID_INPUT',
        text: expect.stringContaining(
          'and 3 are meant. Give node, pod or job; get_gpu_health without node shows the worst node.',
        ),
      });
      expect(await rig(null).ask(tool, {})).toMatchObject({
        text: expect.stringContaining('meant. Give node; get_gpu_health without node'),
      });
    },
  );

  test('others name nodes', async () => {
    expect(await rig(null).ask('get_gpu_topology', {})).toMatchObject({
      text: expect.stringContaining('Name one node, for example "gpu-a"'),
    });
  });
});

describe('compare_gpus of a job', () => {
  const compare = (input: Row, pods = podsOf('gpu-a', 'gpu-b'), nodes?: string[]) => {
    const { cluster, reads } = clusterOf(pods);
    return { reads, ...rig(cluster, nodes), input };
  };

  test.each([
    { job: 'ml/PyTorchJob/llama' },
    { job: 'PyTorchJob/llama', namespace: 'ml' },
    { job: 'llama', namespace: 'ml' },
  ])('%j: only its nodes are asked, and they are one cohort', async (input) => {
    const { answer, calls } = compare(input);
    expect(await answer('compare_gpus', input)).toMatchObject({
      nodeCount: 2,
      gpuCount: 16,
      job: { namespace: 'ml', ...llama, podCount: 2, nodeCount: 2, gpusKnownBy: { 'all-requested': 2 } },
    });
    expect(new Set(calls.map((call) => call.node.name))).toEqual(new Set(['gpu-a', 'gpu-b']));
    // The agent has no such argument.
    expect(JSON.stringify(calls.map((call) => call.arguments))).not.toContain('llama');
  });

  test('an unknown job names those that come near', async () => {
    const { ask } = compare({});
    expect(await ask('compare_gpus', { job: 'ml/PyTorchJob/lama' })).toMatchObject({
      isError: true,
      code: 'INVALID_INPUT',
      text: expect.stringContaining('PyTorchJob/llama'),
    });
  });

  test('planted fault: a node of the job without an agent is not healthy', async () => {
    const { answer } = compare({}, podsOf('gpu-a', 'gpu-z'));
    const told = await answer('compare_gpus', { job: 'ml/PyTorchJob/llama' });
    expect(told).toMatchObject({ nodeCount: 2, statusCounts: { ok: 1, 'not-ready': 1 } });
    expect(told['verdict']).not.toBe('ok');
    expect(told['nodes']).toContainEqual(expect.objectContaining({ node: 'gpu-z', status: 'not-ready' }));
  });

  test('pods that have ended count only when none lives; launchers do not', async () => {
    const [first, second] = podsOf('gpu-a', 'gpu-b');
    if (!first || !second) throw new Error('no pods');
    const launcher = { ...second, name: 'launcher', node: 'cpu-1', containers: [] };
    const ended = { ...second, phase: 'Failed' as const };
    const { answer } = compare({}, [first, ended, launcher]);
    expect(await answer('compare_gpus', { job: 'ml/PyTorchJob/llama' })).toMatchObject({ nodeCount: 1 });
    const over = compare({}, [ended]);
    const told = await over.answer('compare_gpus', { job: 'ml/PyTorchJob/llama' });
    expect(told['gaps']).toContainEqual(expect.objectContaining({ field: 'job.pods' }));
  });

  test.each([
    [{ job: 'ml/PyTorchJob/llama', node: 'gpu-a' }, 'INVALID_INPUT'],
    [{ job: 'ml/PyTorchJob/llama', gpu: 1 }, 'INVALID_INPUT'],
    [{ job: 'llama' }, 'INVALID_INPUT'],
    [{ namespace: 'ml' }, 'INVALID_INPUT'],
  ])('%j: %s', async (input, code) => {
    expect(await compare(input).ask('compare_gpus', input)).toMatchObject({ isError: true, code });
  });

  test('a job without pods on nodes, and pods that cannot be read, are errors that say so', async () => {
    const waiting = podsOf('gpu-a').map((pod) => ({ ...pod, node: null, phase: 'Pending' as const }));
    const none = await compare({}, waiting).ask('compare_gpus', { job: 'ml/PyTorchJob/llama' });
    expect(none).toMatchObject({ isError: true, code: 'UNAVAILABLE' });
    const gaps = [{ field: 'pods', reason: 'no-permission' as const, detail: 'may not list pods' }];
    const { cluster } = clusterOf([], { items: null, isComplete: false, gaps });
    expect(await rig(cluster).ask('compare_gpus', { job: 'ml/PyTorchJob/llama' })).toMatchObject({
      isError: true,
      code: 'UNAVAILABLE',
      text: expect.stringContaining('may not list pods'),
    });
  });

  test('other jobs of the same name in another namespace are not it', async () => {
    const others = podsOf('gpu-c').map((pod) => ({
      ...pod,
      namespace: 'eval',
      owner: ownedBy('PyTorchJob', 'llama'),
    }));
    const { answer } = compare({}, [...podsOf('gpu-a'), ...others]);
    expect(await answer('compare_gpus', { job: 'ml/PyTorchJob/llama' })).toMatchObject({ nodeCount: 1 });
  });
});
