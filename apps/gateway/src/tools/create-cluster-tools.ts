import {
  type Clock,
  describeGpuTools,
  GpuError,
  type GpuTool,
  type GpuToolDescription,
  type Logger,
  makeTool,
  type StructuredContent,
  type ToolContext,
} from '@k8s-gpu-mcp/core';
import { z } from 'zod';
import { presentComparison } from '../answers/compare.ts';
import { presentOneNode } from '../answers/one-node.ts';
import { clusterTools, comparisonQuestions } from '../answers/present-cluster.ts';
import type { ClusterQuestion } from '../answers/question.ts';
import type { FanOut } from '../domain/fan-out.ts';
import type { FanOutResult } from '../domain/node-outcome.ts';
import { type NodeArgument, selectNodes, selectOneNode } from '../domain/node-selection.ts';
import type { Question } from '../domain/question.ts';
import type { AgentNode, NodeDirectory } from '../ports/node-directory.ts';

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
}

/** One question on its way to the agents. */
type Ask = (tool: string, given: StructuredContent) => Promise<FanOutResult>;
type Present = (question: ClusterQuestion, ask: Ask, given: StructuredContent) => Promise<StructuredContent>;

/** The tools that can be asked of many nodes at once, and how their answers become one. The others are asked of one node. */
const forMany: Readonly<Record<string, Present>> = {
  ...Object.fromEntries(
    Object.entries(clusterTools).map(([tool, { agentArguments, present }]): [string, Present] => [
      tool,
      async (question, ask, given) =>
        present(question, await ask(tool, { ...given, ...agentArguments[question.detail] })),
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
  return describeGpuTools().map((description) => {
    const present = forMany[description.name];
    return present ? forManyNodes(description, present, parts) : forOneNode(description, parts);
  });
}

function forOneNode(description: GpuToolDescription, parts: ClusterToolParts): GpuTool {
  return makeTool(
    {
      ...description,
      inputSchema: description.inputSchema.extend({ node: oneNode }),
      outputSchema: clusterOutput,
      async handle(input, signal, _progress, context) {
        const { node: name, ...given } = input as { readonly node?: string };
        const nodes = await currentNodes(parts.directory, signal);
        const question = questionOf(parts, description.name, given, { ...context, signal });
        return askOneNode(parts, selectOneNode(nodes, name), question);
      },
    },
    parts,
  );
}

function forManyNodes(description: GpuToolDescription, present: Present, parts: ClusterToolParts): GpuTool {
  return makeTool(
    {
      ...description,
      inputSchema: description.inputSchema.extend({
        ...paging,
        ...description.inputSchema.shape,
        node: manyNodes,
      }),
      outputSchema: clusterOutput,
      async handle(input, signal, _progress, context) {
        const { node: argument, ...given } = input as { readonly node?: NodeArgument } & StructuredContent;
        const nodes = await currentNodes(parts.directory, signal);
        const selected = selectNodes(nodes, argument);
        const calling = { ...context, signal };
        const [only] = selected;
        if (only !== undefined && argument === only.name) {
          const ofOneNode = withoutPaging(description, given);
          return askOneNode(parts, only, questionOf(parts, description.name, ofOneNode, calling));
        }
        if (given['gpu'] !== undefined) {
          throw new GpuError('INVALID_INPUT', 'gpu names a GPU of one node, and node names none.', {
            hint: 'Give node the name of one node too, or leave gpu out.',
          });
        }
        const { limit, cursor, detail, ...rest } = given;
        const ask: Ask = async (tool, toAgents) => {
          const startedAt = parts.clock.now();
          const result = await parts.fanOut.askNodes(selected, questionOf(parts, tool, toAgents, calling));
          parts.onFanOut?.(tool, parts.clock.now() - startedAt, result);
          return result;
        };
        const question: ClusterQuestion = {
          tool: description.name,
          detail: detail === 'full' ? 'full' : 'summary',
          limit: limit as number | undefined,
          cursor: cursor as string | undefined,
          arguments: { ...rest, node: argument },
          observedAt: new Date(parts.clock.now()).toISOString(),
          directoryKind: parts.directory.kind,
        };
        return present(question, ask, rest);
      },
    },
    parts,
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

function questionOf(
  { deadlineMilliseconds, newCorrelationId }: ClusterToolParts,
  tool: string,
  given: StructuredContent,
  context: ToolContext,
): Question {
  const deadline = Math.min(deadlineMilliseconds, context.deadlineMilliseconds ?? deadlineMilliseconds);
  return {
    tool,
    arguments: given,
    deadlineMilliseconds: deadline - marginOf(deadline),
    signal: context.signal,
    correlationId: context.correlationId ?? newCorrelationId(),
    traceparent: context.traceparent,
    isReadOnly: true,
    progress: context.progress,
  };
}

async function askOneNode(
  { fanOut }: ClusterToolParts,
  node: AgentNode,
  question: Question,
): Promise<StructuredContent> {
  const { outcomes } = await fanOut.askNodes([node], question);
  const [outcome] = outcomes;
  if (outcome === undefined) throw new Error('a question to one node has no outcome');
  const result = presentOneNode(outcome);
  if (!result.isError) return result.structuredContent;
  // The text begins with the code, which the error brings itself.
  throw new GpuError(result.code, result.text.slice(result.code.length + 2), { hint: '' });
}
