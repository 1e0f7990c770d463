import {
  type Clock,
  describeOperatorTools,
  GpuError,
  type GpuTool,
  type GpuToolDescription,
  type Logger,
  makeTool,
  quarantine,
  type StructuredContent,
  type ToolContext,
} from '@k8s-gpu-mcp/core';
import { z } from 'zod';
import type { FanOut } from '../domain/fan-out.ts';
import { nearNames } from '../domain/near-names.ts';
import { operatorCallMilliseconds } from '../operator-call.ts';
import type { AgentNode, NodeDirectory, NodeDirectorySnapshot } from '../ports/node-directory.ts';
import { AskedQuestions, carryConfirmation } from './carried-confirmation.ts';
import { type Ending, endingOf, thrownEnding } from './operator-ending.ts';

/** One call of an operator tool, as the gateway saw it. What was done, and to what, is in the audit record of the agent. */
export interface OperatorRecord {
  /** ISO 8601: when it ended. */
  readonly at: string;
  /** Name of the token with which the gateway was called. */
  readonly caller: string;
  readonly tool: string;
  readonly node: string;
  /** The agent logs it too. */
  readonly correlationId: string;
  readonly planId?: string;
  readonly outcome: Ending['outcome'];
  /** Own words. */
  readonly detail: string;
}

export interface OperatorToolParts {
  readonly directory: NodeDirectory;
  /** With the client that has the operator token. */
  readonly fanOut: Pick<FanOut, 'askOne'>;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Sixteen hexadecimal digits, new for each call. */
  readonly newCorrelationId: () => string;
  /** Not to be guessed. */
  readonly newQuestionId: () => string;
  /** Resolves when it is written. */
  readonly record: (entry: OperatorRecord) => Promise<void>;
  /** Aborts at shutdown: questions are withdrawn, and nothing new is begun. What acts is waited for. */
  readonly stopping: AbortSignal;
}

/** A plan only looks: an agent takes at most 10 s. */
const planMilliseconds = 30_000;

const node = z
  .string({ error: 'expected the name of one node' })
  .min(1)
  .max(253)
  .describe('Name of the one node to act on. Neither a list nor a selector.');
/** Agents of another version may answer with other fields; what every answer has is this. */
const output = z.looseObject({ apiVersion: z.string(), observedAt: z.string(), summary: z.string() });

/** The tools that act, each asked of one named node. Make them once per process: they share the questions that await an answer. */
export function createOperatorTools(parts: OperatorToolParts): readonly GpuTool[] {
  const asked = new AskedQuestions(parts.clock);
  return describeOperatorTools().map((description) => operatorTool(description, asked, parts));
}

function operatorTool(
  description: GpuToolDescription,
  asked: AskedQuestions,
  parts: OperatorToolParts,
): GpuTool {
  return makeTool(
    {
      ...description,
      inputSchema: z.strictObject({ node, ...description.inputSchema.shape }),
      outputSchema: output,
      deadlineMilliseconds: operatorCallMilliseconds,
      // The deadline of a caller does not hold: what has begun is not given up, or nobody would learn what came of it.
      async handle(input, _signal, _progress, context) {
        const { node: name, ...given } = input as { readonly node: string } & StructuredContent;
        const call: Call = {
          tool: description.name,
          name,
          given,
          planId: typeof given['planId'] === 'string' ? given['planId'] : undefined,
          correlationId: context.correlationId ?? parts.newCorrelationId(),
          context,
        };
        const ending = await operate(call, asked, parts);
        await recordEnding(call, ending, parts);
        if ('error' in ending) throw ending.error;
        return ending.content;
      },
    },
    { ...parts, deadlineMilliseconds: operatorCallMilliseconds },
  );
}

interface Call {
  readonly tool: string;
  /** Of the node. */
  readonly name: string;
  /** For the agent. */
  readonly given: StructuredContent;
  readonly planId: string | undefined;
  readonly correlationId: string;
  readonly context: ToolContext;
}

/** Asks once, and tells how it ended. Never rejects. */
async function operate(call: Call, asked: AskedQuestions, parts: OperatorToolParts): Promise<Ending> {
  const { context, given, tool, planId, correlationId } = call;
  const isPlan = planId === undefined;
  let isAsked = false;
  let isWaiting = false;
  const stopBeat = beat(parts.clock, context.progress, () => isWaiting);
  try {
    await parts.directory.settled(context.signal ?? new AbortController().signal);
    if (parts.stopping.aborted)
      throw new GpuError('UNAVAILABLE', 'the gateway is shutting down. Nothing was done.');
    const target = operableNode(parts.directory.snapshot(), call.name);
    const scope = {
      caller: context.caller ?? '',
      node: target.name,
      instance: target.instance,
      tool,
      arguments: canonical(given),
    };
    const onWaiting = (next: boolean) => {
      isWaiting = next;
    };
    const confirmation = isPlan ? {} : carryConfirmation(context, scope, { ...parts, asked, onWaiting });
    isAsked = true;
    const outcome = await parts.fanOut.askOne(target, {
      tool,
      arguments: given,
      deadlineMilliseconds: isPlan ? planMilliseconds : operatorCallMilliseconds,
      signal: context.signal,
      correlationId,
      traceparent: context.traceparent,
      isPlan,
      ...confirmation,
    });
    return endingOf(outcome, { tool, isPlan });
  } catch (error) {
    return thrownEnding(error, isAsked && !isPlan);
  } finally {
    stopBeat();
  }
}

/**
 * The one node of exactly this name, well enough to be trusted with an action.
 * @throws GpuError INVALID_INPUT for any other text; UNAVAILABLE when its agent cannot be asked now, or may not have the operator token.
 */
function operableNode({ nodes, staleSince }: NodeDirectorySnapshot, name: string): AgentNode {
  const found = nodes.find((each) => each.name === name);
  if (!found) throw unknownNode(nodes, name);
  const no = (why: string, hint = '') =>
    new GpuError('UNAVAILABLE', `${why}. Nothing was done.`, hint === '' ? {} : { hint });
  if (staleSince !== null)
    throw no(
      `the list of nodes is out of date since ${staleSince}, so who answers there is not certain`,
      'Ask again when the directory answers; get_gpu_health without node tells what is wrong with it.',
    );
  if (found.url === null || found.notReadyBecause !== null)
    throw no(
      `the node is not ready: ${quarantine(found.notReadyBecause ?? 'its agent has no address yet', 300)}`,
    );
  if (!found.mayReceiveToken)
    throw no(
      'its agent may not be sent the operator token: it is no pod of the expected DaemonSet',
      'Whoever runs the gateway names the DaemonSet with --agent-daemonset.',
    );
  return found;
}

function unknownNode(nodes: readonly AgentNode[], name: string): GpuError {
  const shown = (text: string) => `"${quarantine(text, 63)}"`;
  const names = nodes.map((each) => each.name);
  const near = nearNames(name, names, 3).map(shown);
  return new GpuError(
    'INVALID_INPUT',
    `no node has the name ${shown(name)}${near.length > 0 ? ` (near: ${near.join(', ')})` : ''}. Nothing was done.`,
    { hint: 'An action is for one node by its name; get_gpu_inventory lists them.' },
  );
}

async function recordEnding(call: Call, ending: Ending, parts: OperatorToolParts): Promise<void> {
  const { tool, name, planId, correlationId, context } = call;
  const entry: OperatorRecord = {
    at: new Date(parts.clock.now()).toISOString(),
    caller: context.caller ?? '',
    tool,
    node: quarantine(name, 253),
    correlationId,
    ...(planId === undefined ? {} : { planId: quarantine(planId, 64) }),
    outcome: ending.outcome,
    detail: quarantine(ending.detail, 500),
  };
  try {
    await parts.record(entry);
  } catch (error) {
    parts.logger.error('an operator record could not be written', { ...entry, error: String(error) });
  }
}

const beatMilliseconds = 10_000;

/** Tells a caller that asked for progress that the call is alive. In seconds; what the agent says of its own progress starts anew. */
function beat(clock: Clock, progress: ToolContext['progress'], isWaiting: () => boolean): () => void {
  if (!progress) return () => {};
  const startedAt = clock.now();
  let cancel = () => {};
  const next = () => {
    cancel = clock.after(beatMilliseconds, () => {
      const seconds = Math.floor((clock.now() - startedAt) / 1_000);
      const words = isWaiting() ? 'waiting for a person to confirm' : 'waiting for the agent';
      progress(seconds, Math.max(seconds, operatorCallMilliseconds / 1_000), words);
      next();
    });
  };
  next();
  return () => cancel();
}

/** One spelling of equal arguments. */
function canonical(given: StructuredContent): string {
  const entries = Object.entries(given).filter(([, value]) => value !== undefined);
  return JSON.stringify(entries.sort(([a], [b]) => (a < b ? -1 : 1)));
}
