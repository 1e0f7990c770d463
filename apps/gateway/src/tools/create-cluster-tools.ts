import {
  type Clock,
  type Cluster,
  describeGpuTools,
  GpuError,
  type GpuTool,
  type GpuToolDescription,
  type Logger,
  makeTool,
  type StructuredContent,
  type ToolContext,
  workloadArguments,
  workloadToolNames,
} from '@k8s-gpu-mcp/core';
import { z } from 'zod';
import { presentComparison } from '../answers/compare.ts';
import { sharesOf } from '../answers/compare-job.ts';
import { presentOneNode, toolErrorOf } from '../answers/one-node.ts';
import {
  clusterTools,
  comparisonQuestions,
  jobQuestions,
  toolsOfProcesses,
} from '../answers/present-cluster.ts';
import { withPods } from '../answers/processes-pods.ts';
import type { ClusterQuestion } from '../answers/question.ts';
import type { FanOut } from '../domain/fan-out.ts';
import type { FanOutResult, NodeOutcome } from '../domain/node-outcome.ts';
import { type NodeArgument, selectNodes, selectOneNode } from '../domain/node-selection.ts';
import type { KnownPods } from '../domain/pod-join.ts';
import type { Question } from '../domain/question.ts';
import type { AgentNode, NodeDirectory } from '../ports/node-directory.ts';
import { findJob, withMissing } from './job-on-nodes.ts';
import { createPodsOfNodes, type PodsOfNodes } from './pods-of-nodes.ts';

export interface ClusterToolParts {
  readonly directory: NodeDirectory;
  readonly fanOut: FanOut;
  readonly clock: Clock;
  readonly logger: Logger;
  /** After this a question is answered with what the nodes have said. */
  readonly deadlineMilliseconds: number;
  /** Sixteen hexadecimal digits, new for each question. */
  readonly newCorrelationId: () => string;
  /** Told what many nodes answered to one question. */
  readonly onFanOut?: (tool: string, durationMilliseconds: number, result: FanOutResult) => void;
  /** Null or absent where there is no API server: then processes have no pods and nothing is asked of a job. */
  readonly cluster?: Cluster | null;
}

/** The parts, and what all tools share. */
interface Shared extends ClusterToolParts {
  readonly podsOfNodes: PodsOfNodes | null;
}

/** One question on its way to the agents. */
type Ask = (tool: string, given: StructuredContent) => Promise<FanOutResult>;
type Present = (
  question: ClusterQuestion,
  ask: Ask,
  given: StructuredContent,
  /** Pods of the nodes asked; null where there is no API server. */
  knownPods: () => Promise<KnownPods | null>,
) => Promise<StructuredContent>;

/** The tools that can be asked of many nodes at once, and how their answers become one. The others are asked of one node. */
const forMany: Readonly<Record<string, Present>> = {
  ...Object.fromEntries(
    Object.entries(clusterTools).map(([tool, { agentArguments, present }]): [string, Present] => [
      tool,
      async (question, ask, given, knownPods) => {
        const [result, pods] = await Promise.all([
          ask(tool, { ...given, ...agentArguments[question.detail] }),
          toolsOfProcesses.has(tool) ? knownPods() : null,
        ]);
        return present(question, result, pods);
      },
    ]),
  ),
  compare_gpus: async (question, ask, given) => {
    const { inventory, comparison } = comparisonQuestions;
    const [identities, readings] = await Promise.all([
      ask(inventory.tool, inventory.arguments),
      ask(comparison.tool, { ...given, ...comparison.arguments }),
    ]);
    return presentComparison(question, { inventory: identities, comparison: readings });
  },
};

const nodesExpected = 'expected a node name, several, or a label selector';
const manyNodes = z
  .union(
    [
      z.string().min(1, nodesExpected).max(4_096, nodesExpected),
      z.array(z.string().min(1)).min(1).max(1_000),
    ],
    {
      error: nodesExpected,
    },
  )
  .describe(
    'Node name, names, label selector (gpu=h100,zone!=a), or "all". Default: all. One name gives that node in full.',
  )
  .optional();
const oneNode = z
  .string({ error: 'expected the name of a node' })
  .min(1)
  .max(253)
  .describe('Name of the node; may be left out where there is only one.')
  .optional();
const paging = {
  limit: z.int().min(1).max(200).describe('Nodes per page.').optional(),
  cursor: z.string().max(64).describe('nextCursor of the page before.').optional(),
};
/** Agents of another version may answer with other fields; what every answer has is this. */
const clusterOutput = z.looseObject({ apiVersion: z.string(), observedAt: z.string(), summary: z.string() });

/** Kept back for putting the answer together. */
const marginOf = (deadlineMilliseconds: number) => Math.min(1_000, deadlineMilliseconds / 4);

/** Every tool of an agent, asked of one node or of all. */
export function createClusterTools(parts: ClusterToolParts): readonly GpuTool[] {
  const { cluster = null } = parts;
  const shared = { ...parts, podsOfNodes: cluster && createPodsOfNodes({ ...parts, cluster }) };
  return describeGpuTools().map((description) => {
    const present = forMany[description.name];
    return present ? forManyNodes(description, present, shared) : forOneNode(description, shared);
  });
}

/** For the tools that tell of a workload too, where there is a cluster to find it in. */
function severalHint(tool: string, { cluster }: ClusterToolParts): string | undefined {
  const names: readonly string[] = workloadToolNames;
  if (!names.includes(tool)) return undefined;
  return `Give ${cluster ? 'node, pod or job' : 'node'}; get_gpu_health without node shows the worst node.`;
}

function forOneNode(description: GpuToolDescription, parts: Shared): GpuTool {
  const hint = severalHint(description.name, parts);
  return makeTool(
    {
      ...description,
      inputSchema: description.inputSchema.extend({ node: oneNode }),
      outputSchema: clusterOutput,
      async handle(input, signal, _progress, context) {
        const { node: name, ...given } = input as { readonly node?: string };
        const nodes = await currentNodes(parts.directory, signal);
        const question = questionOf(parts, description.name, given, { ...context, signal });
        return askOneNode(parts, selectOneNode(nodes, name, hint), question);
      },
    },
    parts,
  );
}

function forManyNodes(description: GpuToolDescription, present: Present, parts: Shared): GpuTool {
  const canAskJob = description.name === 'compare_gpus' && Boolean(parts.cluster);
  const { job, namespace } = workloadArguments;
  return makeTool(
    {
      ...description,
      ...(canAskJob ? { description: `${description.description} Or over the GPUs of one job.` } : {}),
      inputSchema: description.inputSchema.extend({
        ...paging,
        ...(canAskJob ? { job, namespace } : {}),
        ...description.inputSchema.shape,
        node: manyNodes,
      }),
      outputSchema: clusterOutput,
      async handle(input, signal, _progress, context) {
        const { node: argument, ...given } = input as { readonly node?: NodeArgument } & StructuredContent;
        const nodes = await currentNodes(parts.directory, signal);
        const calling = { ...context, signal };
        if (canAskJob && (given['job'] !== undefined || given['namespace'] !== undefined)) {
          return compareJob(parts, nodes, argument, given, calling);
        }
        const selected = selectNodes(nodes, argument);
        const [only] = selected;
        if (only !== undefined && argument === only.name) {
          const ofOneNode = withoutPaging(description, given);
          const question = questionOf(parts, description.name, ofOneNode, calling);
          return askOneNode(parts, only, question);
        }
        if (given['gpu'] !== undefined) {
          throw new GpuError('INVALID_INPUT', 'gpu names a GPU of one node, and node names none.', {
            hint: 'Give node the name of one node too, or leave gpu out.',
          });
        }
        const { limit: _limit, cursor: _cursor, detail: _detail, ...rest } = given;
        const { podsOfNodes } = parts;
        const names = selected.map(({ name }) => name);
        const knownPods = async () => (podsOfNodes === null ? null : podsOfNodes(names, signal));
        const question = clusterQuestionOf(parts, description.name, given, argument);
        return present(question, askMany(parts, selected, calling), rest, knownPods);
      },
    },
    parts,
  );
}

function askMany(parts: Shared, nodes: readonly AgentNode[], calling: ToolContext): Ask {
  return async (tool, toAgents) => {
    const startedAt = parts.clock.now();
    const result = await parts.fanOut.askNodes(nodes, questionOf(parts, tool, toAgents, calling));
    parts.onFanOut?.(tool, parts.clock.now() - startedAt, result);
    const refusal = refusalOf(result.outcomes);
    if (refusal) throw refusal;
    return result;
  };
}

/** What every agent that was asked calls wrong input is the caller's to mend, and no outage of the nodes. */
function refusalOf(outcomes: readonly NodeOutcome[]): GpuError | null {
  const asked = outcomes.filter(({ status }) => status !== 'not-ready' && status !== 'circuit-open');
  const errors = asked.map(toolErrorOf);
  return errors.every((error) => error?.code === 'INVALID_INPUT') ? (errors[0] ?? null) : null;
}

function clusterQuestionOf(
  { clock, directory }: Shared,
  tool: string,
  { limit, cursor, detail, ...rest }: StructuredContent,
  node: NodeArgument | undefined,
): ClusterQuestion {
  return {
    tool,
    detail: detail === 'full' ? 'full' : 'summary',
    limit: limit as number | undefined,
    cursor: cursor as string | undefined,
    arguments: { ...rest, node },
    observedAt: new Date(clock.now()).toISOString(),
    directoryKind: directory.kind,
  };
}

/** The GPUs of one job as a cohort: only its nodes are asked, and what is left of the time after finding it is theirs. */
async function compareJob(
  parts: Shared,
  nodes: readonly AgentNode[],
  argument: NodeArgument | undefined,
  given: StructuredContent,
  calling: ToolContext & { readonly signal: AbortSignal },
): Promise<StructuredContent> {
  const { cluster, clock, logger } = parts;
  if (!cluster) throw new Error('a job is asked about where there is no cluster');
  if (argument !== undefined || given['gpu'] !== undefined) {
    throw new GpuError('INVALID_INPUT', 'node and gpu cannot be given beside job and namespace.', {
      hint: 'Give job, or node; the nodes of a job are found.',
    });
  }
  const { job, namespace, limit: _limit, cursor: _cursor, detail: _detail, ...toAgents } = given;
  const asked = { job: job as string | undefined, namespace: namespace as string | undefined };
  const startedAt = clock.now();
  const deadline = deadlineOf(parts, calling);
  const found = await findJob({ cluster, clock, logger }, asked, nodes, deadline, calling.signal);
  const left = Math.max(100, deadline - Math.max(0, clock.now() - startedAt));
  const ask = askMany(parts, found.nodes, { ...calling, deadlineMilliseconds: left });
  const { inventory, comparison } = comparisonQuestions;
  const [identities, readings, processes, allocation] = await Promise.all([
    ask(inventory.tool, inventory.arguments),
    ask(comparison.tool, { ...toAgents, ...comparison.arguments }),
    ask(jobQuestions.processes.tool, jobQuestions.processes.arguments),
    ask(jobQuestions.allocation.tool, jobQuestions.allocation.arguments),
  ]);
  const shares = sharesOf(found, { inventory: identities, processes, allocation });
  const { withoutAgent } = found;
  return presentComparison(
    clusterQuestionOf(parts, comparison.tool, given, undefined),
    {
      inventory: withMissing(identities, withoutAgent),
      comparison: withMissing(readings, withoutAgent),
    },
    shares,
  );
}

/** An agent knows only its own arguments. */
function withoutPaging(description: GpuToolDescription, given: StructuredContent): StructuredContent {
  return Object.fromEntries(Object.entries(given).filter(([name]) => name in description.inputSchema.shape));
}

async function currentNodes(directory: NodeDirectory, signal: AbortSignal): Promise<readonly AgentNode[]> {
  await directory.settled(signal);
  return directory.snapshot().nodes;
}

const deadlineOf = (
  { deadlineMilliseconds }: ClusterToolParts,
  { deadlineMilliseconds: callers = deadlineMilliseconds }: ToolContext,
) => Math.min(deadlineMilliseconds, callers);

function questionOf(
  parts: ClusterToolParts,
  tool: string,
  given: StructuredContent,
  context: ToolContext,
): Question {
  const deadline = deadlineOf(parts, context);
  return {
    tool,
    arguments: given,
    deadlineMilliseconds: deadline - marginOf(deadline),
    signal: context.signal,
    correlationId: context.correlationId ?? parts.newCorrelationId(),
    traceparent: context.traceparent,
    isReadOnly: true,
    progress: context.progress,
  };
}

async function askOneNode(parts: Shared, node: AgentNode, question: Question): Promise<StructuredContent> {
  const { fanOut, podsOfNodes } = parts;
  const signal = question.signal ?? new AbortController().signal;
  const [{ outcomes }, pods] = await Promise.all([
    fanOut.askNodes([node], question),
    podsOfNodes && toolsOfProcesses.has(question.tool) ? podsOfNodes([node.name], signal) : null,
  ]);
  const [outcome] = outcomes;
  if (outcome === undefined) throw new Error('a question to one node has no outcome');
  const refusal = toolErrorOf(outcome);
  if (refusal) throw refusal;
  const result = presentOneNode(outcome);
  if (!result.isError) {
    return pods ? withPods(node.name, result.structuredContent, pods) : result.structuredContent;
  }
  // The text begins with the code, which the error brings itself.
  throw new GpuError(result.code, result.text.slice(result.code.length + 2), { hint: '' });
}
