import type { GpuReading } from '../../domain/gpu.ts';
import { quarantine } from '../untrusted-text.ts';
import { type CounterRow, countersOf, hasChanged, isTelling } from './counters.ts';
import type { LoggedIdentity } from './logged-identity.ts';

/** What a vendor asks for before a GPU is returned. */
export interface ReportedGpu {
  readonly index: number;
  readonly state: string;
  readonly name: string | null;
  readonly uuid: string | null;
  readonly serial: string | null;
  readonly boardPartNumber: string | null;
  /** Socket on the baseboard. */
  readonly moduleId: number | null;
  readonly pciAddress: string | null;
  readonly vbiosVersion: string | null;
  readonly inforomVersion: string | null;
  readonly gspFirmwareVersion: string | null;
  /** When the above was read, for a GPU that no longer tells it. ISO 8601. */
  readonly identityAt?: string;
  /** Where address, UUID or serial come from, when the GPU no longer tells them. */
  readonly identityFrom?: 'kernel-log' | 'pci-bus';
  /** When `before` of the counters was read. ISO 8601; absent without an earlier reading. */
  readonly countersBeforeAt?: string;
  readonly counters: readonly CounterRow[];
  /** Counters that are zero, before and now, and left out. */
  readonly zeroCounterCount?: number;
  /** Counters that say something and are left out for want of room. */
  readonly omittedCounterCount?: number;
}

/** A GPU with what it counts, and counted before; what it cannot tell of itself is filled in from what was logged. */
export function reportGpu(
  reading: GpuReading,
  before: GpuReading | undefined,
  logged?: LoggedIdentity,
): ReportedGpu {
  const { gpu, state } = reading;
  // The serial of a GPU that fell off its bus is what the ticket is about: it has not changed since.
  const isTold = typeof reading.identity?.serial === 'string' || typeof before?.identity?.serial !== 'string';
  const identity = isTold ? reading.identity : before.identity;
  const told = { uuid: gpu.uuid, serial: identity?.serial, pciAddress: gpu.pciAddress };
  const uuid = told.uuid || logged?.uuid;
  const serial = told.serial || logged?.serial;
  const pciAddress = told.pciAddress || logged?.pciAddress;
  const isNamed = (!told.uuid && uuid) || (!told.serial && serial);
  const identityFrom = isNamed ? 'kernel-log' : told.pciAddress ? undefined : logged?.addressFrom;
  return {
    index: gpu.index,
    state,
    name: textOf(gpu.name),
    uuid: textOf(uuid),
    serial: textOf(serial),
    boardPartNumber: textOf(identity?.boardPartNumber),
    moduleId: identity?.moduleId ?? null,
    pciAddress: textOf(pciAddress),
    vbiosVersion: textOf(identity?.vbiosVersion),
    inforomVersion: textOf(identity?.inforomVersion),
    gspFirmwareVersion: textOf(identity?.gspFirmwareVersion),
    ...(identityFrom ? { identityFrom } : {}),
    ...(isTold ? {} : { identityAt: before.observedAt }),
    ...(before ? { countersBeforeAt: before.observedAt } : {}),
    counters: countersOf(reading, before),
  };
}

/** Files may say anything. */
const textOf = (text: string | null | undefined) => (text ? quarantine(text, 96) : null);

const maximumShortCounters = 12;

/** The counters that say something, those that changed first. */
export function shortGpu({ counters, ...rest }: ReportedGpu): ReportedGpu {
  const telling = counters.filter(isTelling);
  const shown = telling
    .toSorted((a, b) => Number(hasChanged(b)) - Number(hasChanged(a)))
    .slice(0, maximumShortCounters);
  const zeroCounterCount = counters.length - telling.length;
  const omittedCounterCount = telling.length - shown.length;
  return {
    ...rest,
    counters: shown,
    ...(zeroCounterCount > 0 ? { zeroCounterCount } : {}),
    ...(omittedCounterCount > 0 ? { omittedCounterCount } : {}),
  };
}
