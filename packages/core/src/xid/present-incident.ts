import type { KernelEvent } from '../domain/event.ts';
import type { GpuRef } from '../domain/gpu.ts';
import type { Incident, WorkflowPath } from '../domain/incident.ts';
import { type Action, actions, isDisruptive } from '../domain/verdict.ts';
import { findSxid, findXid } from './catalogue.ts';
import { type Group, severityRank, takesAdvice } from './group.ts';
import { deviceOf } from './grouping.ts';
import { type KindEntry, kindCatalogue } from './kinds.ts';
import { opinionsOn } from './opinions.ts';
import { recoveryMeanings } from './recovery-actions.ts';
import { ownAction, type Standing } from './standing.ts';
import { verdictOfIncident } from './verdict-of-incident.ts';
import type { GpuFacts } from './workflow-facts.ts';
import { walkWorkflow } from './workflows/machine.ts';
import type { WorkflowContext } from './workflows/questions.ts';
import { findWorkflow } from './workflows/tables.ts';

/** A group with what was found out about it. */
export interface JudgedGroup {
  readonly group: Group;
  readonly standing: Standing;
  readonly gpu: GpuRef | undefined;
  /** Readings newer than the group. */
  readonly facts: GpuFacts | undefined;
  /** The Xid 154 that rules over it. */
  readonly advice: Group | undefined;
  /** GPUs that had the same number within a day. */
  readonly deviceCount: number;
}

/** The words for an event: of its number, else of its kind. */
export function describeEvent(event: KernelEvent): KindEntry {
  const unlisted: KindEntry = kindCatalogue[event.kind];
  if (event.xid !== undefined) return findXid(event.xid) ?? unlisted;
  if (event.sxid === undefined) return unlisted;
  const entry = findSxid(event.sxid);
  return entry ? { ...entry, applicationCommon: false } : unlisted;
}

/** Kind, number, device and first time; two files with the same lines would have the same, so that a counter comes behind. */
export function incidentIds(groups: readonly Group[]): ReadonlyMap<Group, string> {
  const used = new Map<string, number>();
  return new Map(
    groups.map((group) => {
      const { subject, first, order } = group;
      const code = subject.xid ?? subject.sxid;
      const time = first.at ?? first.uptimeSeconds ?? order;
      const writer = subject.trusted === false ? '-unverified' : '';
      const id = `${subject.kind}${code === undefined ? '' : `-${code}`}@${deviceOf(subject) || 'node'}#${time}${writer}`;
      const known = used.get(id) ?? 0;
      used.set(id, known + 1);
      return [group, known === 0 ? id : `${id}~${known + 1}`] as const;
    }),
  );
}

export function presentGroup(judged: JudgedGroup, ids: ReadonlyMap<Group, string>): Incident {
  const { group, standing, gpu } = judged;
  const { subject, first, last, worst, trusted } = group;
  const { kind, xid, sxid, switchIndex } = subject;
  const { title, explanation, applicationCommon, source } = describeEvent(subject);
  const isPrimary = standing.standing === 'primary';
  const workflow = isPrimary && trusted !== false ? workflowOf(judged) : undefined;
  const action: Action = isPrimary ? (workflow?.action ?? ownAction(group)) : 'none';
  const severity = isPrimary ? severityOf(judged, action) : 'info';
  const opinions = xid === undefined ? [] : opinionsOn(xid);
  const cause = standing.causedBy ?? announced(group);
  const causedBy = cause && ids.get(cause);
  return {
    id: ids.get(group) ?? '',
    kind,
    ...(xid === undefined ? {} : { xid }),
    ...(sxid === undefined ? {} : { sxid }),
    title,
    explanation,
    severity,
    verdict: verdictOfIncident(severity, applicationCommon, trusted, action, standing.standing),
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
    standing: standing.standing,
    ...(standing.because === undefined ? {} : { because: standing.because }),
    ...(causedBy === undefined ? {} : { causedBy }),
    occurrenceCount: Math.max(1, group.repetition.occurrenceCount),
    ...(workflow ? { workflow } : {}),
    ...(opinions.length > 0 ? { opinions } : {}),
    citations: group.citations,
  };
}

/** Of what an Xid 154 may be about, the worst: it stays primary all the same, because it is the driver's own word. */
function announced(advice: Group): Group | undefined {
  return advice.announces
    .filter(({ label, count }) => count > 0 && takesAdvice(label))
    .reduce<Group | undefined>((worst, group) => {
      const isWorse = !worst || severityRank[group.worst.severity] > severityRank[worst.worst.severity];
      return isWorse ? group : worst;
    }, undefined);
}

/** What the driver asks for is as bad as the driver says; and what needs more than a look is at least a warning. */
function severityOf({ group, advice }: JudgedGroup, action: Action): Incident['severity'] {
  const { severity } = group.worst;
  const advised = advice?.worst.severity ?? severity;
  const worst = severityRank[advised] > severityRank[severity] ? advised : severity;
  return worst === 'info' && isDisruptive(action) ? 'warning' : worst;
}

function workflowOf(judged: JudgedGroup): WorkflowPath | undefined {
  const { group, facts } = judged;
  if (typeof group.label !== 'number') return undefined;
  const workflow = findWorkflow(group.label);
  const path = workflow && walkWorkflow(workflow, contextOf(judged));
  if (!takesAdvice(group.label)) return path;
  const { advice } = judged;
  if (advice)
    return advised(path, ownAction(advice), 'Xid 154 follows it on the same GPU and names another action.');
  const meaning = Object.values(recoveryMeanings).find(({ recovery }) => recovery === facts?.recoveryAction);
  if (!meaning || meaning.recovery === 'none') return path;
  return advised(path, meaning.action, 'NVML reports a recovery action for the GPU now.');
}

const driverSource = 'NVIDIA Xid catalogue (Xid 154); NVML recovery action';

/** The driver's word outranks what the number alone asks for, but not what readings and repetition show to need more. */
function advised(path: WorkflowPath | undefined, action: Action, because: string): WorkflowPath {
  const question = 'Does the driver itself name an action (Xid 154, NVML recovery action)?';
  const steps = [...(path?.steps ?? []), { question, answer: 'yes' as const, because }];
  const isEscalated =
    path !== undefined &&
    (path.action === 'contact-support' || path.action === 'run-field-diagnostic') &&
    actions.indexOf(path.action) > actions.indexOf(action);
  return {
    id: path?.id ?? 'XID_154',
    steps,
    outcome: isEscalated
      ? `${path.outcome} Until then do what the driver asks for: ${action}.`
      : `The driver itself asks for ${action}, which outranks the general advice for the number.`,
    action: isEscalated ? path.action : action,
    source: path ? `${path.source}; ${driverSource}` : driverSource,
  };
}

function contextOf({ group, facts, deviceCount }: JudgedGroup): WorkflowContext {
  const { repetition } = group;
  return {
    ownAction: ownAction(group),
    count: group.count,
    decoded: group.worst.decoded,
    hasProcess: group.processes.length > 0,
    companions: group.companions,
    peers: group.peers,
    hasLinkTroubleNear: group.hasLinkTroubleNear,
    occurrenceCount: repetition.occurrenceCount,
    dailyCount: repetition.dailyCount,
    epochCount: repetition.epochCount,
    linkCount: repetition.linkCount,
    isOnOneUnit: repetition.isOnOneUnit,
    deviceCount,
    gpu: facts,
  };
}
