import type { Citation } from '../domain/citation.ts';
import type { EventSeverity, KernelEvent, KernelEventKind, Trust } from '../domain/event.ts';
import type { Action } from '../domain/verdict.ts';
import { findXid } from './catalogue.ts';
import type { Repetition } from './repetition.ts';
import type { Place } from './timeline.ts';

const maximumRaw = 3;
const maximumProcesses = 5;
const maximumLinks = 36;
const maximumCitations = 5;
const maximumPids = 64;

export const severityRank: Readonly<Record<EventSeverity, number>> = {
  fatal: 3,
  critical: 2,
  warning: 1,
  info: 0,
};

/** What an event is of: the number of its Xid, else its kind. */
export type Label = number | Exclude<KernelEventKind, 'xid'>;

export function labelOf(event: KernelEvent): Label {
  return event.kind === 'xid' ? (event.xid ?? -1) : event.kind;
}

/**
 * Whether the driver's advice (Xid 154, NVML recovery action) can be about it: whatever applications do not commonly cause. Xid 109 they do,
 * and all the same it is one of those that the driver follows with its advice.
 */
export function takesAdvice(label: Label): boolean {
  if (typeof label !== 'number') return label === 'bus-loss';
  return label !== 154 && (label === 109 || findXid(label)?.applicationCommon === false);
}

/** Another group that may have brought this one about, by the row of the table that says so. */
export interface CauseCandidate {
  readonly rule: number;
  readonly group: Group;
}

/** An incident while it grows. */
export interface Group {
  readonly label: Label;
  /** A number that applications commonly cause. */
  readonly isApplicationXid: boolean;
  /** What the incident is of. */
  readonly subject: KernelEvent;
  /** The earliest line that tells of it; a line of another kind when a bus loss was told before its Xid 79. */
  first: KernelEvent;
  last: KernelEvent;
  firstPlace: Place;
  lastPlace: Place;
  /** The event that severity, action and decoded detail come from: the worst, the latest of equals. */
  worst: KernelEvent;
  /** 0 once another group has taken it in. */
  count: number;
  trusted: Trust;
  readonly order: number;
  /** Whose log it is from. */
  readonly machine: string;
  /** Between which starts of machine and driver it happened. */
  readonly epoch: string;
  /** Wall-clock time of the last event, or of the latest one before it that has any; for sorting. */
  lastTime: number;
  readonly raw: string[];
  readonly citations: Citation[];
  readonly processes: { readonly pid?: number; readonly name?: string }[];
  readonly pids: number[];
  readonly links: number[];
  readonly actions: Set<Action>;
  /** The kernel names the driver of another kind of device for the address. */
  isOtherDevice: boolean;
  /** The GPU on the address when the events were logged, by an identity line. */
  uuid: string | undefined;
  readonly repetition: Repetition;
  /** What else happened near in time: on the same GPU, and elsewhere on the machine. Only what the tables ask for. */
  readonly companions: Set<Label>;
  readonly peers: Set<Label>;
  /** Whether another NVLink went wrong within 30 seconds. */
  hasLinkTroubleNear: boolean;
  readonly candidates: CauseCandidate[];
  /** The Xid 154 that follows it on its GPU. */
  advice: Group | undefined;
  /** Of an Xid 154: what it may be about. */
  readonly announces: Group[];
  cancelledBy: Group | undefined;
  /** The driver has taken its advice back. */
  isSuperseded: boolean;
}

export function startGroup(
  event: KernelEvent,
  place: Place,
  context: Pick<Group, 'order' | 'machine' | 'epoch' | 'lastTime' | 'uuid' | 'repetition'>,
): Group {
  const group: Group = {
    label: labelOf(event),
    isApplicationXid: event.xid !== undefined && findXid(event.xid)?.applicationCommon === true,
    subject: event,
    first: event,
    last: event,
    firstPlace: place,
    lastPlace: place,
    worst: event,
    count: 0,
    trusted: event.trusted,
    raw: [],
    citations: [],
    processes: [],
    pids: [],
    links: [],
    actions: new Set(),
    isOtherDevice: false,
    companions: new Set(),
    peers: new Set(),
    hasLinkTroubleNear: false,
    candidates: [],
    advice: undefined,
    announces: [],
    cancelledBy: undefined,
    isSuperseded: false,
    ...context,
  };
  growGroup(group, event, place);
  return group;
}

export function growGroup(group: Group, event: KernelEvent, place: Place): void {
  group.count += event.repeatCount ?? 1;
  group.last = event;
  group.lastPlace = place;
  if (event.trusted !== true) group.trusted = event.trusted;
  if (event.decoded?.['isOtherDevice'] === true) group.isOtherDevice = true;
  const isLatestAdvice = event.xid === 154;
  if (isLatestAdvice || severityRank[event.severity] >= severityRank[group.worst.severity])
    group.worst = event;
  if (isLatestAdvice) group.actions.clear();
  group.actions.add(event.action);
  addEvidence(group, event);
  const { pid, processName, link } = event;
  if ((pid !== undefined || processName !== undefined) && group.processes.length < maximumProcesses) {
    const isKnown = group.processes.some((each) => each.pid === pid && each.name === processName);
    if (!isKnown) {
      group.processes.push({
        ...(pid === undefined ? {} : { pid }),
        ...(processName === undefined ? {} : { name: processName }),
      });
    }
  }
  if (pid !== undefined && group.pids.length < maximumPids && !group.pids.includes(pid)) group.pids.push(pid);
  if (link !== undefined && group.links.length < maximumLinks && !group.links.includes(link))
    group.links.push(link);
}

/** Keeps a few of the lines and where they stand; the places of the lines that are kept have room reserved. */
export function addEvidence(group: Group, event: KernelEvent): void {
  const isKept = group.raw.length < maximumRaw && !group.raw.includes(event.raw);
  if (isKept) group.raw.push(event.raw);
  const { file, line } = event;
  if (file === undefined || line === undefined) return;
  const room = maximumCitations - (maximumRaw - group.raw.length);
  if (isKept || group.citations.length < room) group.citations.push({ file, line });
}

/** Makes a group part of another, as the text lines of a bus loss are of its Xid 79. */
export function absorbGroup(into: Group, other: Group): void {
  into.first = other.first;
  into.firstPlace = other.firstPlace;
  for (const [index, raw] of other.raw.entries()) {
    const { file, line } = other.citations[index] ?? {};
    addEvidence(into, {
      ...other.subject,
      raw,
      ...(file === undefined || line === undefined ? {} : { file, line }),
    });
  }
  other.count = 0;
}
