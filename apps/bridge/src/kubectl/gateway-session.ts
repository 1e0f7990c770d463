import type { StructuredContent } from '@k8s-gpu-mcp/core';
import { quarantine } from '@k8s-gpu-mcp/core';
import { Client, SdkHttpError, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { explainStatus } from '../failure-replies.ts';
import { type GatewayLink, GatewayRefusedError } from '../gateway-link.ts';
import { RouteError } from '../gateway-route.ts';

/** The transport does not see the real address, which may change under it; the link knows it. */
const anyUrl = new URL('http://gateway.invalid/mcp');
const maximumSaid = 1_000;
/** As an agent introduces itself. */
const agentName = 'k8s-gpu-mcp-server';

/** No answer could be had: no way to the gateway, or it did not take the question. The message is for the person. */
export class UnavailableError extends Error {
  override readonly name = 'UnavailableError';
}

/** The person has had enough: Ctrl-C. */
export class InterruptedError extends Error {
  override readonly name = 'InterruptedError';
}

/** The gateway answered with an error of the tool. */
export class ToolFailure extends Error {
  override readonly name = 'ToolFailure';
  /** A code of core where the text begins with one. */
  readonly code: string | undefined;

  constructor(text: string) {
    super(text);
    this.code = /^([A-Z_]{3,40}): /.exec(text)?.[1];
  }
}

export interface ProgressNote {
  readonly done: number;
  readonly total: number | undefined;
  readonly message: string | undefined;
}

export interface AskOptions {
  readonly signal: AbortSignal;
  readonly onProgress?: ((note: ProgressNote) => void) | undefined;
}

/** Questions to the gateway over one MCP connection of either era. */
export interface GatewaySession {
  /** @throws UnavailableError, ToolFailure, or the signal's reason. */
  ask(tool: string, given: StructuredContent, options: AskOptions): Promise<StructuredContent>;
  close(): Promise<void>;
}

export interface SessionOptions {
  readonly link: GatewayLink;
  /** Whether the person gave a token. */
  readonly hasToken: boolean;
  readonly version: string;
  readonly timeoutMilliseconds: number;
  readonly signal: AbortSignal;
}

/**
 * Connects, and once more when the connection broke: a port-forward that is refused can only be cut, and says why to who comes next.
 *
 * @throws UnavailableError, or the signal's reason.
 */
export async function openSession(options: SessionOptions): Promise<GatewaySession> {
  try {
    return await connect(options);
  } catch (error) {
    const isBroken = error instanceof UnavailableError && error.cause instanceof TypeError;
    if (!isBroken || options.signal.aborted) throw error;
    return connect(options);
  }
}

async function connect(options: SessionOptions): Promise<GatewaySession> {
  const { link, hasToken, version, timeoutMilliseconds: timeout, signal } = options;
  // The SDK wraps what its transport's fetch throws, in words only.
  let failure: Error | undefined;
  const transport = new StreamableHTTPClientTransport(anyUrl, {
    fetch: async (_url, init = {}) => {
      try {
        const response = await link.fetch(init);
        failure = undefined;
        return response;
      } catch (error) {
        if (error instanceof Error) failure = error;
        throw error;
      }
    },
  });
  const client = new Client(
    { name: 'kubectl-mcp', version },
    { versionNegotiation: { mode: 'auto' }, capabilities: {} },
  );
  const explained = (error: unknown) => {
    if (signal.aborted) return signal.reason;
    const { tokenProblem, hasRouteToken } = link;
    return unavailable(failure ?? error, { hasToken: hasToken || hasRouteToken, tokenProblem });
  };
  const close = () => client.close().catch(() => {});
  try {
    await client.connect(transport, { timeout, signal });
  } catch (error) {
    await close();
    throw explained(error);
  }
  if (client.getServerVersion()?.name === agentName) {
    await close();
    throw new UnavailableError(
      'This is the agent of one node and not the gateway of the cluster: give the address of the gateway.',
    );
  }
  return {
    async ask(tool, given, { signal: asking, onProgress }) {
      failure = undefined;
      try {
        const result = await client.callTool(
          { name: tool, arguments: given },
          {
            signal: asking,
            timeout,
            ...(onProgress === undefined
              ? {}
              : {
                  onprogress: ({ progress: done, total, message }) =>
                    onProgress({ done, total, message: message && quarantine(message, 120) }),
                }),
          },
        );
        if (result.isError === true) throw new ToolFailure(textOf(result.content));
        const { structuredContent } = result;
        if (typeof structuredContent !== 'object' || structuredContent === null)
          throw new UnavailableError(`The gateway's answer of ${tool} has no structured content.`);
        return structuredContent as StructuredContent;
      } catch (error) {
        if (error instanceof ToolFailure || error instanceof UnavailableError) throw error;
        if (asking.aborted) throw asking.reason;
        throw explained(error);
      }
    },
    close,
  };
}

function textOf(content: unknown): string {
  if (!Array.isArray(content)) return 'The gateway says that it failed, and not why.';
  const texts = content.flatMap((part: unknown) =>
    typeof part === 'object' && part !== null && 'text' in part && typeof part.text === 'string'
      ? [part.text]
      : [],
  );
  return quarantine(texts.join(' ').slice(0, maximumSaid * 4), maximumSaid);
}

function unavailable(error: unknown, token: Parameters<typeof explainStatus>[2]): UnavailableError {
  if (error instanceof UnavailableError) return error;
  if (error instanceof SdkHttpError)
    return new UnavailableError(explainStatus(error.status, String(error.data['text'] ?? ''), token), {
      cause: error,
    });
  // What the bridge itself says is a whole sentence for the person.
  if (error instanceof RouteError || error instanceof GatewayRefusedError)
    return new UnavailableError(error.message, { cause: error });
  const reason = quarantine(reasonOf(error), 300);
  return new UnavailableError(`The gateway did not answer: ${reason}`, { cause: error });
}

/** fetch says only that it failed; its cause says why. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { cause, message } = error;
  return cause instanceof Error && cause.message !== '' ? `${message} (${cause.message})` : message;
}
