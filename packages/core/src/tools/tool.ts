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

export interface ToolContext {
  /** Aborts when the caller cancels. The tool's own deadline comes on top. */
  readonly signal?: AbortSignal;
  /** Present only when the caller asked for progress. */
  readonly progress?: (done: number, total: number, message?: string) => void;
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
  /** @throws GpuError for what the caller can act on; anything else is a defect. */
  handle(
    input: z.infer<Input>,
    signal: AbortSignal,
    progress: ToolContext['progress'],
  ): Promise<StructuredContent>;
}

/** Infers the handler's input from the schema. */
export function defineTool<Input extends z.ZodObject>(
  definition: ToolDefinition<Input>,
): ToolDefinition<Input> {
  return definition;
}
