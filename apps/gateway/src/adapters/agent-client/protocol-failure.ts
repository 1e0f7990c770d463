import { quarantine } from '@k8s-gpu-mcp/core';
import {
  ProtocolError,
  ProtocolErrorCode,
  SdkError,
  SdkErrorCode,
  SdkHttpError,
  SUPPORTED_PROTOCOL_VERSIONS,
} from '@modelcontextprotocol/client';
import { AgentFailure } from '../../ports/agent-client.ts';

/** The revision without sessions that this client negotiates; the SDK lists only the older ones. */
export const modernRevision = '2026-07-28';
const ownVersions = [modernRevision, ...SUPPORTED_PROTOCOL_VERSIONS].join(', ');

const maximumSaidLength = 500;
const maximumVersionsNamed = 5;
const versionPattern = /^\d{4}-\d{2}-\d{2}$/;

/** What the SDK threw, as what it means for the node. */
export function protocolFailure(error: unknown): AgentFailure {
  if (error instanceof AgentFailure) return error;
  if (error instanceof ProtocolError) return ofJsonRpc(error);
  const offered = /^Server's protocol version is not supported: (\S{1,32})/.exec(messageOf(error))?.[1];
  if (offered !== undefined) return incompatible([offered], error);
  if (error instanceof SdkHttpError)
    return new AgentFailure('garbage', `nothing there speaks MCP (HTTP ${error.data.status})`, {
      cause: error,
    });
  if (error instanceof SdkError && error.code === SdkErrorCode.CapabilityNotSupported)
    return new AgentFailure('incompatible', 'the agent offers no tools', { cause: error });
  return new AgentFailure('garbage', "the agent's answer is not MCP", { cause: error });
}

/** Names the versions of both sides. Those of the agent are untrusted: what is no date is left out. */
export function incompatible(theirs: readonly unknown[], cause?: unknown): AgentFailure {
  const named = theirs.filter((each) => typeof each === 'string' && versionPattern.test(each));
  const versions = named.slice(0, maximumVersionsNamed).join(', ') || 'a version it does not name';
  return new AgentFailure(
    'incompatible',
    `the agent speaks MCP ${versions}, this gateway speaks ${ownVersions}`,
    { cause },
  );
}

function ofJsonRpc(error: ProtocolError): AgentFailure {
  const options = { said: quarantine(error.message, maximumSaidLength), cause: error };
  if (error.code === ProtocolErrorCode.UnsupportedProtocolVersion) {
    const data: unknown = error.data;
    const isList = typeof data === 'object' && data !== null && 'supported' in data;
    return incompatible(isList && Array.isArray(data.supported) ? data.supported : [], error);
  }
  if (isUnknownTool(error))
    return new AgentFailure('incompatible', 'the agent does not have this tool', options);
  return new AgentFailure(
    'refused',
    `the agent refused the call (JSON-RPC error ${Number(error.code)})`,
    options,
  );
}

/** Its text only chooses between two sentences of ours. */
export function isUnknownTool(error: unknown): boolean {
  if (!(error instanceof ProtocolError)) return false;
  const { code, message } = error;
  if (code === ProtocolErrorCode.MethodNotFound) return true;
  return (
    code === ProtocolErrorCode.InvalidParams &&
    /\btool\b.{0,200}\bnot found\b|\bunknown tool\b/is.test(message.slice(0, 400))
  );
}

/** True when what was remembered of an agent may be out of date: the call was turned away before any tool began. */
export function isStaleHandshake(error: unknown): boolean {
  if (error instanceof SdkHttpError) return [400, 404, 405].includes(error.data.status);
  return error instanceof ProtocolError && error.code === ProtocolErrorCode.UnsupportedProtocolVersion;
}

const messageOf = (error: unknown) => (error instanceof Error ? error.message : '');
