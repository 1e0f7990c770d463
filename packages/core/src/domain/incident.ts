import type { DecodedDetail, EventSeverity, KernelEventKind, Trust } from './event.ts';
import type { Action, Verdict } from './verdict.ts';

/** Like events of one GPU (or switch), near in time: what a person wants to see instead of 11,760 lines. */
export interface Incident {
  readonly kind: KernelEventKind;
  readonly xid?: number;
  readonly sxid?: number;
  /** Our own words for what the event is. */
  readonly title: string;
  /** Our own words for what it means. */
  readonly explanation: string;
  readonly severity: EventSeverity;
  readonly verdict: Verdict;
  readonly action: Action;
  /** Whether an application commonly causes it. */
  readonly applicationCommon: boolean;
  /** `domain:bus:device`. */
  readonly pciAddress: string | null;
  /** The GPU on that address, when an inventory is at hand. */
  readonly gpu?: { readonly index: number; readonly uuid: string | null };
  readonly switchIndex?: number;
  readonly count: number;
  /** ISO 8601; null when the log tells only time since boot. */
  readonly firstAt: string | null;
  readonly lastAt: string | null;
  /** Seconds since boot. */
  readonly firstUptimeSeconds: number | null;
  readonly lastUptimeSeconds: number | null;
  readonly trusted: Trust;
  /** Host process ids and thread names named by the lines; bounded. Untrusted. */
  readonly processes: readonly { readonly pid?: number; readonly name?: string }[];
  readonly links: readonly number[];
  readonly decoded?: DecodedDetail;
  /** A few of the lines, capped. Untrusted. */
  readonly raw: readonly string[];
  /** Where class and action come from. */
  readonly source: string;
}
