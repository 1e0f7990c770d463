import type { Cause } from '../../domain/diagnosis.ts';
import type { EventSeverity, KernelEventKind } from '../../domain/event.ts';
import type { Incident } from '../../domain/incident.ts';
import { isDisruptive } from '../../domain/verdict.ts';
import { findXid } from '../../xid/catalogue.ts';
import type { XidCategory } from '../../xid/entries.ts';
import { evidenceOfIncident, nameOfIncident, type Sign, subjectOfIncident, timeOfIncident } from './sign.ts';

type Weights = readonly (readonly [cause: Cause, decibans: number])[];

/** The cause behind an Xid of a category, unless applications commonly cause it. */
const causeOfCategory = {
  application: 'application-fault',
  driver: 'driver',
  display: 'driver',
  firmware: 'gpu-firmware',
  memory: 'gpu-memory',
  power: 'power',
  thermal: 'thermal',
  nvlink: 'nvlink',
  bus: 'gpu-bus',
  unused: 'gpu-hardware',
} as const satisfies Record<XidCategory, Cause>;

/** Numbers whose category does not tell the cause. */
const causeOfXid: Readonly<Record<number, Cause>> = {
  46: 'gpu-hardware', // stopped responding: reset, then support
  61: 'gpu-firmware', // PMU breakpoint, on old GPUs
  93: 'gpu-hardware', // InfoROM
  121: 'gpu-hardware', // the link to the processor beside it (C2C)
  156: 'gpu-hardware', // a compute unit is retired
  157: 'gpu-hardware',
  158: 'gpu-hardware', // fatal timeout on the GPU
  163: 'power', // power smoothing
  167: 'pcie-link',
  173: 'gpu-hardware', // C2C
  176: 'pcie-link',
};

/** Test messages, and the one that says that a fault is over: signs of nothing. */
const quietXids: ReadonlySet<number> = new Set([14, 23, 87, 106, 107, 162]);

/** Numbers that say one thing as easily as another. */
const ambiguousXids: Readonly<Record<number, Weights>> = {
  // Data reached the GPU corrupted: by the program or on the way.
  80: [
    ['application-fault', 18],
    ['pcie-link', 16],
  ],
  // A context switch did not end: a stuck program, the driver, or the GPU. The vendor's reset says nothing of who began.
  109: [
    ['application-fault', 20],
    ['gpu-hardware', 20],
    ['driver', 20],
  ],
};

/** What a message without a number says. Sources: driver and kernel message texts. */
const signsOfKind: Readonly<Record<Exclude<KernelEventKind, 'xid' | 'sxid'>, Weights>> = {
  'bus-loss': [['gpu-bus', 50]],
  'init-failure': [
    ['gpu-missing', 30],
    ['gpu-hardware', 12],
  ],
  'version-mismatch': [['driver', 26]],
  'driver-load': [],
  'gpu-hang': [
    ['gpu-hardware', 14],
    ['application-fault', 14],
  ],
  'gsp-fault': [['gpu-firmware', 28]],
  'memory-fault': [['gpu-memory', 28]],
  'nvlink-fault': [['nvlink', 22]],
  'gpu-identity': [],
  'pcie-error': [['pcie-link', 26]],
  'iommu-fault': [
    ['driver', 18],
    ['configuration', 14],
  ],
  'machine-check': [['host-hardware', 30]],
  'oom-kill': [['host-memory', 28]],
  // Who waits for what does not stand in the line: a driver that hangs, or storage.
  'hung-task': [
    ['driver', 18],
    ['host-hardware', 14],
  ],
  segfault: [['application-fault', 24]],
  boot: [],
  // What a program says of the GPU could be anybody's word.
  'application-error': [],
};

/** The vendor's word that the device is at fault. */
export const authoritativeDecibans = 50;
/** The same class of event, by how bad the vendor says it is. */
const deviceDecibans = { fatal: 50, critical: 50, warning: 24, info: 18 } as const satisfies Record<
  EventSeverity,
  number
>;

/** One Xid 45 for each channel of a job: its end, not its failure. Source: NVIDIA/NVSentinel#1710; the number is judged. */
const floodCount = 50;

/** Kinds in which the vendor itself says that the device is at fault. */
export const isVendorsWord = ({ kind }: Incident) => kind === 'xid' || kind === 'sxid' || kind === 'bus-loss';

const isBad = ({ severity }: Incident) => severity === 'fatal' || severity === 'critical';

/**
 * The vendor's workflows for 13 and 31 leave the application out of suspicion only when the same comes again on one GPU, in separate runs,
 * and on no other. A workflow that was walked knows best.
 */
export function isRepeatedHere(incident: Incident, isOnSeveralGpus: boolean): boolean {
  if (incident.xid !== 13 && incident.xid !== 31) return false;
  const { workflow, occurrenceCount } = incident;
  if (workflow && isDisruptive(workflow.action)) return true;
  const clears = workflow && ['none', 'restart-app', 'check-app'].includes(workflow.action);
  return !clears && occurrenceCount >= 2 && !isOnSeveralGpus;
}

function weightsOfXid(incident: Incident, isOnSeveralGpus: boolean): Weights {
  const { xid = -1, severity, applicationCommon, action, count } = incident;
  const ambiguous = ambiguousXids[xid];
  if (ambiguous) return ambiguous;
  if (isRepeatedHere(incident, isOnSeveralGpus)) {
    return [
      ['gpu-hardware', 24],
      ['application-fault', 18],
    ];
  }
  // Torn down by what else happened, or by whoever ended the program. Alone on an NVSwitch system it can be Fabric Manager.
  if (xid === 45) {
    if (count >= floodCount && action !== 'restart-service') return [];
    return [
      ['application-fault', 14],
      ...(action === 'restart-service' ? ([['gpu-service', 26]] as const) : []),
    ];
  }
  if (applicationCommon) {
    return [
      ['application-fault', severity === 'info' ? 18 : 22],
      ['gpu-hardware', 5],
    ];
  }
  const entry = findXid(xid);
  if (!entry) return [['gpu-hardware', isBad(incident) ? 20 : 12]];
  if (entry.category === 'application') {
    return [
      ['application-fault', 18],
      ['gpu-hardware', 12],
    ];
  }
  return [[causeOfXid[xid] ?? causeOfCategory[entry.category], deviceDecibans[severity]]];
}

function weightsOf(incident: Incident, isOnSeveralGpus: boolean): Weights {
  // The switch corrected it itself, or tells it for information: nothing asks for an explanation.
  if (incident.sxid !== undefined && incident.severity === 'info') return [];
  if (incident.sxid !== undefined) return [['nvswitch', deviceDecibans[incident.severity]]];
  if (incident.kind === 'xid') return weightsOfXid(incident, isOnSeveralGpus);
  if (incident.kind === 'sxid') return [['nvswitch', 18]];
  // A corrected error was corrected.
  if (incident.kind === 'pcie-error' && incident.decoded?.['correctable'] === true)
    return [['pcie-link', 12]];
  return signsOfKind[incident.kind];
}

/**
 * What one incident says. One that is over (`recovered`) tells what happened and nothing of now: half of it counts, and it is nobody's word
 * any more. Xid 154 is advice about what else is known; see `recoverySigns`.
 */
export function signsOfIncident(incident: Incident, isOnSeveralGpus: boolean): readonly Sign[] {
  const { standing, trusted, xid } = incident;
  if (trusted === false || (standing !== 'primary' && standing !== 'recovered')) return [];
  if (xid === 154 || (xid !== undefined && quietXids.has(xid))) return [];
  const at = timeOfIncident(incident);
  const isOver = standing === 'recovered';
  return weightsOf(incident, isOnSeveralGpus).map(([cause, decibans]) => ({
    indicator: `log.${nameOfIncident(incident)}`,
    cause,
    subject: subjectOfIncident(incident),
    decibans: isOver ? Math.round(decibans / 2) : decibans,
    ...(!isOver && decibans >= authoritativeDecibans ? { authoritative: true } : {}),
    evidence: [evidenceOfIncident(incident)],
    ...(at === undefined ? {} : { at }),
  }));
}
