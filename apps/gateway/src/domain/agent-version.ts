import { quarantine, type StructuredContent } from '@k8s-gpu-mcp/core';
import type { AgentIdentity } from '../ports/agent-client.ts';

/** What an agent calls itself. The version of another program says nothing about its tools. */
const agentProgram = 'k8s-gpu-mcp-server';
/** Of answers: the form that this gateway reads. */
const answerVersion = 'v1';
const answerVersionPattern = /^v(\d{1,3})(?:(?:alpha|beta)\d{1,3})?$/;

const maximumNameLength = 64;
const maximumVersionLength = 64;
/**
 * Semantic Versioning 2.0.0, with pre-releases and build metadata only of forms that programs are released under: a version stands in our
 * own sentences, where an agent could write others with it.
 */
const versionPattern =
  /^(\d{1,6})\.(\d{1,6})\.(\d{1,6})(?:-(?:alpha|beta|rc|dev|next|nightly|canary)(?:[.-]?\d{1,14}){0,2}|-(?:\d{1,6}-)?g?[0-9a-f]{7,40})?(?:\+[0-9a-f]{1,40})?$/;

/**
 * Who answers there, out of what it says of itself in the handshake. How it is asked:
 *
 * | it says | asked | named in a cluster's answer |
 * | --- | --- | --- |
 * | the gateway's own line: the same major version, of 0.x the same minor | yes | no |
 * | another line | yes, after one look at the tools it lists | `agentVersions`, `agentVersion` of its node |
 * | no version, or one that is not of the form of a version | yes | the same, as null |
 * | that it is another program, which may have our tools in it | yes | the same, as null |
 *
 * A newer or older answer is read with care: fields that are not known here pass, fields that lack are unknown. A tool or an argument that
 * it does not have, and an answer of another `apiVersion`, make it `incompatible`: named, never guessed.
 */
export function identify(said: unknown, gatewayVersion: string): AgentIdentity {
  const { name, version } = (typeof said === 'object' && said !== null ? said : {}) as Record<
    string,
    unknown
  >;
  const own = name === agentProgram ? parse(version) : null;
  const line = parse(gatewayVersion)?.line;
  return {
    // Cut before anything looks at all of it.
    name: typeof name === 'string' ? quarantine(name.slice(0, 1_024), maximumNameLength) : '',
    version: own?.version ?? null,
    isCompatible: own !== null && own.line === line,
  };
}

function parse(version: unknown): { readonly version: string; readonly line: string } | null {
  if (typeof version !== 'string' || version.length > maximumVersionLength) return null;
  const [, major, minor] = versionPattern.exec(version) ?? [];
  if (major === undefined || minor === undefined) return null;
  return { version, line: Number(major) === 0 ? `0.${Number(minor)}` : String(Number(major)) };
}

/**
 * Why an agent cannot be asked for something that it does not have, and who is to be upgraded. `what`: our own name of a tool or an argument.
 */
export function sayMissing(what: string, agent: AgentIdentity | undefined, gatewayVersion: string): string {
  const version = agent?.version;
  const lacks =
    version == null
      ? `the agent, of a version that it does not tell, does not have ${what}`
      : `agent ${version} does not have ${what}`;
  const who = agent?.isCompatible
    ? 'of the same line, so it may run in another mode'
    : `upgrade the ${version != null && isNewer(version, gatewayVersion) ? 'gateway' : 'agents'}`;
  return `${lacks}; this gateway is ${gatewayVersion}: ${who}`;
}

function isNewer(version: string, than: string): boolean {
  const [a, b] = [version, than].map((each) => (versionPattern.exec(each) ?? []).slice(1, 4).map(Number));
  for (const [index, part] of (a ?? []).entries()) {
    const other = b?.[index] ?? 0;
    if (part !== other) return part > other;
  }
  return false;
}

/** Null for an answer that can be read here; else in our own words why nothing of it is used. */
export function answerVersionProblem(content: StructuredContent): string | null {
  const version: unknown = Object.hasOwn(content, 'apiVersion') ? content['apiVersion'] : undefined;
  if (version === answerVersion) return null;
  const [named, number] =
    typeof version === 'string' && version.length <= 16 ? (answerVersionPattern.exec(version) ?? []) : [];
  const what = named === undefined ? 'of a version that it does not tell' : `of version ${named}`;
  const who = Number(number) > 1 ? 'gateway' : 'agent';
  return `its answer is ${what}, this gateway reads ${answerVersion}: upgrade the ${who}`;
}
