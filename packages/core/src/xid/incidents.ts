import type { EventSeverity, KernelEvent, Trust } from '../domain/event.ts';
import type { GpuRef } from '../domain/gpu.ts';
import type { Incident } from '../domain/incident.ts';
import { pciDeviceKey } from '../domain/pci-address.ts';
import { type Action, isDisruptive, strongestAction, type Verdict } from '../domain/verdict.ts';
import { findSxid, findXid } from './catalogue.ts';
import { type KindEntry, kindCatalogue } from './kinds.ts';

export interface GroupIncidentsOptions {
  /** The inventory to attribute to. */
  readonly gpus?: readonly GpuRef[];
  /** Like events no further apart than this are one incident; default 300. */
  readonly windowSeconds?: number;
}

const maximumRaw = 3;
const maximumProcesses = 5;
const maximumLinks = 36;

const severityRank: Readonly<Record<EventSeverity, number>> = { fatal: 3, critical: 2, warning: 1, info: 0 };

/**
 * The verdict an incident supports by itself. `fatal` and `critical` are critical also when applications commonly cause the number: the
 * GPU needs an action either way. A `warning` that applications commonly cause says nothing bad about the GPU (`ok`); its action still
 * names the application, unless the vendor asks for more than that. What a user-space program wrote to the log proves nothing: `unknown`.
 */
export function verdictOfIncident(
  severity: EventSeverity,
  applicationCommon: boolean,
  trusted: Trust,
  action: Action = 'none',
): Verdict {
  if (trusted === false) return 'unknown';
  if (severity === 'fatal' || severity === 'critical') return 'critical';
  return severity === 'warning' && (!applicationCommon || isDisruptive(action)) ? 'warning' : 'ok';
}

/** An incident while it grows. */
interface Group {
  /** What the incident is of. */
  readonly subject: KernelEvent;
  /** The earliest line that tells of it; a line of another kind when a bus loss was told before its Xid 79. */
  first: KernelEvent;
  last: KernelEvent;
  /** The event that severity, action and decoded detail come from: the worst, the latest of equals. */
  worst: KernelEvent;
  count: number;
  trusted: Trust;
  readonly order: number;
  /** Wall-clock time of the last event, or of the latest one before it that has any; for sorting. */
  lastTime: number;
  readonly raw: string[];
  readonly processes: { readonly pid?: number; readonly name?: string }[];
  readonly links: number[];
  readonly actions: Set<KernelEvent['action']>;
  /** The GPU on the address when the events were logged, by an identity line. */
  uuid: string | undefined;
  isSympathetic: boolean;
  /** The driver has taken its advice back. */
  isSuperseded: boolean;
}

/**
 * Events in log order to incidents, oldest first and newest last. Repeats of one kind and number on one device within the window are one
 * incident; text lines that tell a bus loss again belong to the Xid 79 of that GPU; an Xid 45 next to another Xid of its GPU is its
 * consequence and asks for nothing. Events with `trusted: false` never mix with others. Identity and driver-load lines are context, not
 * incidents; an Xid 154 counts with its latest value, because the driver takes its advice back too.
 */
export function groupIncidents(
  events: readonly KernelEvent[],
  options: GroupIncidentsOptions = {},
): Incident[] {
  const windowSeconds = options.windowSeconds ?? 300;
  const open = new Map<string, Group>();
  const groups: Group[] = [];
  const uuids = new Map<string, string>();
  let now = Number.NEGATIVE_INFINITY;

  for (const event of events) {
    if (event.gpuUuid && event.pciAddress && event.trusted !== false)
      uuids.set(event.pciAddress, event.gpuUuid);
    if (isContext(event)) continue;
    now = timeOf(event) ?? now;
    const companion = event.kind === 'bus-loss' ? open.get(keyOf(event, 'xid', 79)) : undefined;
    if (companion && event.pciAddress && isWithin(companion.last, event, windowSeconds)) {
      companion.last = event;
      companion.lastTime = now;
      addRaw(companion, event);
      continue;
    }
    const key = keyOf(event, event.kind, event.xid ?? event.sxid);
    const group = open.get(key);
    if (group && isWithin(group.last, event, windowSeconds)) {
      grow(group, event);
      group.lastTime = now;
      continue;
    }
    const uuid = event.gpuUuid ?? (event.pciAddress ? uuids.get(event.pciAddress) : undefined);
    const started = start(event, groups.length, now, uuid);
    open.set(key, started);
    groups.push(started);
    if (event.xid === 79) absorbEarlierLoss(started, open, groups, windowSeconds);
  }

  markSympathetic(groups, windowSeconds);
  markSuperseded(groups);
  const attribute = attribution(options.gpus ?? [], groups);
  return groups
    .filter((group) => group.count > 0)
    .sort(byLastTime)
    .map((group) => present(group, attribute));
}

function keyOf(event: KernelEvent, kind: string, code: number | undefined): string {
  const device = event.pciAddress ?? (event.switchIndex === undefined ? '' : `switch ${event.switchIndex}`);
  // Two files may be two machines, and the same address is in every machine of a fleet.
  return `${kind} ${code ?? ''} ${device} ${event.trusted === false ? 'untrusted' : ''} ${event.file ?? ''}`;
}

function timeOf({ at }: KernelEvent): number | undefined {
  const time = at === null ? Number.NaN : Date.parse(at);
  return Number.isNaN(time) ? undefined : time;
}

/** Distance in time; without a common clock the order of the lines is all there is, and they count as near. */
function secondsBetween(earlier: KernelEvent, later: KernelEvent): number {
  const from = timeOf(earlier);
  const to = timeOf(later);
  if (from !== undefined && to !== undefined) return (to - from) / 1000;
  if (earlier.uptimeSeconds === null || later.uptimeSeconds === null) return 0;
  return later.uptimeSeconds - earlier.uptimeSeconds;
}

/** The clock of a boot running backwards by more than the window is another boot. */
function isWithin(earlier: KernelEvent, later: KernelEvent, windowSeconds: number): boolean {
  return Math.abs(secondsBetween(earlier, later)) <= windowSeconds;
}

function start(event: KernelEvent, order: number, lastTime: number, uuid: string | undefined): Group {
  const group: Group = {
    subject: event,
    first: event,
    last: event,
    worst: event,
    count: 0,
    trusted: event.trusted,
    order,
    lastTime,
    raw: [],
    processes: [],
    links: [],
    actions: new Set(),
    uuid,
    isSympathetic: false,
    isSuperseded: false,
  };
  grow(group, event);
  return group;
}

function grow(group: Group, event: KernelEvent): void {
  group.count += event.repeatCount ?? 1;
  group.last = event;
  if (event.trusted !== true) group.trusted = event.trusted;
  const isLatestAdvice = event.xid === 154;
  if (isLatestAdvice || severityRank[event.severity] >= severityRank[group.worst.severity])
    group.worst = event;
  if (isLatestAdvice) group.actions.clear();
  group.actions.add(event.action);
  addRaw(group, event);
  const { pid, processName } = event;
  if ((pid !== undefined || processName !== undefined) && group.processes.length < maximumProcesses) {
    const isKnown = group.processes.some((each) => each.pid === pid && each.name === processName);
    if (!isKnown) {
      group.processes.push({
        ...(pid === undefined ? {} : { pid }),
        ...(processName === undefined ? {} : { name: processName }),
      });
    }
  }
  const { link } = event;
  if (link !== undefined && group.links.length < maximumLinks && !group.links.includes(link))
    group.links.push(link);
}

function addRaw(group: Group, event: KernelEvent): void {
  if (group.raw.length < maximumRaw && !group.raw.includes(event.raw)) group.raw.push(event.raw);
}

/** The text lines can come before the Xid 79 they tell the same as. */
function absorbEarlierLoss(
  xid79: Group,
  open: Map<string, Group>,
  groups: readonly Group[],
  windowSeconds: number,
): void {
  const key = keyOf(xid79.subject, 'bus-loss', undefined);
  const loss = open.get(key);
  if (!xid79.subject.pciAddress || !loss || !groups.includes(loss)) return;
  if (!isWithin(loss.last, xid79.subject, windowSeconds)) return;
  xid79.first = loss.first;
  for (const raw of loss.raw)
    if (xid79.raw.length < maximumRaw && !xid79.raw.includes(raw)) xid79.raw.push(raw);
  loss.count = 0;
  open.delete(key);
}

/** Xid 45 follows from what else happened on the GPU. What an untrusted line claims does not excuse a trusted one. */
function markSympathetic(groups: readonly Group[], windowSeconds: number): void {
  const causes = new Map<string, Group[]>();
  for (const group of groups) {
    const { xid, pciAddress } = group.subject;
    if (xid === undefined || xid === 45 || !pciAddress) continue;
    const known = causes.get(pciAddress);
    if (known) known.push(group);
    else causes.set(pciAddress, [group]);
  }
  for (const group of groups) {
    if (group.subject.xid !== 45 || !group.subject.pciAddress) continue;
    group.isSympathetic = (causes.get(group.subject.pciAddress) ?? []).some(
      (cause) =>
        (cause.trusted !== false || group.trusted === false) && overlaps(cause, group, windowSeconds),
    );
  }
}

/** Of several Xid 154 of a GPU the newest is the driver's word: earlier ones are history. A forged one takes nothing back. */
function markSuperseded(groups: readonly Group[]): void {
  const newest = new Map<string, Group>();
  for (const group of groups) {
    if (group.subject.xid !== 154 || !group.subject.pciAddress) continue;
    const key = keyOf(group.subject, 'xid', 154);
    const earlier = newest.get(key);
    if (earlier) earlier.isSuperseded = true;
    newest.set(key, group);
  }
}

function overlaps(one: Group, other: Group, windowSeconds: number): boolean {
  return (
    secondsBetween(one.last, other.first) <= windowSeconds &&
    secondsBetween(other.last, one.first) <= windowSeconds
  );
}

function byLastTime(one: Group, other: Group): number {
  return one.lastTime === other.lastTime ? one.order - other.order : one.lastTime - other.lastTime;
}

type Attribute = (group: Group) => GpuRef | undefined;

/**
 * An identity line names the GPU better than an address, which another GPU may have by now; the address serves where there is none. A GPU
 * that fell off its bus is still counted but no longer tells its address: when it is the only one, and the log has a single lost address
 * that belongs to no other GPU, that is its address.
 */
function attribution(gpus: readonly GpuRef[], groups: readonly Group[]): Attribute {
  const byUuid = new Map<string, GpuRef>();
  const byAddress = new Map<string, GpuRef>();
  for (const gpu of gpus) {
    if (gpu.uuid) byUuid.set(gpu.uuid, gpu);
    const key = pciDeviceKey(gpu.pciAddress);
    if (key) byAddress.set(key, gpu);
  }
  const unplaced = gpus.filter((gpu) => gpu.pciAddress === null);
  const lostAddresses = new Set(
    groups
      .filter(
        ({ subject, trusted }) => trusted !== false && (subject.xid === 79 || subject.kind === 'bus-loss'),
      )
      .flatMap(({ subject }) => subject.pciAddress ?? [])
      .filter((address) => !byAddress.has(address)),
  );
  const [lostGpu] = unplaced;
  const [lostAddress] = lostAddresses;
  if (lostGpu && lostAddress && unplaced.length === 1 && lostAddresses.size === 1)
    byAddress.set(lostAddress, lostGpu);
  return ({ subject, uuid }) => {
    const named = uuid === undefined ? undefined : byUuid.get(uuid);
    if (named) return named;
    const there = subject.pciAddress ? byAddress.get(subject.pciAddress) : undefined;
    const isReplaced = uuid !== undefined && there?.uuid !== null && there?.uuid !== uuid;
    return isReplaced ? undefined : there;
  };
}

function present(group: Group, attribute: Attribute): Incident {
  const { subject, first, last, worst, trusted } = group;
  const { kind, xid, sxid, switchIndex } = subject;
  const { title, explanation, applicationCommon, source } = describe(subject);
  const isOver = group.isSympathetic || group.isSuperseded;
  const severity = isOver ? 'info' : worst.severity;
  const action = isOver ? 'none' : strongestAction(group.actions);
  const gpu = attribute(group);
  return {
    kind,
    ...(xid === undefined ? {} : { xid }),
    ...(sxid === undefined ? {} : { sxid }),
    title,
    explanation,
    severity,
    verdict: verdictOfIncident(severity, applicationCommon, trusted, action),
    action,
    applicationCommon,
    pciAddress: subject.pciAddress,
    ...(gpu ? { gpu: { index: gpu.index, uuid: gpu.uuid } } : {}),
    ...(switchIndex === undefined ? {} : { switchIndex }),
    count: group.count,
    firstAt: first.at,
    lastAt: last.at,
    firstUptimeSeconds: first.uptimeSeconds,
    lastUptimeSeconds: last.uptimeSeconds,
    trusted,
    processes: group.processes,
    links: group.links,
    ...(worst.decoded ? { decoded: worst.decoded } : {}),
    raw: group.raw,
    source,
  };
}

/** Whether an event only tells which GPU or driver the others are about: nothing went wrong. */
export function isContext({ kind }: KernelEvent): boolean {
  return kind === 'gpu-identity' || kind === 'driver-load';
}

/** The verdict that an event supports by itself; see `verdictOfIncident`. */
export function verdictOfEvent(event: KernelEvent): Verdict {
  return verdictOfIncident(event.severity, describe(event).applicationCommon, event.trusted, event.action);
}

function describe(event: KernelEvent): KindEntry {
  const unlisted: KindEntry = kindCatalogue[event.kind];
  if (event.xid !== undefined) return findXid(event.xid) ?? unlisted;
  if (event.sxid === undefined) return unlisted;
  const entry = findSxid(event.sxid);
  return entry ? { ...entry, applicationCommon: false } : unlisted;
}
