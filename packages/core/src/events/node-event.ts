import type { DecodedDetail, EventSeverity, KernelEvent, KernelEventKind, Trust } from '../domain/event.ts';
import type { GpuRef } from '../domain/gpu.ts';
import { pciDeviceKey } from '../domain/pci-address.ts';
import type { GpuEventType } from '../domain/readings/events.ts';
import type { Action, Verdict } from '../domain/verdict.ts';
import type { GpuDriverEvent } from '../ports/gpu-event-source.ts';
import { actionOfXid, findSxid, findXid } from '../xid/catalogue.ts';
import { verdictOfEvent, verdictOfIncident } from '../xid/incidents.ts';
import { kindCatalogue } from '../xid/kinds.ts';
import { recoveryMeanings } from '../xid/recovery-actions.ts';

export const nodeEventSources = ['driver', 'kernel-log'] as const;
export type NodeEventSource = (typeof nodeEventSources)[number];

/** Something that happened to a GPU of this node, whoever told of it first. */
export interface GpuNodeEvent {
  /** Counts up from 1 within one stream. */
  readonly id: number;
  /** 0 when it is told first. A higher one replaces what was told under the same id. */
  readonly revision: number;
  readonly kind: KernelEventKind | GpuEventType;
  /** Who told of it so far. */
  readonly sources: readonly NodeEventSource[];
  /** ISO 8601: when it was logged, else when it was received. */
  readonly at: string;
  /** How often it happened within the window, as far as is known yet. */
  readonly repeatCount: number;
  readonly xid?: number;
  readonly sxid?: number;
  /** Null when no GPU of the inventory is named. */
  readonly gpu: { readonly index: number; readonly uuid: string | null } | null;
  /** `domain:bus:device`. */
  readonly pciAddress: string | null;
  readonly gpuInstanceId?: number;
  readonly computeInstanceId?: number;
  /** Our own words. */
  readonly title: string;
  readonly severity: EventSeverity;
  /** What the event supports by itself; `unknown` for what a user-space program wrote. */
  readonly verdict: Verdict;
  readonly action: Action;
  readonly trusted: Trust;
  /** The number that came with a driver event other than an Xid. */
  readonly value?: number;
  readonly pid?: number;
  /** Untrusted. */
  readonly processName?: string;
  readonly link?: number;
  readonly switchIndex?: number;
  /** Its words are untrusted. */
  readonly decoded?: DecodedDetail;
  /** The line of the kernel log. Untrusted. */
  readonly raw?: string;
}

/** What a source told, before it is told on. */
export type ObservedEvent = Omit<GpuNodeEvent, 'id' | 'revision' | 'sources'> & {
  readonly source: NodeEventSource;
};

/** How an event names its GPU. */
export interface GpuNaming {
  readonly pciAddress?: string;
  readonly uuid?: string;
  readonly index?: number;
}
export type ResolveGpuNaming = (naming: GpuNaming) => GpuRef | undefined;

/** Finds a GPU among those of an inventory; a UUID names it better than an address, which another may have by now. */
export function gpuResolver(gpus: readonly GpuRef[]): ResolveGpuNaming {
  return ({ uuid, pciAddress, index }) => {
    const key = pciDeviceKey(pciAddress);
    return (
      (uuid === undefined ? undefined : gpus.find((gpu) => gpu.uuid === uuid)) ??
      (key === undefined ? undefined : gpus.find((gpu) => pciDeviceKey(gpu.pciAddress) === key)) ??
      (index === undefined ? undefined : gpus.find((gpu) => gpu.index === index))
    );
  };
}

const gpuOf = (ref: GpuRef | undefined) => (ref ? { index: ref.index, uuid: ref.uuid } : null);

/** An event of the kernel log. `receivedAt` serves where the log tells no time. */
export function observeKernelEvent(
  event: KernelEvent,
  receivedAt: string,
  resolve: ResolveGpuNaming,
): ObservedEvent {
  const { kind, xid, sxid, gpuUuid, severity, action, trusted, raw } = event;
  const ref = resolve({
    ...(event.pciAddress === null ? {} : { pciAddress: event.pciAddress }),
    ...(gpuUuid === undefined ? {} : { uuid: gpuUuid }),
  });
  const { gpuInstanceId, computeInstanceId, pid, processName, link, switchIndex, decoded } = event;
  return {
    source: 'kernel-log',
    kind,
    at: event.at ?? receivedAt,
    repeatCount: event.repeatCount ?? 1,
    ...(xid === undefined ? {} : { xid }),
    ...(sxid === undefined ? {} : { sxid }),
    gpu: gpuOf(ref),
    pciAddress: event.pciAddress ?? pciDeviceKey(ref?.pciAddress) ?? null,
    ...(gpuInstanceId === undefined ? {} : { gpuInstanceId }),
    ...(computeInstanceId === undefined ? {} : { computeInstanceId }),
    title: titleOf(event),
    severity,
    verdict: verdictOfEvent(event),
    action,
    trusted,
    ...(pid === undefined ? {} : { pid }),
    ...(processName === undefined ? {} : { processName }),
    ...(link === undefined ? {} : { link }),
    ...(switchIndex === undefined ? {} : { switchIndex }),
    ...(decoded === undefined ? {} : { decoded }),
    raw,
  };
}

function titleOf({ kind, xid, sxid }: KernelEvent): string {
  const entry = xid !== undefined ? findXid(xid) : sxid !== undefined ? findSxid(sxid) : undefined;
  return entry?.title ?? kindCatalogue[kind].title;
}

/** An event of the driver. Xids and recovery actions are decoded by the same tables as the lines of the log. */
export function observeDriverEvent(event: GpuDriverEvent, resolve: ResolveGpuNaming): ObservedEvent {
  const { type, at, value, gpu, gpuInstanceId, computeInstanceId } = event;
  const ref =
    resolve({
      ...(gpu.pciAddress === null ? {} : { pciAddress: gpu.pciAddress }),
      ...(gpu.uuid === null ? {} : { uuid: gpu.uuid }),
      index: gpu.index,
    }) ?? gpu;
  const isXid = type === 'xid' && value !== null;
  return {
    source: 'driver',
    kind: type,
    at,
    repeatCount: 1,
    gpu: gpuOf(ref),
    pciAddress: pciDeviceKey(ref.pciAddress) ?? null,
    ...(isXid ? { xid: value } : {}),
    ...(gpuInstanceId === null ? {} : { gpuInstanceId }),
    ...(computeInstanceId === null ? {} : { computeInstanceId }),
    ...(isXid ? judgeXid(value) : judgeDriverEvent(type, value)),
    trusted: true,
    ...(value === null || isXid ? {} : { value }),
  };
}

type Judgement = Pick<GpuNodeEvent, 'title' | 'severity' | 'verdict' | 'action'>;

function judgeXid(code: number): Judgement {
  const entry = findXid(code);
  const severity = entry?.severity ?? 'warning';
  const action = actionOfXid(entry);
  const { title, applicationCommon } = entry ?? kindCatalogue.xid;
  return { title, severity, action, verdict: verdictOfIncident(severity, applicationCommon, true, action) };
}

/**
 * What a driver event other than an Xid means. None asks for more than watching by itself: the Xid or the recovery action that comes with
 * it has the vendor's word. Source: nvml.h, nvmlEventType*.
 */
const driverEvents = {
  'single-bit-ecc': ['Corrected memory error', 'info', 'none'],
  'double-bit-ecc': ['Uncorrectable memory error', 'critical', 'monitor'],
  'performance-state': ['Performance state changed', 'info', 'none'],
  xid: ['Xid without a number', 'warning', 'monitor'],
  clock: ['Clocks changed', 'info', 'none'],
  'power-source': ['Power source changed', 'info', 'none'],
  'mig-configuration': ['MIG configuration changed', 'info', 'none'],
  'single-bit-ecc-storm': ['Storm of corrected memory errors', 'warning', 'monitor'],
  'dram-retirement': ['Memory was retired', 'warning', 'monitor'],
  'dram-retirement-failure': ['Memory could not be retired', 'critical', 'monitor'],
  'non-fatal-poison': ['Poisoned data reached one program', 'warning', 'restart-app'],
  'fatal-poison': ['Poisoned data reached the GPU', 'critical', 'monitor'],
  'gpu-unavailable': ['GPU is not available', 'critical', 'monitor'],
  'recovery-action': ['Recovery action changed', 'warning', 'monitor'],
} as const satisfies Record<GpuEventType, readonly [title: string, severity: EventSeverity, action: Action]>;

function judgeDriverEvent(type: GpuEventType, value: number | null): Judgement {
  const [title, severity, action] = driverEvents[type];
  const meaning = type === 'recovery-action' && value !== null ? recoveryMeanings[value] : undefined;
  const judged = meaning
    ? { title: `${title}: ${meaning.recovery}`, severity: meaning.severity, action: meaning.action }
    : { title, severity, action };
  return { ...judged, verdict: verdictOfIncident(judged.severity, false, true, judged.action) };
}
