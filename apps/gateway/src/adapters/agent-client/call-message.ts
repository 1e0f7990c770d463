import { callMetaKeys } from '@k8s-gpu-mcp/core';
import {
  CLIENT_CAPABILITIES_META_KEY,
  CLIENT_INFO_META_KEY,
  PROTOCOL_VERSION_META_KEY,
  ProtocolError,
} from '@modelcontextprotocol/client';
import type { AgentCall } from '../../ports/agent-client.ts';
import { maximumNesting, nestedTooDeep } from './agent-fetch.ts';
import { clientInfo } from './agent-session.ts';

/** Every call is one request with an answer of its own, so one id is enough. */
const callId = 1;

/** Writes `tools/call` as the revision without sessions has it: the whole handshake goes with each request. */
export type CallWriter = (call: AgentCall, deadlineMilliseconds: number, revision: string) => Buffer;

/** What was written last is kept: all nodes of one question are sent the same bytes, as long as no millisecond passes. */
export function createCallWriter(version: string): CallWriter {
  let written: { readonly of: readonly unknown[]; readonly bytes: Buffer } | undefined;
  return (call, deadlineMilliseconds, revision) => {
    const { tool, arguments: given, correlationId, traceparent } = call;
    const of = [tool, given, correlationId, traceparent, deadlineMilliseconds, revision];
    if (written && of.every((each, index) => each === written?.of[index])) return written.bytes;
    const _meta = {
      [PROTOCOL_VERSION_META_KEY]: revision,
      [CLIENT_INFO_META_KEY]: clientInfo(version),
      [CLIENT_CAPABILITIES_META_KEY]: {},
      [callMetaKeys.deadlineMilliseconds]: deadlineMilliseconds,
      [callMetaKeys.correlationId]: correlationId,
      [callMetaKeys.traceparent]: traceparent,
    };
    const params = { name: tool, arguments: given, _meta };
    const message = { jsonrpc: '2.0', id: callId, method: 'tools/call', params };
    written = { of, bytes: Buffer.from(JSON.stringify(message)) };
    return written.bytes;
  };
}

export type Fields = Readonly<Record<string, unknown>>;
export const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/**
 * The `result` of the answer to our one request; undefined for a message that is not it, of which a stream may bring some before.
 * @throws ProtocolError for a JSON-RPC error; AgentFailure for one nested too deep; SyntaxError or TypeError for what is not MCP.
 */
export function resultIn(text: string): Fields | undefined {
  const message: unknown = JSON.parse(text);
  if (isObject(message) && isDeeper(message, maximumNesting)) throw nestedTooDeep();
  if (!isFields(message) || message['jsonrpc'] !== '2.0') throw new TypeError('not JSON-RPC');
  if ('method' in message) return undefined;
  const { id, result, error } = message;
  if (id !== callId) return undefined;
  if (isFields(error)) {
    const { code, message: said, data } = error;
    if (!Number.isInteger(code) || typeof said !== 'string') throw new TypeError('not a JSON-RPC error');
    throw new ProtocolError(Number(code), said, data);
  }
  if (!isFields(result)) throw new TypeError('neither result nor error');
  return result;
}

const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null;

/** The parser itself needs no stack for what is nested; readers do. */
function isDeeper(value: object, levels: number): boolean {
  if (levels === 0) return true;
  if (Array.isArray(value)) return value.some((each) => isObject(each) && isDeeper(each, levels - 1));
  for (const name in value) {
    const each = (value as Fields)[name];
    if (isObject(each) && isDeeper(each, levels - 1)) return true;
  }
  return false;
}
