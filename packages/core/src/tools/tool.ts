import type { z } from 'zod';
import type { GpuErrorCode } from '../errors.ts';

/** All four hints; the protocol's defaults are the worst case. */
export interface ToolAnnotations {
  readonly readOnlyHint: boolean;
  readonly destructiveHint: boolean;
  readonly idempotentHint: boolean;
  readonly openWorldHint: boolean;
}

export const readOnlyAnnotations: ToolAnnotations = {
  readOnlyHint: true,
  destructiveHint: false,
  idempotentHint: true,
  openWorldHint: false,
};

/** For tools that act: they exist in operator mode only, and a client should treat them as the worst case. */
export const destructiveAnnotations: ToolAnnotations = {
  readOnlyHint: false,
  destructiveHint: true,
  idempotentHint: false,
  openWorldHint: false,
};

/**
 * Keys in `_meta` of `tools/call` with which a caller passes its deadline and trace on. `traceparent` is the name that MCP's trace context
 * convention reserves.
 */
export const callMetaKeys = {
  /** Whole number. The shorter of this and the tool's own deadline counts. */
  deadlineMilliseconds: 'io.github.k8s-gpu-mcp/deadline-milliseconds',
  /** Sixteen hexadecimal digits, the same for every call that one question made. */
  correlationId: 'io.github.k8s-gpu-mcp/correlation-id',
  /** W3C Trace Context. */
  traceparent: 'traceparent',
} as const;

/** A question to the person at the client: do it or not. */
export interface ConfirmationRequest {
  /** Not to be guessed. A client that answers by calling again (2026-07-28) sends it back with the answer. */
  readonly id: string;
  /** What is about to be done, and to what. */
  readonly message: string;
  /** Aborts when the answer is no longer waited for. */
  readonly signal: AbortSignal;
  readonly timeoutMilliseconds: number;
}

/**
 * `accepted` only when the person said yes. `cancelled`: no answer. `pending`: the question travels with the result of this call, and the
 * client calls again with the answer (2026-07-28); nothing may be done until it does.
 */
export type Confirmation = 'accepted' | 'declined' | 'cancelled' | 'pending';

export interface ToolContext {
  /** Aborts when the caller cancels. The tool's own deadline comes on top. */
  readonly signal?: AbortSignal;
  /** Present only when the caller asked for progress. */
  readonly progress?: (done: number, total: number, message?: string) => void;
  /** Who asks: the name that authentication gave. Default `local`, the one person of a local session. */
  readonly caller?: string;
  /** Asks the person at the client. Present only when the client can. */
  readonly confirm?: (question: ConfirmationRequest) => Promise<Confirmation>;
  /** Id of the question whose answer this call brings. Untrusted: it counts only when it is the id of a question that was asked. */
  readonly answeredQuestion?: string;
  /** When the caller stops waiting, counted from now. The tool's own deadline holds too; the shorter one counts. At least 100. */
  readonly deadlineMilliseconds?: number;
  /** Sixteen hexadecimal digits that the caller logs too. */
  readonly correlationId?: string;
  /** W3C trace context of the caller. */
  readonly traceparent?: string;
}

export type StructuredContent = Readonly<Record<string, unknown>>;

export type ToolResult =
  | { readonly isError: false; readonly structuredContent: StructuredContent; readonly text: string }
  /** `text` begins with the code, says what happened and what to do next. */
  | { readonly isError: true; readonly code: GpuErrorCode; readonly text: string };

/** A tool as data, free of any SDK: name, schemas, hints, and one function that never rejects. */
export interface GpuTool {
  readonly name: string;
  readonly title: string;
  readonly description: string;
  /** Strict: an unknown argument is an error, not ignored. */
  readonly inputSchema: z.ZodObject;
  /** What every answer holds; fields beyond it may be added. */
  readonly outputSchema: z.ZodObject;
  readonly annotations: ToolAnnotations;
  /** Validates the arguments, runs within the deadline, and turns every failure into an error result that says what to do. */
  call(input: unknown, context?: ToolContext): Promise<ToolResult>;
}

/** What a tool file defines; `createGpuTools` makes a `GpuTool` of it. */
export interface ToolDefinition<Input extends z.ZodObject = z.ZodObject> {
  readonly name: string;
  readonly title: string;
  readonly description: string;
  readonly inputSchema: Input;
  readonly outputSchema: z.ZodObject;
  /** Default: those of a tool that only reads. */
  readonly annotations?: ToolAnnotations;
  /** Instead of the deadline of all tools, for one that waits for a person or must not be cut short. */
  readonly deadlineMilliseconds?: number;
  /** @throws GpuError for what the caller can act on; anything else is a defect. */
  handle(
    input: z.infer<Input>,
    signal: AbortSignal,
    progress: ToolContext['progress'],
    context: ToolContext,
  ): Promise<StructuredContent>;
}

/** Infers the handler's input from the schema. */
export function defineTool<Input extends z.ZodObject>(
  definition: ToolDefinition<Input>,
): ToolDefinition<Input> {
  return definition;
}
