import { z } from 'zod';
import { bindElicitation, type ElicitationHost, type ElicitingServer } from './elicitation.ts';
import { callMetaKeys, type GpuTool, type ToolContext } from './tool.ts';

/**
 * Any MCP server object of the official SDK, v1 (`@modelcontextprotocol/sdk`) or current (`@modelcontextprotocol/server`). Structural, so
 * that core depends on neither; `never` accepts both of their generic signatures.
 */
export interface McpToolServer {
  registerTool(name: string, config: never, callback: never): unknown;
  /** Asks the client; without it the tools cannot have a person confirm. */
  readonly server?: ElicitingServer;
}

/** The parts of a v1 `extra` and a current `ctx` that a tool can use. */
export interface HostContext extends ElicitationHost {
  readonly authInfo?: AuthInfo;
  readonly http?: { readonly authInfo?: AuthInfo } | undefined;
  readonly signal?: AbortSignal;
  readonly _meta?: HostMeta;
  readonly sendNotification?: Notify;
  readonly mcpReq?: ElicitationHost['mcpReq'] & {
    readonly signal?: AbortSignal;
    readonly _meta?: HostMeta;
    readonly notify?: Notify;
  };
}
/** Of an authenticated caller; a transport puts its name here. */
type AuthInfo = { readonly clientId?: string };
type HostMeta = { readonly progressToken?: string | number } & Readonly<Record<string, unknown>>;
type Notify = (notification: {
  readonly method: 'notifications/progress';
  readonly params: { progressToken: string | number; progress: number; total: number; message?: string };
}) => Promise<void>;

export interface RegisterOptions {
  /** Who calls through this server object, where the request itself does not tell. Default: `local`. */
  readonly caller?: string;
}

/** Registers every tool on a server object of either SDK line. */
export function registerGpuTools(
  server: McpToolServer,
  tools: readonly GpuTool[],
  options: RegisterOptions = {},
): void {
  for (const tool of tools) {
    const callback = (input: unknown, host: HostContext) =>
      callTool(tool, input, host, server.server, options);
    server.registerTool(tool.name, toolConfig(tool) as never, callback as never);
  }
}

/** What a host is told of a tool beside its name. */
export function toolConfig({
  title,
  description,
  inputSchema,
  outputSchema,
  annotations,
}: Omit<GpuTool, 'call'>) {
  return {
    title,
    description,
    inputSchema: advertised(inputSchema),
    outputSchema,
    annotations: { title, ...annotations },
  };
}

/** Calls a tool for a host: its result as MCP has it, or the question that has to be answered first. */
export async function callTool(
  tool: GpuTool,
  input: unknown,
  host: HostContext,
  asking: ElicitingServer | undefined,
  options: RegisterOptions,
): Promise<Readonly<Record<string, unknown>>> {
  const { result: question, ...elicitation } = bindElicitation(asking, host);
  const result = await tool.call(input, { ...options, ...toolContext(host), ...elicitation });
  const asked = question();
  if (asked && !result.isError) return asked;
  const content = [{ type: 'text', text: result.text }];
  return result.isError
    ? { content, isError: true }
    : { content, structuredContent: result.structuredContent };
}

const advertisedSchemas = new WeakMap<z.ZodObject, z.ZodObject>();

/**
 * A schema that lists as the tool's strict one and lets every object through: the tool itself validates, so that its error names the
 * field, the value, what is allowed and what to do next, whatever the host's SDK makes of a failed schema.
 */
function advertised(schema: z.ZodObject): z.ZodObject {
  const known = advertisedSchemas.get(schema);
  if (known) return known;
  const { $schema: _, ...json } = z.toJSONSchema(schema, { io: 'input' });
  const made = z.looseObject({}).meta(json);
  advertisedSchemas.set(schema, made);
  return made;
}

/** What a tool gets of its host: who calls, cancellation, and progress when the caller asked for it. */
function toolContext(host: HostContext | undefined): ToolContext {
  const signal = host?.mcpReq?.signal ?? host?.signal;
  const meta = host?.mcpReq?._meta ?? host?._meta;
  const token = meta?.progressToken;
  const notify = host?.mcpReq?.notify ?? host?.sendNotification;
  const progress: ToolContext['progress'] =
    token === undefined || notify === undefined
      ? undefined
      : (done, total, message) => {
          const params = {
            progressToken: token,
            progress: done,
            total,
            ...(message === undefined ? {} : { message }),
          };
          // A caller that went away does not care for progress.
          notify({ method: 'notifications/progress', params }).catch(() => {});
        };
  const caller = host?.http?.authInfo?.clientId ?? host?.authInfo?.clientId;
  return {
    ...(signal ? { signal } : {}),
    ...(progress ? { progress } : {}),
    ...(caller ? { caller } : {}),
    ...(meta ? callerTerms(meta) : {}),
  };
}

const shortestDeadlineMilliseconds = 100;
const correlationIdPattern = /^[\da-f]{16}$/;
/** Version `ff` and ids of zeros are invalid. Source: W3C Trace Context, section 3.2. */
const traceparentPattern = /^(?!ff)[\da-f]{2}-(?!0{32})[\da-f]{32}-(?!0{16})[\da-f]{16}-[\da-f]{2}$/;

/** Deadline and trace of the caller. What is not as it should be is ignored: it must not cost the answer. */
function callerTerms(
  meta: HostMeta,
): Pick<ToolContext, 'deadlineMilliseconds' | 'correlationId' | 'traceparent'> {
  const deadline = meta[callMetaKeys.deadlineMilliseconds];
  const correlationId = meta[callMetaKeys.correlationId];
  const traceparent = meta[callMetaKeys.traceparent];
  return {
    ...(Number.isSafeInteger(deadline)
      ? { deadlineMilliseconds: Math.max(Number(deadline), shortestDeadlineMilliseconds) }
      : {}),
    ...(typeof correlationId === 'string' && correlationIdPattern.test(correlationId)
      ? { correlationId }
      : {}),
    ...(typeof traceparent === 'string' && traceparentPattern.test(traceparent) ? { traceparent } : {}),
  };
}
