import type { Cause } from '../../domain/diagnosis.ts';
import type { Incident } from '../../domain/incident.ts';
import { pciDeviceKey } from '../../domain/pci-address.ts';
import type { Evidence } from '../../domain/verdict.ts';

/** What a sign is about: a GPU of the driver's list, a device that only has an address, or the node (neither). */
export interface Subject {
  readonly gpu?: number;
  /** `domain:bus:device`; only where `gpu` is not known. */
  readonly pciDevice?: string;
}

/** One thing that was seen, and how much it says for (or, below zero, against) one cause. */
export interface Sign {
  /** Signs of one indicator say the same thing, and count once. */
  readonly indicator: string;
  readonly cause: Cause;
  readonly subject: Subject;
  /** Tenths of a power of ten of the odds. */
  readonly decibans: number;
  /** The vendor's own word that the device is at fault. */
  readonly authoritative?: true;
  /** Only a program says so. */
  readonly hearsay?: true;
  readonly evidence: readonly Evidence[];
  /** Milliseconds since 1970 of an event; undefined for readings. */
  readonly at?: number;
}

export const nodeSubject: Subject = {};

export const subjectKey = ({ gpu, pciDevice }: Subject) =>
  gpu !== undefined ? `gpu ${gpu}` : pciDevice !== undefined ? `pci ${pciDevice}` : 'node';

export const subjectOfGpu = (gpu: number | undefined): Subject => (gpu === undefined ? nodeSubject : { gpu });

export function subjectOfIncident({ gpu, pciAddress }: Incident): Subject {
  if (gpu) return { gpu: gpu.index };
  const pciDevice = pciDeviceKey(pciAddress);
  return pciDevice === undefined ? nodeSubject : { pciDevice };
}

/** `log.xid-79`, `log.sxid-12028`, `log.pcie-error`: as health names the finding of an incident. */
export const ruleIdOfIncident = ({ kind, xid, sxid }: Incident) =>
  `log.${xid !== undefined ? `xid-${xid}` : sxid !== undefined ? `sxid-${sxid}` : kind}`;

/** What a person calls it. */
export const nameOfIncident = ({ kind, xid, sxid }: Incident) =>
  xid !== undefined ? `Xid ${xid}` : sxid !== undefined ? `SXid ${sxid}` : kind;

/** Only these support a verdict or an action. What a user-space program wrote into the log supports nothing. */
export const isPrimary = ({ standing, trusted }: Incident) => standing === 'primary' && trusted !== false;

export const timeOfIncident = ({ firstAt, lastAt }: Incident): number | undefined => {
  const at = Date.parse(lastAt ?? firstAt ?? '');
  return Number.isNaN(at) ? undefined : at;
};

export function evidenceOfIncident(incident: Incident): Evidence {
  const [cited] = incident.citations;
  return {
    field: `kernelLog.${nameOfIncident(incident)}`,
    value: incident.count,
    ...(incident.lastAt === null ? {} : { at: incident.lastAt }),
    ...(cited ? { file: cited.file, line: cited.line } : {}),
  };
}
