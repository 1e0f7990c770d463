import type { StructuredContent } from '@k8s-gpu-mcp/core';
import { fieldOf, rowsOf, textOf } from './fields.ts';
import { type AskOptions, InterruptedError } from './gateway-session.ts';
import type { Subject } from './subject.ts';

export type Ask = (
  tool: string,
  given: StructuredContent,
  options?: Partial<AskOptions>,
) => Promise<StructuredContent>;

/** The gateway lists no more nodes in one page. */
const largestPage = 200;
const maximumPages = 100;

/** None: all nodes. One word may be a name or a selector, which the gateway tells apart. */
export function nodeArgument(operands: readonly string[]): { readonly node?: string | readonly string[] } {
  const [only] = operands;
  if (only === undefined) return {};
  return { node: operands.length === 1 ? only : operands };
}

export const isClusterAnswer = (answer: StructuredContent): boolean => fieldOf(answer, 'scope') === 'cluster';

/**
 * Pages of a cluster's answer up to so many nodes, as one answer: what is said of the whole is of the first page. A page that does not come
 * ends the list, which is then still `truncated`.
 */
export async function askNodes(
  ask: Ask,
  tool: string,
  given: StructuredContent,
  limit: number,
): Promise<StructuredContent> {
  const first = await ask(tool, { ...given, limit: Math.min(limit, largestPage) });
  if (!isClusterAnswer(first)) return first;
  const nodes = new Map(rowsOf(first, 'nodes').map((row) => [textOf(row, 'node', 253) ?? '', row]));
  let cursor = fieldOf(first, 'nextCursor');
  for (let page = 1; page < maximumPages && nodes.size < limit && typeof cursor === 'string'; page += 1) {
    const asked = { ...given, limit: Math.min(limit - nodes.size, largestPage), cursor };
    const next = await ask(tool, asked).catch((error: unknown) => {
      if (error instanceof InterruptedError) throw error;
      return {};
    });
    if (!isClusterAnswer(next)) break;
    const before = nodes.size;
    // A node that got worse between two pages can stand in both.
    for (const row of rowsOf(next, 'nodes')) nodes.set(textOf(row, 'node', 253) ?? '', row);
    cursor = fieldOf(next, 'nextCursor');
    if (nodes.size === before) break;
  }
  const { nextCursor: _, ...rest } = first;
  const isWhole = typeof cursor !== 'string';
  return {
    ...rest,
    nodes: [...nodes.values()].slice(0, limit),
    truncated: !isWhole || nodes.size > limit,
    ...(isWhole ? {} : { nextCursor: cursor }),
  };
}

/** What `explain_failure` is asked for. */
export function failureArguments(
  subject: Subject,
  namespace: string,
  since: string | undefined,
): StructuredContent {
  const from = since === undefined ? {} : { since };
  if (subject.kind === 'node') return { node: subject.node, ...from };
  if (subject.kind === 'pod') return { pod: `${namespace}/${subject.name}`, ...from };
  return { job: `${subject.ownerKind}/${subject.name}`, namespace, ...from };
}
