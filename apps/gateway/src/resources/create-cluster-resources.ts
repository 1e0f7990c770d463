import {
  type Clock,
  createGpuResources,
  GpuError,
  type GpuResource,
  type GpuTool,
  gpuIds,
  quarantine,
  readGpu,
  resourceAnswer,
} from '@k8s-gpu-mcp/core';
import type { ClusterEvents } from '../domain/cluster-events.ts';
import { nearNames } from '../domain/near-names.ts';
import { AgentFailure } from '../ports/agent-client.ts';
import type { AgentEvents } from '../ports/agent-events.ts';
import type { AgentNode, NodeDirectory } from '../ports/node-directory.ts';
import { decoded, isPlainNode, nodeOfUriPart } from './node-uris.ts';
import { presentClusterEvents, presentNodeEvents } from './present-events.ts';

export interface ClusterResourceParts {
  /** Of the gateway: those that take `node`. */
  readonly tools: readonly GpuTool[];
  readonly directory: NodeDirectory;
  readonly agentEvents: Pick<AgentEvents, 'read'>;
  readonly clusterEvents: Pick<ClusterEvents, 'touch' | 'settled' | 'snapshot'>;
  readonly clock: Clock;
  /** After this the events of a node are given up. Default 10 s. */
  readonly deadlineMilliseconds?: number;
}

const maximumCompletions = 100;
/** Offered while the node is not known: the GPUs of the largest usual machines. */
const usualIndices = Array.from({ length: 16 }, (_, index) => String(index));
/** Whoever reads first waits so long for agents that were not listened to before. */
const firstHearingMilliseconds = 3_000;

const json = { mimeType: 'application/json', isTemplate: false } as const;
const jsonTemplate = { mimeType: 'application/json', isTemplate: true } as const;
/** What the SDK hands to a completion besides what was typed. */
interface CompletionContext {
  readonly arguments?: Readonly<Record<string, string>>;
}

/** The resources of the cluster, of each node as templates, and the Xid catalogue. */
export function createClusterResources(parts: ClusterResourceParts): readonly GpuResource[] {
  const { tools, clusterEvents, clock } = parts;
  const read = async (tool: string, signal: AbortSignal | undefined) =>
    (await resourceAnswer(tools, tool, {}, signal)).text;
  return [
    {
      ...json,
      name: 'cluster-health',
      title: 'GPU health of the cluster',
      description: 'The answer of get_gpu_health for all nodes, the worst first. Changes are notified.',
      uri: 'gpu://cluster/health',
      read: (_variables, signal) => read('get_gpu_health', signal),
    },
    {
      ...json,
      name: 'cluster-inventory',
      title: 'GPU inventory of the cluster',
      description: 'The answer of get_gpu_inventory for all nodes.',
      uri: 'gpu://cluster/inventory',
      read: (_variables, signal) => read('get_gpu_inventory', signal),
    },
    {
      ...json,
      name: 'cluster-events',
      title: 'Live GPU events of the cluster',
      description:
        'Events of all nodes in order of arrival, since somebody began to listen; what was lost, and who is not heard. Subscribe to hear of each; the past is in the xid resources of the nodes.',
      uri: 'gpu://cluster/events',
      async read(_variables, signal) {
        clusterEvents.touch();
        await clusterEvents.settled(firstHearingMilliseconds, signal);
        return JSON.stringify(presentClusterEvents(clusterEvents.snapshot(), clock.now()));
      },
    },
    ...nodeResources(parts),
    ...createGpuResources({ nodeName: 'cluster', tools: [] }).filter(({ name }) => name === 'xid-catalog'),
  ];
}

function nodeResources(parts: ClusterResourceParts): readonly GpuResource[] {
  const { tools, directory } = parts;
  const completeNode = (typed: string) => nodesThatBegin(directory, typed);
  const answered = (kind: string, tool: string, title: string, isNotified: boolean): GpuResource => ({
    ...jsonTemplate,
    name: `node-${kind}`,
    title: `${title} of one node`,
    description: `The answer of ${tool} for one node.${isNotified ? ' Changes are notified.' : ''}`,
    uri: `gpu://{node}/${kind}`,
    complete: { node: completeNode },
    async read({ node = '' }, signal) {
      const { name } = await nodeAt(directory, node, signal);
      return (await resourceAnswer(tools, tool, { node: name }, signal)).text;
    },
  });
  return [
    answered('inventory', 'get_gpu_inventory', 'GPU inventory', false),
    answered('health', 'get_gpu_health', 'GPU health', true),
    answered('xid', 'analyze_xid_errors', 'Kernel-log GPU errors', true),
    {
      ...jsonTemplate,
      name: 'node-events',
      title: 'Live GPU events of one node',
      description:
        'What the agent of a node keeps of the events it heard, oldest first. Changes are notified.',
      uri: 'gpu://{node}/events',
      complete: { node: completeNode },
      read: async ({ node = '' }, signal) =>
        JSON.stringify(await readNodeEvents(parts, await nodeAt(directory, node, signal), signal)),
    },
    {
      ...jsonTemplate,
      name: 'node-gpu',
      title: 'One GPU of one node',
      description:
        'Identity, verdict with findings, and main readings of one GPU, by index, UUID or PCI address. Changes are notified.',
      uri: 'gpu://{node}/gpus/{id}',
      complete: {
        node: completeNode,
        id: async (typed: string, context?: CompletionContext) => {
          const node = context?.arguments?.['node'];
          const isKnown = directory.snapshot().nodes.some(({ name }) => name === node);
          if (node === undefined || !isKnown) return usualIndices.filter((index) => index.startsWith(typed));
          return (await gpuIds(ofNode(tools, node), typed)).slice(0, maximumCompletions);
        },
      },
      async read({ node = '', id = '' }, signal) {
        const { name } = await nodeAt(directory, node, signal);
        return JSON.stringify(await readGpu(ofNode(tools, name), decoded(id) ?? id, signal));
      },
    },
  ];
}

/** The tools as that node's agent has them. */
const ofNode = (tools: readonly GpuTool[], node: string): readonly GpuTool[] =>
  tools.map((tool) => ({
    ...tool,
    call: (input, context) => tool.call({ ...(input as object), node }, context),
  }));

/** Names that a URI template makes the right URI of: one of the two reserved words would become another resource. */
function nodesThatBegin(directory: NodeDirectory, typed: string): readonly string[] {
  const found: string[] = [];
  for (const { name } of directory.snapshot().nodes) {
    if (found.length === maximumCompletions) break;
    if (name.startsWith(typed) && isPlainNode(name)) found.push(name);
  }
  return found;
}

/** @throws GpuError for a part of a URI that is no node's, with the names that come near. */
async function nodeAt(
  directory: NodeDirectory,
  part: string,
  signal: AbortSignal | undefined,
): Promise<AgentNode> {
  await directory.settled(signal ?? new AbortController().signal);
  const { nodes } = directory.snapshot();
  const name = nodeOfUriPart(part) ?? part;
  const node = nodes.find((each) => each.name === name);
  if (node) return node;
  if (nodes.length === 0)
    throw new GpuError('UNAVAILABLE', 'no GPU node is known yet, so none can be asked.');
  const names = nodes.map((each) => each.name);
  const near = nearNames(name, names, 3).map((each) => `"${quarantine(each, 63)}"`);
  throw new GpuError(
    'INVALID_INPUT',
    `no node "${quarantine(name, 63)}" among the ${nodes.length}${near.length > 0 ? ` (near: ${near.join(', ')})` : ''}.`,
    { hint: 'gpu://cluster/inventory names the nodes; names in a URI are percent-encoded.' },
  );
}

async function readNodeEvents(
  { agentEvents, deadlineMilliseconds = 10_000, clock }: ClusterResourceParts,
  node: AgentNode,
  signal: AbortSignal | undefined,
) {
  const shown = quarantine(node.name, 63);
  const hint = `Ask get_gpu_health or analyze_xid_errors with node "${shown}"; what the node logged is there too.`;
  if (node.notReadyBecause !== null)
    throw new GpuError(
      'UNAVAILABLE',
      `node "${shown}" cannot be asked: ${quarantine(node.notReadyBecause, 200)}.`,
      { hint },
    );
  const controller = new AbortController();
  const stop = () => controller.abort();
  const cancel = clock.after(deadlineMilliseconds, stop);
  signal?.addEventListener('abort', stop, { once: true });
  if (signal?.aborted) stop();
  try {
    return presentNodeEvents(node.name, await agentEvents.read(node, controller.signal));
  } catch (error) {
    if (!(error instanceof AgentFailure)) throw error;
    const why =
      controller.signal.aborted && signal?.aborted !== true
        ? `no answer within ${deadlineMilliseconds} ms`
        : error.message;
    throw new GpuError('UNAVAILABLE', `the events of node "${shown}" cannot be read: ${why}.`, { hint });
  } finally {
    cancel();
    signal?.removeEventListener('abort', stop);
  }
}
