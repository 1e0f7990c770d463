import { describeGpuTools, describeOperatorTools } from '@k8s-gpu-mcp/core';
import type { AgentCall } from '../../ports/agent-client.ts';
import { type AgentSession, requestOptions } from './agent-session.ts';
import type { Exchange } from './exchange.ts';

/** Tools of an agent by name, with the arguments that each takes; null for one that takes any. */
export type ListedTools = ReadonlyMap<string, ReadonlySet<string> | null>;

/** Agents have about a dozen, on one page. */
const maximumPages = 4;
const maximumTools = 200;
const maximumArguments = 100;
const maximumNameLength = 128;

let own: readonly string[] | undefined;

/** The names of the tools that agents have: by these one is told from another server. */
export function ourTools(): readonly string[] {
  own ??= [...describeGpuTools(), ...describeOperatorTools()].map(({ name }) => name);
  return own;
}

/** Null when the agent does not tell, or tells without end. @throws AgentFailure when the call has ended meanwhile. */
export async function listTools(session: AgentSession, exchange: Exchange): Promise<ListedTools | null> {
  const listed = new Map<string, ReadonlySet<string> | null>();
  let cursor: string | undefined;
  try {
    for (let page = 0; page < maximumPages; page += 1) {
      const params = cursor === undefined ? {} : { cursor };
      const result = await session.client.request({ method: 'tools/list', params }, requestOptions(exchange));
      exchange.answered();
      for (const { name, inputSchema } of result.tools) {
        if (listed.size >= maximumTools) return null;
        if (name.length <= maximumNameLength) listed.set(name, argumentsOf(inputSchema));
      }
      cursor = result.nextCursor;
      if (cursor === undefined) return listed;
    }
    return null;
  } catch (error) {
    // What it cannot list it may still have: the question itself decides.
    if (exchange.signal.aborted) throw error;
    return null;
  }
}

function argumentsOf(schema: unknown): ReadonlySet<string> | null {
  const { properties, additionalProperties } = (schema ?? {}) as Readonly<Record<string, unknown>>;
  if (additionalProperties !== false || typeof properties !== 'object' || properties === null) return null;
  const names = Object.keys(properties);
  return names.length > maximumArguments ? null : new Set(names);
}

/** The tool, or the first argument, that the agent does not list; null when it lists all of the question. */
export function lookUp(tools: ListedTools, { tool, arguments: given }: AgentCall): string | null {
  const known = tools.get(tool);
  if (known === undefined) return tool;
  const asked = Object.keys(given).filter((name) => given[name] !== undefined);
  return known && (asked.find((name) => !known.has(name)) ?? null);
}
