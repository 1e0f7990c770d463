import type { Client } from '@modelcontextprotocol/client';
import { expect } from 'vitest';
import { objectAt } from '../stand-in-cluster/json.ts';

/** The structured answer of a tool. */
export async function ask(
  client: Client,
  name: string,
  input: Readonly<Record<string, unknown>> = {},
): Promise<Readonly<Record<string, unknown>>> {
  const { structuredContent, isError, content } = await client.callTool({ name, arguments: { ...input } });
  expect(isError, JSON.stringify(content)).toBeFalsy();
  return objectAt({ structuredContent }, 'structuredContent');
}

export const health = (client: Client) => ask(client, 'get_gpu_health');
