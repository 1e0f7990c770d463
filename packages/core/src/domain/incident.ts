import type { Citation } from './citation.ts';
import type { DecodedDetail, EventSeverity, KernelEventKind, Trust } from './event.ts';
import type { Action, Verdict } from './verdict.ts';

/**
 * What an incident counts for. `primary`: by itself. `sympathetic`: another incident brought it about. `cancelled`: a later event took it
 * back (Xid 162 after 163). `superseded`: the driver has said something newer (Xid 154). `recovered`: a reset, a reboot or a reload of the
 * driver came after it, and nothing since says that it is still there. Only a primary incident supports a verdict or an action.
 */
export const incidentStandings = ['primary', 'sympathetic', 'cancelled', 'superseded', 'recovered'] as const;
export type IncidentStanding = (typeof incidentStandings)[number];

/** A question that a vendor workflow asks, and what the evidence answers. */
export interface WorkflowStep {
  readonly question: string;
  readonly answer: 'yes' | 'no' | 'unknown';
  /** Our own words: what the answer rests on. */
  readonly because: string;
}

/** The way an incident took through the vendor's workflow for its number. */
export interface WorkflowPath {
  /** Name of the vendor's workflow, for example `WORKFLOW_XID_48`. */
  readonly id: string;
  readonly steps: readonly WorkflowStep[];
  /** Our own words for where it ended. */
  readonly outcome: string;
  readonly action: Action;
  readonly source: string;
}

/** What one public source says of a number, where they disagree. */
export interface Opinion {
  readonly source: string;
  /** In our own words, short. */
  readonly says: string;
}

/** Like events of one GPU (or switch), near in time: what a person wants to see instead of 11,760 lines. */
export interface Incident {
  /** The same for the same events: kind, number, device and first time. */
  readonly id: string;
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
  readonly standing: IncidentStanding;
  /** Why it is not primary, in our own words. */
  readonly because?: string;
  /** `id` of the incident that brought it about. */
  readonly causedBy?: string;
  /** In how many separate bursts (runs of a job, as far as a log tells) the same came on this device; at least 1. */
  readonly occurrenceCount: number;
  readonly workflow?: WorkflowPath;
  /** Present only where public sources disagree about what to do. */
  readonly opinions?: readonly Opinion[];
  /** Where the lines of `raw` stand, when they came from files. */
  readonly citations: readonly Citation[];
}
