import type { IncidentStanding } from '../domain/incident.ts';
import { type Action, actions, isDisruptive, strongestAction } from '../domain/verdict.ts';
import { type Group, type Label, severityRank, takesAdvice } from './group.ts';
import { type Grouped, restartKey } from './grouping.ts';
import { compareCandidates } from './neighbourhood.ts';
import { sympathyRules } from './sympathy-rules.ts';
import { isAfter, type Latest, millisecondsOf, type Restart, secondsBetween } from './timeline.ts';
import type { GpuFacts, WorkflowFacts } from './workflow-facts.ts';

/** What a group counts for, and why when it is not by itself. */
export interface Standing {
  readonly standing: IncidentStanding;
  readonly because?: string;
  readonly causedBy?: Group;
}

const primary: Standing = { standing: 'primary' };
const memoryXids: ReadonlySet<number> = new Set([48, 63, 64, 94, 95, 140, 171, 172]);
/** What a new load of the GPU driver does not end. */
const hostKinds: ReadonlySet<Label> = new Set<Label>([
  'machine-check',
  'oom-kill',
  'hung-task',
  'pcie-error',
  'iommu-fault',
  'segfault',
]);
/** A boot is known to the second; an event this close to it may be of either side. */
const bootToleranceMilliseconds = 5_000;

/** The action of a group by its own lines and the catalogue. */
export const ownAction = (group: Group): Action => strongestAction(group.actions);

/** What the evidence says of a group besides its own lines. */
export interface GroupEvidence {
  readonly gpu: GpuFacts | undefined;
  /** The inventory does not have the GPU. */
  readonly isMissing: boolean;
}

export class StandingJudge {
  readonly #grouped: Grouped;
  readonly #facts: WorkflowFacts;
  readonly #evidenceOf: (group: Group) => GroupEvidence;
  readonly #causes = new Map<Group, Standing | undefined>();

  constructor(grouped: Grouped, facts: WorkflowFacts, evidenceOf: (group: Group) => GroupEvidence) {
    this.#grouped = grouped;
    this.#facts = facts;
    this.#evidenceOf = evidenceOf;
  }

  judge(group: Group): Standing {
    if (group.cancelledBy)
      return {
        standing: 'cancelled',
        because: 'Power smoothing was engaged again (Xid 162) after it had been disengaged.',
        causedBy: group.cancelledBy,
      };
    if (group.isSuperseded)
      return {
        standing: 'superseded',
        because: 'The driver has named another recovery action since (Xid 154).',
      };
    if (group.label === 154 && ownAction(group) !== 'none' && this.factsOf(group)?.recoveryAction === 'none')
      return { standing: 'superseded', because: 'The driver asks for no recovery action any more.' };
    return this.#sympathy(group) ?? this.#recovery(group) ?? primary;
  }

  /** The facts about the GPU of a group, when they are newer than the group. */
  factsOf(group: Group): GpuFacts | undefined {
    const observed = millisecondsOf(this.#facts.observedAt);
    const last = group.lastPlace.milliseconds;
    if (observed !== undefined && last !== undefined && observed < last) return undefined;
    return this.#evidenceOf(group).gpu;
  }

  /** The Xid 154 that rules over a group: the newest of its GPU between the same two starts. */
  adviceFor(group: Group): Group | undefined {
    let { advice } = group;
    if (!advice || !takesAdvice(group.label)) return undefined;
    const device = group.subject.pciAddress;
    const machine = this.#grouped.machines.get(group.machine);
    const newest = device === null ? undefined : machine?.newestAdvice(device);
    if (newest && newest.epoch === group.epoch) advice = newest;
    return ownAction(advice) === 'none' || advice.worst.decoded?.['recoveryAction'] === undefined
      ? undefined
      : advice;
  }

  #sympathy(group: Group): Standing | undefined {
    if (this.#causes.has(group)) return this.#causes.get(group);
    this.#causes.set(group, undefined);
    const found = group.candidates
      .filter(({ rule, group: cause }) => {
        if (cause.count === 0 || (cause.trusted === false && group.trusted !== false)) return false;
        return isStronger(cause, group) && (sympathyRules[rule]?.when?.(cause, group) ?? true);
      })
      .sort(compareCandidates)[0];
    if (!found) return undefined;
    const root = this.#sympathy(found.group)?.causedBy ?? found.group;
    const because = sympathyRules[found.rule]?.because ?? '';
    const standing: Standing = { standing: 'sympathetic', because, causedBy: root };
    this.#causes.set(group, standing);
    return standing;
  }

  #recovery(group: Group): Standing | undefined {
    if (group.trusted === false) return undefined;
    // A program's own mistake says nothing of the GPU's state, so that a restart has nothing to mend.
    if (group.isApplicationXid && !isDisruptive(ownAction(group))) return undefined;
    const facts = this.factsOf(group);
    if (this.#isContradicted(group, facts)) return undefined;
    const isLoss = group.label === 79 || group.label === 'bus-loss';
    if (isLoss && this.#evidenceOf(group).isMissing) return undefined;
    const restart = this.#restartAfter(group);
    if (restart) return recovered(restartReasons[restart.kind]);
    const isTakenBack = group.advice && facts?.recoveryAction === 'none' && facts.state === 'ok';
    if (isTakenBack && takesAdvice(group.label) && ownAction(group.advice ?? group) !== 'none')
      return recovered('The driver had asked for a recovery action (Xid 154) and asks for none now.');
    return undefined;
  }

  /** Whether the GPU itself says that it is not well yet. What it asks for now belongs to the newest trouble, not to what a restart ended. */
  #isContradicted({ label, subject, epoch, machine: name }: Group, facts: GpuFacts | undefined): boolean {
    if (!facts) return false;
    const { state, recoveryAction, hasRemapFailed, isSramThresholdExceeded } = facts;
    const isMemory = typeof label === 'number' && memoryXids.has(label);
    if (isMemory && (hasRemapFailed === true || isSramThresholdExceeded === true)) return true;
    if (!takesAdvice(label)) return false;
    const machine = this.#grouped.machines.get(name);
    const newest = subject.pciAddress === null ? undefined : machine?.newestTrouble(subject.pciAddress);
    if (newest && newest.epoch !== epoch) return false;
    const isAsking = recoveryAction !== undefined && recoveryAction !== null && recoveryAction !== 'none';
    return isAsking || state === 'lost' || state === 'hung' || state === 'reset-required';
  }

  /** The newest start that came after everything of this kind on this device. */
  #restartAfter(group: Group): Restart | undefined {
    const machine = group.machine;
    const { restarts } = this.#grouped;
    const known: readonly (Latest<Restart> | undefined)[] = [
      restarts.get(restartKey(machine)),
      group.subject.pciAddress === null
        ? undefined
        : restarts.get(restartKey(machine, group.subject.pciAddress)),
    ];
    const { timed, timeless } = group.repetition.latest;
    const isOfHost = typeof group.label === 'string' && hostKinds.has(group.label);
    const isAfterAll = (restart: Restart): boolean =>
      (restart.kind === 'boot' || !isOfHost) &&
      !isSameLoad(restart, group) &&
      [timed, timeless].every((place) => place === undefined || isAfter(restart, place));
    return [...known.flatMap((latest) => [latest?.timed, latest?.timeless]), ...this.#factualRestarts()].find(
      (restart): restart is Restart => restart !== undefined && isAfterAll(restart),
    );
  }

  #factualRestarts(): Restart[] {
    const booted = millisecondsOf(this.#facts.bootedAt);
    const loaded = millisecondsOf(this.#facts.driverLoadedAt);
    const at = (milliseconds: number) => ({
      milliseconds,
      uptimeSeconds: null,
      order: Number.POSITIVE_INFINITY,
    });
    return [
      ...(booted === undefined ? [] : [{ kind: 'boot' as const, ...at(booted - bootToleranceMilliseconds) }]),
      ...(loaded === undefined ? [] : [{ kind: 'driver-load' as const, ...at(loaded) }]),
    ];
  }
}

/** The driver names itself only after it has tried its GPUs: what failed a moment before the banner failed in that very load. */
const loadSeconds = 30;

function isSameLoad(restart: Restart, { label, lastPlace, worst }: Group): boolean {
  const isUnfit = label === 'version-mismatch' && worst.severity === 'critical';
  const isOfProbing = label === 'bus-loss' || label === 'init-failure' || label === 'pcie-error' || isUnfit;
  return restart.kind === 'driver-load' && isOfProbing && secondsBetween(lastPlace, restart) <= loadSeconds;
}

const restartReasons = {
  boot: 'The machine was started anew after it, and it has not come back since.',
  'driver-load': 'The driver was loaded anew after it, and it has not come back since.',
  recovery:
    'The driver reported that no recovery action is needed any more (Xid 154), and it has not come back since.',
} as const satisfies Record<Restart['kind'], string>;

const recovered = (because: string): Standing => ({ standing: 'recovered', because });

/** An effect is excused only by what asks for as much, or is as bad: a repair that was noted does not excuse a reset that is needed. */
function isStronger(cause: Group, effect: Group): boolean {
  return (
    actions.indexOf(ownAction(cause)) >= actions.indexOf(ownAction(effect)) ||
    severityRank[cause.worst.severity] >= severityRank[effect.worst.severity]
  );
}
