import type { DiagnosisQuestion } from '../../domain/diagnosis.ts';
import type { GpuReading } from '../../domain/gpu.ts';
import type { Incident } from '../../domain/incident.ts';
import { pciDeviceKey } from '../../domain/pci-address.ts';
import type { Finding } from '../../domain/verdict.ts';
import type { GpuAssessment } from '../../health/assess.ts';
import type { DiagnosticEvidence } from '../evidence.ts';
import { isPrimary, timeOfIncident } from './sign.ts';

/** What of the evidence a question is about. */
export interface Scope {
  readonly readings: readonly GpuReading[];
  readonly assessments: readonly GpuAssessment[];
  /** Of any standing. */
  readonly incidents: readonly Incident[];
  readonly nodeFindings: readonly Finding[];
  readonly holderFindings: readonly Finding[];
  /** What programs said, where it can belong to the question. */
  readonly hasApplicationErrors: boolean;
  /** Whether the readings are of the time that the question is about. */
  readonly isOfNow: boolean;
  /** The incidents that lie nearest to the question: the newest, or those next to the time asked about. */
  readonly nearest: readonly Incident[];
  /** Why there is nothing to go by: a pid that nobody knows, a GPU without a trace, a time without an error. */
  readonly nothing?: 'pid' | 'gpu' | 'time';
}

/** An incident this near to the time asked about belongs to it. */
export const nearMilliseconds = 10 * 60_000;

export function scopeOf(evidence: DiagnosticEvidence, question: DiagnosisQuestion): Scope {
  switch (question.kind) {
    case 'newest':
      return scopeOfGpus(evidence, () => true, evidence.incidents, evidence.nodeFindings);
    case 'gpu':
      return scopeOfGpu(evidence, question.index);
    case 'pid':
      return scopeOfPid(evidence, question.pid);
    case 'time':
      return scopeOfTime(evidence, Date.parse(question.at));
  }
}

function scopeOfGpus(
  evidence: DiagnosticEvidence,
  has: (gpu: number) => boolean,
  incidents: readonly Incident[],
  nodeFindings: readonly Finding[],
): Scope {
  return {
    readings: evidence.readings.filter(({ gpu }) => has(gpu.index)),
    assessments: evidence.assessments.filter(({ gpu }) => has(gpu)),
    incidents,
    nodeFindings: nodeFindings.filter(({ gpu }) => gpu === undefined || has(gpu)),
    holderFindings: evidence.holderFindings.filter(({ gpu }) => gpu === undefined || has(gpu)),
    hasApplicationErrors: true,
    isOfNow: true,
    nearest: latestOf(incidents),
  };
}

/** What is about the node, or about a device that is no GPU of its own: a switch, a bridge, the host. */
function isOfNode({ kind, gpu, pciAddress }: Incident): boolean {
  if (gpu) return false;
  return pciAddress === null || !['xid', 'bus-loss', 'init-failure', 'gsp-fault'].includes(kind);
}

function incidentsOfGpus(evidence: DiagnosticEvidence, gpus: ReadonlySet<number>): Incident[] {
  const places = new Set(
    evidence.readings
      .filter(({ gpu }) => gpus.has(gpu.index))
      .flatMap(({ gpu }) => pciDeviceKey(gpu.pciAddress) ?? []),
  );
  return evidence.incidents.filter(({ gpu, pciAddress }) =>
    gpu ? gpus.has(gpu.index) : pciAddress !== null && places.has(pciAddress),
  );
}

function scopeOfGpu(evidence: DiagnosticEvidence, index: number): Scope {
  const gpus = new Set([index]);
  const own = incidentsOfGpus(evidence, gpus);
  const incidents = [...own, ...evidence.incidents.filter((each) => isOfNode(each) && !own.includes(each))];
  const scope = scopeOfGpus(evidence, (gpu) => gpu === index, incidents, evidence.nodeFindings);
  const isKnown =
    scope.readings.length > 0 || own.length > 0 || evidence.nodeFindings.some(({ gpu }) => gpu === index);
  return isKnown ? scope : { ...scope, nothing: 'gpu' };
}

function scopeOfPid(evidence: DiagnosticEvidence, pid: number): Scope {
  const named = evidence.incidents.filter(({ processes }) => processes.some((each) => each.pid === pid));
  const held = evidence.holders.filter((holder) => holder.pid === pid);
  const gpus = new Set([
    ...named.flatMap(({ gpu }) => gpu?.index ?? []),
    ...held.flatMap(({ shares }) => shares.map(({ gpu }) => gpu)),
  ]);
  // What another program did on the same GPU is not this one's failure.
  const isAnothers = ({ applicationCommon, processes }: Incident) =>
    applicationCommon && processes.length > 0 && !processes.some((each) => each.pid === pid);
  const beside = [...incidentsOfGpus(evidence, gpus), ...evidence.incidents.filter(isOfNode)].filter(
    (incident) => !isAnothers(incident) && !named.includes(incident),
  );
  const incidents = [...named, ...new Set(beside)];
  const scope = scopeOfGpus(evidence, (gpu) => gpus.has(gpu), incidents, evidence.nodeFindings);
  return named.length > 0 || held.length > 0
    ? scope
    : { ...scope, incidents: [], nodeFindings: [], hasApplicationErrors: false, nothing: 'pid' };
}

function scopeOfTime(evidence: DiagnosticEvidence, at: number): Scope {
  const incidents = evidence.incidents.filter((incident) => distanceOf(incident, at) <= nearMilliseconds);
  const isNow = Math.abs(Date.parse(evidence.observedAt) - at) <= nearMilliseconds;
  const gpus = new Set(incidents.flatMap(({ gpu }) => gpu?.index ?? []));
  // A reading tells of now: of a time gone by only for a GPU that had an error then.
  const scope = scopeOfGpus(
    evidence,
    (gpu) => isNow || gpus.has(gpu),
    incidents,
    isNow ? evidence.nodeFindings : evidence.nodeFindings.filter(({ gpu }) => gpu !== undefined),
  );
  const nearest = leastOf(
    incidents.filter(({ standing }) => standing === 'primary' || standing === 'recovered'),
    (incident) => distanceOf(incident, at),
  );
  return !isNow && incidents.length === 0
    ? { ...scope, hasApplicationErrors: false, isOfNow: isNow, nearest, nothing: 'time' }
    : { ...scope, isOfNow: isNow, nearest };
}

/** Milliseconds from a moment to the nearest moment of an incident; infinite when its time is not known. */
function distanceOf({ firstAt, lastAt }: Incident, at: number): number {
  const first = Date.parse(firstAt ?? lastAt ?? '');
  const last = Date.parse(lastAt ?? firstAt ?? '');
  if (Number.isNaN(first) || Number.isNaN(last)) return Number.POSITIVE_INFINITY;
  return Math.max(0, first - at, at - last);
}

/** The newest; by the clock of the boot where no line tells the time of day. */
function latestOf(incidents: readonly Incident[]): readonly Incident[] {
  const primary = incidents.filter(isPrimary);
  const dated = primary.filter((incident) => timeOfIncident(incident) !== undefined);
  return dated.length > 0
    ? leastOf(dated, (incident) => -(timeOfIncident(incident) ?? 0))
    : leastOf(primary, ({ lastUptimeSeconds }) => -(lastUptimeSeconds ?? 0));
}

function leastOf(incidents: readonly Incident[], measure: (incident: Incident) => number): Incident[] {
  let least = Number.POSITIVE_INFINITY;
  for (const incident of incidents) least = Math.min(least, measure(incident));
  return incidents.filter((incident) => measure(incident) === least);
}
