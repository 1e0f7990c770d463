import type { ClusterEvent, ClusterPod, WorkloadOwner } from '../src/domain/cluster.ts';
import type { KernelLogRecord } from '../src/domain/event.ts';
import type { Cluster } from '../src/ports/cluster.ts';
import { fixedClock } from '../src/testing.ts';
import type { AgentSaid, AskAgent } from '../src/tools/cluster/cluster-toolkit.ts';
import { createWorkloadTools } from '../src/tools/cluster/create-cluster-tools.ts';
import type { StructuredContent } from '../src/tools/tool.ts';
import { containerOf, ended, nodeOf, podOf } from './cluster.ts';
import { h100Node, h100Ref, h100Sample } from './h100.ts';
import { fellOffTheBus, record, rig, startedAt, turn } from './rig.ts';

// A job on a cluster, with real agents of this version on its nodes.

export const at = (time: string) => `2026-11-21T${time}Z`;

const ref = { kind: 'PyTorchJob', name: 'corgi-llm', uid: 'job-uid' };
export const jobOwner: WorkloadOwner = {
  ...ref,
  chain: [ref],
  basis: 'owner-references',
  isComplete: true,
};

/** Eight H100s and this kernel log. */
export const agentOf = (log: readonly KernelLogRecord[] = []) =>
  rig({
    log,
    gpus: h100Node(
      Object.fromEntries(
        Array.from({ length: 8 }, (_, index) => [
          index,
          h100Sample(index, { memory: { usedBytes: 4 * 1024 ** 2 } }),
        ]),
      ),
    ),
  });

/** The kernel's line for GPU 3; `prefix` as a log file has it, with time and host. */
export const lossAt = (time: string, prefix = '', index = 3) => {
  const text = fellOffTheBus((h100Ref(index).pciAddress ?? '').replace(/\.0$/, ''));
  return record(text, { at: at(time), raw: `${prefix}${text}` });
};

export type WorkloadAgent =
  | ReturnType<typeof agentOf>
  | 'silent'
  | ((tool: string, input: unknown) => Promise<AgentSaid>);

export interface World {
  readonly pods?: readonly ClusterPod[] | 'hangs';
  readonly events?: readonly ClusterEvent[] | 'forbidden';
  readonly agents?: Readonly<Record<string, WorkloadAgent>>;
  readonly nodes?: Readonly<Record<string, Parameters<typeof nodeOf>[0] | 'gone'>>;
  /** Device ids that the kubelets name, by pod; else no agent tells. */
  readonly devices?: Readonly<Record<string, readonly string[]>>;
  /** Lists come in the other order. */
  readonly isReversed?: boolean;
}

const forbidden = (field: string) => ({ field, reason: 'no-permission' as const, detail: '403 Forbidden' });

function clusterOf({ pods = [], events = [], nodes = {}, isReversed = false }: World): Cluster {
  const ordered = <T>(list: readonly T[]) => (isReversed ? list.toReversed() : list);
  const list = async (test: (pod: ClusterPod) => boolean) => {
    if (pods === 'hangs') return new Promise<never>(() => {});
    return { items: ordered(pods.filter(test)), isComplete: true, gaps: [] };
  };
  return {
    async node(name) {
      const changes = nodes[name] ?? {};
      return { object: changes === 'gone' ? null : nodeOf({ name, ...changes }), gaps: [] };
    },
    podsOnNode: (name) => list((pod) => pod.node === name),
    async pod(namespace, name) {
      const { items } = await list((pod) => pod.namespace === namespace && pod.name === name);
      return { object: items[0] ?? null, gaps: [] };
    },
    pods: (namespace) => list((pod) => namespace === null || pod.namespace === namespace),
    podsOfJob: ({ kind, name }) =>
      list((pod) => pod.owner?.chain.some((each) => each.kind === kind && each.name === name) === true),
    events: async (about) =>
      events === 'forbidden'
        ? { items: null, isComplete: false, gaps: [forbidden('events')] }
        : {
            items: ordered(
              events.filter((event) => event.about.kind === about.kind && event.about.name === about.name),
            ),
            isComplete: true,
            gaps: [],
          },
    claims: async () => ({ items: [], isComplete: true, gaps: [] }),
  };
}

/** What a real agent says to a call. */
export async function said(
  agent: ReturnType<typeof agentOf>,
  tool: string,
  input: unknown,
): Promise<AgentSaid> {
  const result = await agent.call(tool, input);
  return result.isError
    ? { content: null, reason: 'error', detail: result.text }
    : { content: result.structuredContent };
}

const kubeletAnswer = (devices: Readonly<Record<string, readonly string[]>>) => ({
  containers: Object.entries(devices).map(([pod, deviceIds]) => ({
    namespace: 'research',
    pod,
    container: 'trainer',
    devices: [{ resourceName: 'nvidia.com/gpu', deviceIds }],
    claims: [],
  })),
});

function agentsOf({ agents = {}, devices }: World, asked: string[]): AskAgent {
  return async (node, tool, input) => {
    asked.push(`${node} ${tool}`);
    const agent = agents[node] ?? 'silent';
    if (tool === 'get_pod_gpu_allocation' && devices && agent !== 'silent')
      return { content: kubeletAnswer(devices) };
    if (agent === 'silent' || tool === 'get_pod_gpu_allocation')
      return { content: null, reason: 'timeout', detail: `the agent of ${node} did not answer` };
    return typeof agent === 'function' ? agent(tool, input) : said(agent, tool, input);
  };
}

/** The tool of that name for pods and jobs, in that world. */
export function workloadTool(name: string, world: World) {
  const clock = fixedClock(startedAt);
  const asked: string[] = [];
  const tools = createWorkloadTools({ cluster: clusterOf(world), askAgent: agentsOf(world, asked), clock });
  const tool = tools.find((each) => each.name === name);
  if (!tool) throw new Error(`no tool ${name}`);
  const call = async (input: StructuredContent) => {
    const result = tool.call(input);
    for (let step = 0; step < 24; step += 1) {
      for (let again = 0; again < 8; again += 1) await turn();
      clock.advance(500);
    }
    return result;
  };
  return { tool, asked, call };
}

/** A pod that took all GPUs of its node and ended so. */
export const failedPod = (
  name: string,
  node: string,
  exitCode: number,
  finishedAt: string,
  changes: Partial<ClusterPod> = {},
) =>
  podOf({
    name,
    uid: `uid-of-${name}`,
    node,
    phase: 'Failed',
    owner: jobOwner,
    conditions: [{ type: 'PodScheduled', status: 'True', reason: null, lastTransitionAt: at('09:59:00') }],
    containers: [
      containerOf({
        name: 'trainer',
        limits: { 'nvidia.com/gpu': 8 },
        state: ended(exitCode, 'Error', { finishedAt }),
      }),
    ],
    ...changes,
  });

export const podEvent = (changes: Partial<ClusterEvent> = {}): ClusterEvent => ({
  about: { kind: 'Pod', namespace: 'research', name: 'corgi-llm-worker-5', uid: null },
  type: 'Warning',
  reason: 'BackOff',
  count: 1,
  firstAt: at('11:00:01'),
  lastAt: at('11:00:01'),
  message: '',
  ...changes,
});
