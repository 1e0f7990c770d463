import type { Gap, GapReason } from '@k8s-gpu-mcp/core';
import type { missing, Reading } from '../decode/values.ts';

/** `0-31,64-95`. */
export function formatRanges(numbers: Iterable<number>): string {
  const ranges: { first: number; last: number }[] = [];
  for (const number of [...new Set(numbers)].sort((a, b) => a - b)) {
    const open = ranges.at(-1);
    if (open !== undefined && open.last === number - 1) open.last = number;
    else ranges.push({ first: number, last: number });
  }
  return ranges.map(({ first, last }) => (first === last ? `${first}` : `${first}-${last}`)).join(',');
}

interface ListGap {
  readonly field: string;
  readonly reason: GapReason;
  readonly membersByDetail: Map<string, Set<number>>;
}

/**
 * Gaps below a list: one for each reason a member's reading has, naming the members, and not one for each member. What 18 links have
 * in common is said once.
 */
export class ListGaps {
  readonly #list: string;
  readonly #noun: string;
  readonly #found = new Map<string, ListGap>();

  /** `list` is the path of the leaf, `noun` what its members are called. */
  constructor(list: string, noun: string) {
    this.#list = list;
    this.#noun = noun;
  }

  /** For one member of the list: the value of a reading, or null with the gap noted. */
  taker(member: number) {
    return <T>(leaf: string, reading: Reading<T>): T | null => {
      if (!('reason' in reading)) return reading.value;
      this.#note(`${this.#list}.${leaf}`, member, reading);
      return null;
    };
  }

  /** A member that is not in the list, or not all of it, though it belongs there. */
  noteIncomplete(member: number, reading: ReturnType<typeof missing>): void {
    this.#note(this.#list, member, reading);
  }

  #note(field: string, member: number, { reason, detail }: ReturnType<typeof missing>): void {
    const key = `${field} ${reason}`;
    const gap = this.#found.get(key) ?? { field, reason, membersByDetail: new Map<string, Set<number>>() };
    this.#found.set(key, gap);
    const members = gap.membersByDetail.get(detail);
    if (members === undefined) gap.membersByDetail.set(detail, new Set([member]));
    else members.add(member);
  }

  all(): readonly Gap[] {
    return [...this.#found.values()].map(({ field, reason, membersByDetail }) => ({
      field,
      reason,
      detail: [...membersByDetail]
        .map(([detail, members]) => `${this.#noun} ${formatRanges(members)}: ${detail}`)
        .join('; '),
    }));
  }
}
