import type { z } from 'zod';
import { GpuError, isGpuError } from '../errors.ts';
import type { Clock, Logger } from '../ports/runtime.ts';
import {
  type GpuTool,
  readOnlyAnnotations,
  type ToolContext,
  type ToolDefinition,
  type ToolResult,
} from './tool.ts';
import { quarantine } from './untrusted-text.ts';

/** Kept back from the deadline so that the answer is on its way when it passes. */
const answerMarginMilliseconds = 500;

export interface RunOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  /** After this an answer is given with what was read. */
  readonly deadlineMilliseconds: number;
}

/** Wraps a definition with what every tool needs: validation, the deadline, and errors as results. */
export function makeTool<Input extends z.ZodObject>(
  definition: ToolDefinition<Input>,
  options: RunOptions,
): GpuTool {
  const { name, title, description, inputSchema, outputSchema } = definition;
  return {
    name,
    title,
    description,
    inputSchema,
    outputSchema,
    annotations: definition.annotations ?? readOnlyAnnotations,
    async call(input, context = {}) {
      const ids = { tool: name, ...callIds(context) };
      const result = await run(definition, options, input, context, ids);
      options.logger.debug('tool call', { ...ids, outcome: result.isError ? result.code : 'ok' });
      return result;
    },
  };
}

async function run<Input extends z.ZodObject>(
  definition: ToolDefinition<Input>,
  options: RunOptions,
  input: unknown,
  context: ToolContext,
  ids: Readonly<Record<string, string>>,
): Promise<ToolResult> {
  const { name } = definition;
  const parsed = definition.inputSchema.safeParse(input ?? {});
  if (!parsed.success) return errorResult(name, invalidArguments(definition, parsed.error, input));
  const own = definition.deadlineMilliseconds ?? options.deadlineMilliseconds;
  const deadlineMilliseconds = Math.min(own, context.deadlineMilliseconds ?? own);
  const deadline = startDeadline(options.clock, deadlineMilliseconds, context.signal);
  try {
    const { signal } = deadline;
    const structuredContent = await definition.handle(parsed.data, signal, context.progress, context);
    return { isError: false, structuredContent, text: JSON.stringify(structuredContent) };
  } catch (error) {
    if (isGpuError(error)) return errorResult(name, error);
    options.logger.error('a tool failed', { ...ids, error });
    return errorResult(name, new GpuError('INTERNAL', `${name} failed unexpectedly.`));
  } finally {
    deadline.stop();
  }
}

/** What joins the log lines of one question, here and at whoever passed it on. */
function callIds({ correlationId, traceparent }: ToolContext): Readonly<Record<string, string>> {
  const traceId = traceparent?.split('-')[1];
  return { ...(correlationId ? { correlationId } : {}), ...(traceId ? { traceId } : {}) };
}

/** What happened and what to do, naming the tool that takes the corrected argument. */
function errorResult(tool: string, error: GpuError): ToolResult {
  const about = error.code === 'INVALID_INPUT' ? `Invalid arguments for ${tool}: ` : '';
  const text = `${error.code}: ${about}${error.message} ${error.hint}`;
  // It may echo what the caller was given by somebody else.
  return { isError: true, code: error.code, text: quarantine(text, maximumErrorLength) };
}

/** A signal that aborts with the caller's, or in time for the answer to be there when the deadline passes. `stop` gives both back. */
export function startDeadline(
  clock: Clock,
  deadlineMilliseconds: number,
  caller: AbortSignal | undefined,
): { readonly signal: AbortSignal; stop(): void } {
  const controller = new AbortController();
  const abort = () => controller.abort();
  const budget = Math.max(deadlineMilliseconds - answerMarginMilliseconds, deadlineMilliseconds / 2);
  const cancel = clock.after(budget, abort);
  if (caller?.aborted) abort();
  else caller?.addEventListener('abort', abort, { once: true });
  return {
    signal: controller.signal,
    stop() {
      cancel();
      caller?.removeEventListener('abort', abort);
    },
  };
}

const maximumEchoLength = 80;
const maximumErrorLength = 2_000;
/** Problems, and unknown arguments, that an error names. */
const maximumEchoes = 5;

/** Names the field, the value, what is allowed, and where to look next. */
function invalidArguments(definition: ToolDefinition, error: z.ZodError, input: unknown): GpuError {
  const allowed = Object.keys(definition.inputSchema.shape);
  const problems = error.issues.slice(0, maximumEchoes).map((issue) => {
    if (issue.code === 'unrecognized_keys') {
      const more = issue.keys.length > maximumEchoes ? ` and ${issue.keys.length - maximumEchoes} more` : '';
      const unknown = issue.keys.slice(0, maximumEchoes).map((key) => show(key));
      return `unknown argument ${unknown.join(', ')}${more} (arguments are: ${allowed.join(', ')})`;
    }
    const field = issue.path.map(String).join('.') || 'arguments';
    const value = valueAt(input, issue.path);
    return value === undefined
      ? `${field} is missing: ${issue.message}`
      : `${field} = ${show(value)}: ${issue.message}`;
  });
  const isAboutProcess = error.issues.some(({ path }) => path[0] === 'pid');
  const lookup = isAboutProcess
    ? 'get_gpu_processes lists the processes that hold GPUs'
    : 'get_gpu_inventory lists the GPUs of this node';
  return new GpuError('INVALID_INPUT', `${problems.join('; ')}.`, {
    hint: `Correct the argument and call again; ${lookup}.`,
  });
}

function valueAt(input: unknown, path: readonly PropertyKey[]): unknown {
  let value = input;
  for (const key of path) {
    if (typeof value !== 'object' || value === null) return undefined;
    value = (value as Record<PropertyKey, unknown>)[key];
  }
  return value;
}

/** A value as the caller sent it, cut to a length that cannot flood the answer. */
export function show(value: unknown): string {
  let text: string;
  try {
    text = JSON.stringify(value) ?? String(value);
  } catch {
    text = typeof value;
  }
  return text.length > maximumEchoLength ? `${text.slice(0, maximumEchoLength)}...` : text;
}
