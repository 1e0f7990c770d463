import { GpuError, type StructuredContent } from '@k8s-gpu-mcp/core';

/** What was asked of the cluster. */
export interface ClusterQuestion {
  readonly tool: string;
  readonly detail: 'summary' | 'full';
  /** Nodes per page, 1 to 200. Default 10. */
  readonly limit?: number | undefined;
  /** `nextCursor` of an answer to the same question. */
  readonly cursor?: string | undefined;
  /** Everything else that was asked for, nodes and time among it: a cursor is good for the same arguments only. */
  readonly arguments?: StructuredContent;
  /** ISO 8601: when the answer is made. */
  readonly observedAt: string;
  /** Short name of the directory that knows the nodes. */
  readonly directoryKind: string;
}

export const defaultLimit = 10;
const maximumLimit = 200;
/** A whole offset in base 36, and what it was handed out for. */
const cursorForm = /^([1-9a-z][0-9a-z]{0,4})-([0-9a-f]{8})$/;

/** @throws GpuError INVALID_INPUT for a limit or cursor that no page of this question could have. */
export function pageRequestOf(question: ClusterQuestion): {
  readonly offset: number;
  readonly limit: number;
} {
  const { limit = defaultLimit, cursor } = question;
  if (!Number.isInteger(limit) || limit < 1 || limit > maximumLimit) {
    throw new GpuError(
      'INVALID_INPUT',
      `limit = ${String(limit).slice(0, 40)} is not from 1 to ${maximumLimit}.`,
    );
  }
  if (cursor === undefined) return { offset: 0, limit };
  const [, offset, mark] = cursorForm.exec(cursor) ?? [];
  if (offset === undefined || mark !== markOf(question)) {
    throw new GpuError(
      'INVALID_INPUT',
      `cursor = ${JSON.stringify(cursor.slice(0, 40))} is not a nextCursor of this question.`,
      {
        hint: `Give ${question.tool} the nextCursor of its page before with the same arguments, or leave cursor out.`,
      },
    );
  }
  return { offset: Number.parseInt(offset, 36), limit };
}

export function cursorAt(offset: number, question: ClusterQuestion): string {
  return `${offset.toString(36)}-${markOf(question)}`;
}

/** Tells questions apart; nothing is kept safe by it. FNV-1a, 32 bits (Fowler, Noll, Vo). */
function markOf({ tool, detail, arguments: given = {} }: ClusterQuestion): string {
  const text = JSON.stringify([tool, detail, inOrder(given)]);
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index += 1) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  }
  return (hash >>> 0).toString(16).padStart(8, '0');
}

/** The order in which a client writes its arguments means nothing. */
function inOrder(given: StructuredContent): readonly (readonly [string, unknown])[] {
  return Object.entries(given)
    .filter(([name, value]) => value !== undefined && name !== 'limit' && name !== 'cursor')
    .sort(([a], [b]) => (a < b ? -1 : 1));
}
