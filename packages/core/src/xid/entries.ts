import type { EventSeverity } from '../domain/event.ts';
import type { Action } from '../domain/verdict.ts';
import type { VendorBucket } from './vendor-buckets.ts';

export const xidCategories = [
  'application',
  'driver',
  'display',
  'firmware',
  'memory',
  'power',
  'thermal',
  'nvlink',
  'bus',
  'unused',
] as const;
export type XidCategory = (typeof xidCategories)[number];

/** What is known about one Xid number. */
export interface XidEntry {
  readonly code: number;
  /** The driver's name, without its common prefix; null when no header names it. */
  readonly mnemonic: string | null;
  readonly title: string;
  readonly explanation: string;
  readonly severity: EventSeverity;
  /** `unused`: the vendor no longer uses the number on data-centre parts. */
  readonly category: XidCategory;
  /** Whether an application commonly causes it. */
  readonly applicationCommon: boolean;
  /** The vendor's bucket for what to do now; null when none is published. */
  readonly immediate: VendorBucket | null;
  readonly investigatory: VendorBucket | null;
  /** Our own action where the vendor publishes none. */
  readonly action?: Action;
  readonly source: string;
}

/** How the Fabric Manager guide treats an NVSwitch error. */
export const sxidGuideClasses = [
  'always-fatal',
  'fatal',
  'follows-fatal',
  'stalled-gpu',
  'broken-link',
  'thermal',
  'notable',
  'corrected',
] as const;
export type SxidGuideClass = (typeof sxidGuideClasses)[number];

export interface SxidBlock {
  readonly block: string;
  readonly title: string;
  /** Code, vendor's name without the block, what it is in our words, severity, guide class. */
  readonly errors: readonly (readonly [
    code: number,
    name: string,
    what: string,
    severity: EventSeverity | 'unknown',
    basis?: SxidGuideClass | 'judged',
  ])[];
}

export interface SxidEntry {
  readonly code: number;
  readonly mnemonic: string;
  /** The hardware block of the switch. */
  readonly block: string;
  readonly title: string;
  readonly explanation: string;
  /** Before the severity word of the line is taken into account. `warning` where nothing is known. */
  readonly severity: EventSeverity;
  readonly guideClass: SxidGuideClass | null;
  readonly action: Action;
  readonly source: string;
}
