import { z } from 'zod';
import { GpuError } from '../errors.ts';

/** Arguments of a list that is paged. */
export function limitArgument(noun: string, defaultLimit: number) {
  return z
    .int({ error: 'expected a whole number from 1 to 200' })
    .min(1, 'expected 1 to 200')
    .max(200, 'expected 1 to 200')
    .default(defaultLimit)
    .describe(`${noun} per page.`);
}

export const cursorArgument = z.string().max(16).describe('nextCursor of the page before.').optional();

/** @throws GpuError INVALID_INPUT for what no page of a tool handed out. */
export function parseCursor(cursor: string | undefined): number {
  if (cursor === undefined) return 0;
  if (/^\d{1,9}$/.test(cursor)) return Number(cursor);
  throw new GpuError(
    'INVALID_INPUT',
    `cursor = ${JSON.stringify(cursor)} is not a nextCursor of this tool.`,
    { hint: 'Give the nextCursor of the page before, or leave cursor out for the first page.' },
  );
}

/** One page of a list, and what an answer says about the rest. */
export function pageOf<T>(list: readonly T[], offset: number, limit: number) {
  const items = list.slice(offset, offset + limit);
  const truncated = offset + items.length < list.length;
  const nextCursor = truncated ? { nextCursor: String(offset + items.length) } : {};
  return { items, page: { total: list.length, truncated, ...nextCursor } };
}
