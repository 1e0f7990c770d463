import { PROTOCOL_VERSION_META_KEY, type RequestId } from '@modelcontextprotocol/server';

/** JSON-RPC error codes this transport answers with by itself. */
export const ErrorCode = {
  parseError: -32700,
  invalidRequest: -32600,
  invalidParams: -32602,
  /** Refused before any MCP handling: authentication, Host, size. The code the SDK's transports use for this. */
  refused: -32000,
  /** A request ran into its deadline, or its session is gone. The code the SDK's transports use for this. */
  timedOutOrGone: -32001,
} as const;

export interface JsonRpcErrorBody {
  readonly jsonrpc: '2.0';
  readonly id: RequestId | null;
  readonly error: { readonly code: number; readonly message: string };
}

export function errorBody(code: number, message: string, id: RequestId | null = null): JsonRpcErrorBody {
  return { jsonrpc: '2.0', id, error: { code, message } };
}

/** Every refusal of this transport has this shape, on every path. */
export function errorResponse(
  status: number,
  code: number,
  message: string,
  extra: { readonly id?: RequestId | null; readonly headers?: Record<string, string> } = {},
): Response {
  return new Response(JSON.stringify(errorBody(code, message, extra.id ?? null)), {
    status,
    headers: { 'content-type': 'application/json', ...extra.headers },
  });
}

interface RequestLike {
  readonly id: RequestId;
  readonly method: string;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The requests (not notifications, not responses) in a parsed body: one, or those of a batch. */
export function requestsIn(body: unknown): RequestLike[] {
  const messages: unknown[] = Array.isArray(body) ? body : [body];
  return messages.flatMap((message) => {
    if (!isObject(message)) return [];
    const { id, method } = message;
    if (typeof method !== 'string' || (typeof id !== 'string' && typeof id !== 'number')) return [];
    return [{ id, method }];
  });
}

/** The ids that `notifications/cancelled` messages in a parsed body name. */
export function cancelledIdsIn(body: unknown): RequestId[] {
  const messages: unknown[] = Array.isArray(body) ? body : [body];
  return messages.flatMap((message) => {
    if (!isObject(message) || message['method'] !== 'notifications/cancelled' || !isObject(message['params']))
      return [];
    const { requestId } = message['params'];
    return typeof requestId === 'string' || typeof requestId === 'number' ? [requestId] : [];
  });
}

/**
 * A request whose `_meta` names a protocol version is never one of a session. Where this says no, `isLegacyRequest` decides; where it says yes,
 * the SDK's handler classifies the request again, and would refuse one that is not its own.
 */
export function claimsModern(body: unknown): boolean {
  if (!isObject(body) || typeof body['method'] !== 'string' || body['method'] === 'initialize') return false;
  if (!isObject(body['params']) || !('id' in body) || 'result' in body || 'error' in body) return false;
  const { _meta: meta } = body['params'];
  return isObject(meta) && PROTOCOL_VERSION_META_KEY in meta;
}
