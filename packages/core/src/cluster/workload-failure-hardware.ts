import { causeCatalogue } from '../diagnosis/explain/cause-catalogue.ts';
import { signsOfIncident } from '../diagnosis/explain/incident-signs.ts';
import { evidenceOfIncident, nameOfIncident, timeOfIncident } from '../diagnosis/explain/sign.ts';
import type { Cause } from '../domain/diagnosis.ts';
import type { Incident } from '../domain/incident.ts';
import { type Action, type Confidence, type Evidence, type Verdict, verdicts } from '../domain/verdict.ts';
import { findXid } from '../xid/catalogue.ts';
import {
  type AgentDiagnosis,
  afterMilliseconds,
  beforeMilliseconds,
  clockSkewMilliseconds,
  timeOf,
  type WorkloadFacts,
  type WorkloadNodeFacts,
} from './workload-failure-facts.ts';

/**
 * How an error of the hardware belongs to the workload. `its-gpu`: on a GPU that it held. `node-wide`: what all GPUs of the node need.
 * `same-node`: on a GPU of a node on which it ran, of which nobody told who held it. `other-gpu`: on one that it did not hold.
 */
export type HardwareLink = 'its-gpu' | 'node-wide' | 'same-node' | 'other-gpu';

/** One thing in the hardware of one node that can be behind the failure. */
export interface HardwareSign {
  readonly node: string;
  readonly gpu: number | null;
  readonly cause: Cause;
  readonly verdict: Verdict;
  readonly action: Action;
  readonly confidence: Confidence;
  /** ISO 8601; null for what is so, without a time at which it began. */
  readonly at: string | null;
  readonly link: HardwareLink;
  /** `Xid 79`, `SXid 20034`, `bus-loss`; null where only the agent's conclusion says so. */
  readonly error: string | null;
  /** Whether it was critical when it happened; of what is over since, the verdict is no longer. */
  readonly wasCritical: boolean;
  /** Whether the node's agent came to this conclusion of all that it saw, and not this one error alone. */
  readonly isConcluded: boolean;
  /** Whether it came after the first end: behind the end of a pod on its own node at most. */
  readonly isLater: boolean;
  readonly evidence: readonly Evidence[];
}

/** Decibans below which an error says too little by itself. */
const leastDecibans = 12;

/** Signs of the nodes that were heard, the one that explains most first. Pure. */
export function hardwareSigns(facts: WorkloadFacts): readonly HardwareSign[] {
  const end = timeOf(facts.moment.at) ?? Number.POSITIVE_INFINITY;
  return facts.nodes.flatMap((node) => signsOfNode(node, end)).sort(byWeight);
}

/** Whether it alone is reason enough to say that the program is out of suspicion. */
export const isTelling = ({ link }: HardwareSign) => link === 'its-gpu' || link === 'node-wide';

const links: readonly HardwareLink[] = ['its-gpu', 'node-wide', 'same-node', 'other-gpu'];
const byWeight = (a: HardwareSign, b: HardwareSign) =>
  links.indexOf(a.link) - links.indexOf(b.link) ||
  verdicts.indexOf(a.verdict) - verdicts.indexOf(b.verdict) ||
  (timeOf(a.at) ?? Number.POSITIVE_INFINITY) - (timeOf(b.at) ?? Number.POSITIVE_INFINITY) ||
  (a.node < b.node ? -1 : a.node > b.node ? 1 : 0);

function signsOfNode(node: WorkloadNodeFacts, end: number): readonly HardwareSign[] {
  const { diagnosis, incidents } = node;
  const signs = (incidents ?? []).flatMap((incident) => signOfIncident(node, incident, end) ?? []);
  const ofLog = signs.filter(({ isLater }) => !isLater);
  const later = signs.filter(({ isLater }) => isLater);
  const [worst] = ofLog.toSorted(byWeight);
  if (diagnosis?.notYourCode !== true || diagnosis.verdict === 'ok') return signs;
  // The agent weighed the same errors, and more: its conclusion goes with the one that it is about.
  const same = ofLog.find(({ gpu, cause }) => cause === diagnosis.cause && gpu === diagnosis.gpu);
  const about = same ?? (worst && worst.gpu === diagnosis.gpu ? worst : undefined);
  const concluded: HardwareSign = {
    node: node.name,
    gpu: diagnosis.gpu,
    cause: diagnosis.cause,
    verdict: diagnosis.verdict,
    action: diagnosis.action,
    confidence: notAbove(about && !isAfter(about.at, end) ? 'high' : 'medium', diagnosis.confidence),
    at: about?.at ?? null,
    link: linkOf(node, diagnosis.gpu, diagnosis.gpuUuid, diagnosis.cause),
    error: about?.error ?? null,
    wasCritical: diagnosis.verdict === 'critical',
    isConcluded: true,
    isLater: false,
    evidence: [
      ...(about?.evidence ?? []),
      { field: `agent.explain_failure.${diagnosis.cause}`, value: diagnosis.verdict },
    ],
  };
  // What is wrong now, with all its errors known to be later than the end, began after it.
  if (!about && isAllLater(diagnosis, incidents ?? [], end)) return signs;
  const own = (incidents ?? []).filter(({ gpu }) => (gpu?.index ?? null) === diagnosis.gpu);
  if (!about && own.length > 0 && own.every((incident) => isOfEarlierRun(node, incident))) return signs;
  return [concluded, ...ofLog.filter((sign) => sign !== about), ...later];
}

/** Whether a time is so much later than the end that more than whole seconds are between them. */
const isAfter = (at: string | null, end: number) => (timeOf(at) ?? Number.NEGATIVE_INFINITY) > end + 2_000;

/** Whether all errors of the GPU that a diagnosis is about are known to be later than the end. */
export function isAllLater({ gpu }: AgentDiagnosis, incidents: readonly Incident[], end: number): boolean {
  const own = incidents.filter((incident) => (incident.gpu?.index ?? null) === gpu);
  return (
    own.length > 0 &&
    own.every((incident) => (timeOf(incident.firstAt) ?? Number.NEGATIVE_INFINITY) > end + afterMilliseconds)
  );
}

/**
 * An incident as it was before the boot or the load of the driver that ended it: of what is over since, an agent tells no severity. Errors
 * that only the log of the time can weigh keep what is told.
 */
function asItWas(incident: Incident): Incident {
  if (incident.standing !== 'recovered') return incident;
  const severity =
    (incident.xid === undefined ? undefined : findXid(incident.xid)?.severity) ?? incident.severity;
  return { ...incident, severity, standing: 'primary' };
}

/** Whether it was over before the workload began there: ended by a boot, or of the kind after which a program may simply start again. */
function isOfEarlierRun({ firstStartAt }: WorkloadNodeFacts, incident: Incident): boolean {
  const start = timeOf(firstStartAt ?? null);
  const last = timeOfIncident(incident);
  const isPassing = incident.standing === 'recovered' || incident.action === 'restart-app';
  return isPassing && start !== undefined && last !== undefined && last < start;
}

/** An error that a program does not cause, early enough to be behind the end. */
function signOfIncident(node: WorkloadNodeFacts, incident: Incident, end: number): HardwareSign | undefined {
  const { standing, trusted, gpu, verdict, action } = incident;
  // What is over since (`recovered`) was there at the time; it asks for nothing now.
  if (trusted === false || (standing !== 'primary' && standing !== 'recovered')) return undefined;
  const then = asItWas(incident);
  const [strongest] = signsOfIncident(then, false).toSorted((a, b) => b.decibans - a.decibans);
  if (!strongest || strongest.decibans < leastDecibans) return undefined;
  if (causeCatalogue[strongest.cause].notYourCode !== true) return undefined;
  const first = timeOf(incident.firstAt) ?? timeOfIncident(incident);
  const last = timeOfIncident(incident);
  // The clock of a peer that ended first may be behind: what its own pod ended after, by its own clock, can be behind the first end.
  const ownEnd = timeOf(node.firstEndAt ?? null) ?? Number.NEGATIVE_INFINITY;
  const isLater =
    first !== undefined &&
    first > Math.max(end + afterMilliseconds, Math.min(ownEnd, end + clockSkewMilliseconds));
  if (isLater && first > ownEnd + afterMilliseconds) return undefined;
  if (last !== undefined && last < end - beforeMilliseconds) return undefined;
  if (isOfEarlierRun(node, incident)) return undefined;
  const index = gpu?.index ?? null;
  const isOver = standing === 'recovered';
  const isFatal = then.severity === 'fatal' || then.severity === 'critical';
  return {
    node: node.name,
    gpu: index,
    cause: strongest.cause,
    verdict: isOver ? 'warning' : verdict,
    action: isOver ? 'monitor' : action,
    confidence:
      first === undefined || isAfter(incident.firstAt, end) || verdict !== 'critical' ? 'medium' : 'high',
    at: incident.firstAt ?? incident.lastAt,
    link: linkOf(node, index, gpu?.uuid ?? null, strongest.cause),
    error: nameOfIncident(incident),
    wasCritical: isOver ? isFatal : verdict === 'critical',
    isConcluded: false,
    isLater,
    evidence: [evidenceOfIncident(incident)],
  };
}

/** What every GPU of a node needs. */
const nodeWideCauses: ReadonlySet<Cause> = new Set(['nvswitch', 'gpu-service', 'driver', 'host-hardware']);

function linkOf(
  { gpus }: WorkloadNodeFacts,
  gpu: number | null,
  uuid: string | null,
  cause: Cause,
): HardwareLink {
  if (gpus === 'all') return gpu === null ? 'node-wide' : 'its-gpu';
  if (gpu === null) return nodeWideCauses.has(cause) ? 'node-wide' : 'same-node';
  if (gpus === null || uuid === null) return 'same-node';
  return gpus.some((each) => each.toLowerCase() === uuid.toLowerCase()) ? 'its-gpu' : 'other-gpu';
}

const order: readonly Confidence[] = ['low', 'medium', 'high'];

/** The lesser of the two. */
export const notAbove = (limit: Confidence, confidence: Confidence): Confidence =>
  order.indexOf(confidence) <= order.indexOf(limit) ? confidence : limit;
