import {
  type JSONRPCErrorResponse,
  type JSONRPCRequest,
  parseJSONRPCMessage,
} from '@modelcontextprotocol/client';
import type { Link, Outcome } from './link.ts';

/** JSON-RPC leaves -32000 to -32099 to implementations; MCP gives meaning to others of them, not to this one. */
const BRIDGE_ERROR = -32000;
const maxQuotedCharacters = 500;

export type Failure = Exclude<Outcome, { readonly kind: 'answered' }>;

export interface FailureContext {
  readonly farSide: Link['farSide'];
  readonly hasToken: boolean;
  /** Why there is no token, where one was looked for. */
  readonly tokenProblem?: string | undefined;
  /** Whether the request was sent a second time. */
  readonly wasRetried: boolean;
}

/** What the host is told when no answer came: what happened, whether it may have taken effect, and what to do. */
export function failureReply(
  request: JSONRPCRequest,
  failure: Failure,
  context: FailureContext,
): JSONRPCErrorResponse {
  // What to do about a missing token is known here, not at the server.
  const own =
    failure.kind === 'http-error' && failure.status !== 401 ? errorOfServer(failure.text) : undefined;
  if (own !== undefined) return { jsonrpc: '2.0', id: request.id, error: own };
  return bridgeError(request, failure.kind, explain(request, failure, context));
}

export function bridgeError(request: JSONRPCRequest, reason: string, message: string): JSONRPCErrorResponse {
  return {
    jsonrpc: '2.0',
    id: request.id,
    error: { code: BRIDGE_ERROR, message, data: { source: 'k8s-gpu-mcp-bridge', reason } },
  };
}

function explain(request: JSONRPCRequest, failure: Failure, context: FailureContext): string {
  const { farSide } = context;
  switch (failure.kind) {
    case 'not-sent':
      return `The ${farSide} could not be reached, and ${request.method} was not sent. ${failure.reason}`;
    case 'lost':
      return context.wasRetried
        ? `The connection to the ${farSide} broke twice during ${request.method} (${failure.reason}). It only reads: try again when the ${farSide} is up.`
        : `The connection to the ${farSide} broke during ${request.method} (${failure.reason}). Whether it took effect is not known, so it was not sent again: look at the state before you repeat it.`;
    case 'refused':
      return `The answer of the ${farSide} to ${request.method} was refused. ${failure.reason}`;
    case 'session-gone':
      return `The ${farSide} was started anew before ${request.method} reached it, and has lost the session. Nothing was done: try again.`;
    case 'cancelled':
      return `${request.method} was cancelled because the bridge is closing.`;
    case 'http-error':
      return explainStatus(failure.status, failure.text, context);
  }
}

/** What an HTTP status of the gateway means, with what it said, and what to do. */
export function explainStatus(
  status: number,
  text: string,
  { hasToken, tokenProblem }: Pick<FailureContext, 'hasToken' | 'tokenProblem'>,
): string {
  if (status === 401)
    return hasToken
      ? 'The gateway refused the token (HTTP 401): it may have expired; give the current one with --token-file.'
      : tokenProblem === undefined
        ? 'The gateway asks for a token (HTTP 401): give one with --token-file, --token or K8S_GPU_MCP_TOKEN.'
        : `The gateway asks for a token (HTTP 401). ${tokenProblem}`;
  if (status === 403)
    return 'The gateway refused this caller (HTTP 403): its token does not allow the request, or the gateway does not accept this host name.';
  if (status === 404)
    return 'There is no MCP endpoint at this address (HTTP 404): check --gateway-url, whose path is usually /mcp.';
  if (status === 400 && /HTTP request (?:was sent )?to (?:an )?HTTPS (?:server|port)/i.test(text))
    return 'The gateway speaks TLS (HTTP 400): https expected instead of http in --gateway-url.';
  const quote = text.replace(/[^\x20-\x7e]+/g, ' ').slice(0, maxQuotedCharacters);
  return `The gateway answered HTTP ${status}. ${status >= 500 ? 'It is not ready or has a fault: see its log.' : 'It does not accept the request.'}${quote === '' ? '' : ` It said: ${quote}`}`;
}

/** The JSON-RPC error in a body of HTTP 4xx and 5xx, if the server put one there. */
function errorOfServer(text: string): JSONRPCErrorResponse['error'] | undefined {
  try {
    const value: unknown = JSON.parse(text);
    // JSON-RPC says `id: null` where the request could not be read; the schema leaves it out.
    const message = parseJSONRPCMessage(
      typeof value === 'object' && value !== null && 'id' in value && value.id === null
        ? { ...value, id: undefined }
        : value,
    );
    return 'error' in message ? message.error : undefined;
  } catch {
    return undefined;
  }
}
