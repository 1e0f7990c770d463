import type { KernelEvent } from '../domain/event.ts';
import { type CauseCandidate, type Group, type Label, severityRank, takesAdvice } from './group.ts';
import {
  labelsOfGpu,
  labelsOfMachine,
  linkTroubleLabels,
  rowsFor,
  type SympathyRule,
} from './sympathy-rules.ts';
import { isWithin, keepLatest, type Latest, type Place, type Restart, secondsBetween } from './timeline.ts';

/** How much of a machine's recent past is remembered: more than the GPUs and switches of one can say at once. */
const maximumRecent = 64;
const maximumPids = 4_096;
const maximumCandidates = 8;
const maximumAnnounced = 8;
const maximumDevicesOfCode = 64;
const linkTroubleSeconds = 30;
/** An Xid printed in the same moment as the Xid 154 before it belongs to it all the same. */
const sameMomentSeconds = 5;

/** Whether and how groups near in time are each other's business. */
export class Neighbourhood {
  readonly windowSeconds: number;

  constructor(windowSeconds: number) {
    this.windowSeconds = windowSeconds;
  }

  isNear(earlier: Group, later: Group): boolean {
    return earlier.epoch === later.epoch && isWithin(earlier.lastPlace, later.firstPlace, this.windowSeconds);
  }

  /** Introduces two groups of one GPU or one machine, the earlier first. */
  meet(earlier: Group, later: Group, where: SympathyRule['where']): void {
    if (where === 'gpu') {
      later.companions.add(earlier.label);
      if (labelsOfGpu.has(later.label)) earlier.companions.add(later.label);
    } else if (where === 'machine' && earlier.subject.pciAddress !== later.subject.pciAddress) {
      later.peers.add(earlier.label);
      if (labelsOfMachine.has(later.label)) earlier.peers.add(later.label);
    }
    if (Math.abs(secondsBetween(earlier.lastPlace, later.firstPlace)) <= linkTroubleSeconds) {
      if (linkTroubleLabels.has(earlier.label)) later.hasLinkTroubleNear = true;
      if (linkTroubleLabels.has(later.label)) earlier.hasLinkTroubleNear = true;
    }
    for (const rule of rowsFor(earlier.label, later.label, where, later.isApplicationXid))
      addCandidate(later, { rule: rule.index, group: earlier });
    for (const rule of rowsFor(later.label, earlier.label, where, earlier.isApplicationXid))
      if (!rule.isCauseFirst) addCandidate(earlier, { rule: rule.index, group: later });
  }
}

function addCandidate(effect: Group, candidate: CauseCandidate): void {
  const { candidates } = effect;
  if (candidates.some(({ rule, group }) => rule === candidate.rule && group === candidate.group)) return;
  if (candidates.length < maximumCandidates) {
    candidates.push(candidate);
    return;
  }
  let worst = 0;
  for (const [index, known] of candidates.entries())
    if (compareCandidates(known, candidates[worst] ?? known) > 0) worst = index;
  const weakest = candidates[worst];
  if (weakest && compareCandidates(candidate, weakest) < 0) candidates[worst] = candidate;
}

/** The better row first; of one row the more severe cause. */
export function compareCandidates(one: CauseCandidate, other: CauseCandidate): number {
  const severity = ({ group }: CauseCandidate) => severityRank[group.worst.severity];
  return one.rule - other.rule || severity(other) - severity(one) || one.group.order - other.group.order;
}

interface Gpu {
  readonly latest: Map<Label, Group>;
  /** The latest Xid that no table asks for by number. */
  other: Group | undefined;
  /** Began after the last line of Xid 154. */
  unadvised: Group[];
  advice: Group | undefined;
  /** The latest that is not the business of applications. */
  trouble: Group | undefined;
  epoch: number;
}

/** What one machine's log has told so far, as much as later lines need. Bounded, but for the GPUs themselves. */
export class Machine {
  previous: (Place & { readonly bootId?: string | undefined }) | undefined;
  /** By device; `undefined` for the whole machine. */
  readonly restarts = new Map<string | undefined, Latest<Restart>>();
  readonly #neighbourhood: Neighbourhood;
  readonly #gpus = new Map<string, Gpu>();
  readonly #recent: Group[] = [];
  readonly #byPid = new Map<number, Group>();
  readonly #killedPids = new Map<number, Group>();
  /** Last time of Xid 13 and 31 by GPU. */
  readonly #deviceTimes = new Map<Label, Map<string, Place>>();
  readonly #epochs = { timed: 0, timeless: 0 };

  constructor(neighbourhood: Neighbourhood) {
    this.#neighbourhood = neighbourhood;
  }

  /** Between which starts something is; sections of one file with a clock and without are counted apart. */
  epochOf(device: string | null, { milliseconds }: Place): string {
    const ofMachine = this.#epochs[milliseconds === undefined ? 'timeless' : 'timed'];
    return `${ofMachine}.${device === null ? 0 : (this.#gpus.get(device)?.epoch ?? 0)}`;
  }

  restart(restart: Restart, device?: string): void {
    const slot = restart.milliseconds === undefined ? 'timeless' : 'timed';
    const latest = this.restarts.get(device) ?? {};
    this.restarts.set(device, latest);
    keepLatest(latest, restart);
    // An older one comes from a section that tells of earlier days: nothing was started here.
    if (latest[slot] !== restart) return;
    if (device === undefined) this.#epochs[slot] += 1;
    else this.#gpu(device).epoch += 1;
  }

  /** A group has begun. */
  introduce(group: Group): void {
    // What a program wrote excuses nothing and explains nothing, except what a program wrote.
    if (group.trusted === false) return;
    const device = group.subject.pciAddress;
    if (device !== null && group.subject.kind !== 'sxid') this.#introduceOnGpu(group, this.#gpu(device));
    if (!labelsOfMachine.has(group.label)) return;
    for (const other of this.#recent) {
      const isMachineNear =
        epochOfMachine(other) === epochOfMachine(group) &&
        isWithin(other.lastPlace, group.firstPlace, this.#neighbourhood.windowSeconds);
      if (isMachineNear) this.#neighbourhood.meet(other, group, 'machine');
    }
    this.#recent.push(group);
    if (this.#recent.length > maximumRecent) this.#recent.shift();
  }

  #introduceOnGpu(group: Group, gpu: Gpu): void {
    for (const other of gpu.latest.values())
      if (this.#neighbourhood.isNear(other, group)) this.#neighbourhood.meet(other, group, 'gpu');
    if (gpu.other && this.#neighbourhood.isNear(gpu.other, group))
      this.#neighbourhood.meet(gpu.other, group, 'gpu');
    if (labelsOfGpu.has(group.label)) gpu.latest.set(group.label, group);
    else if (typeof group.label === 'number') gpu.other = group;
    if (group.label === 154) return;
    if (takesAdvice(group.label)) gpu.trouble = group;
    gpu.unadvised.push(group);
    const { advice } = gpu;
    const hasClock = group.firstPlace.milliseconds !== undefined || group.firstPlace.uptimeSeconds !== null;
    if (
      hasClock &&
      advice?.epoch === group.epoch &&
      isWithin(advice.lastPlace, group.firstPlace, sameMomentSeconds)
    )
      announce(advice, group);
  }

  /** A line of a group, the first one or a later. */
  follow(group: Group, event: KernelEvent, place: Place): void {
    const { label } = group;
    if (label === 13 || label === 31) this.#noteDevice(label, event, place);
    if (event.pciAddress !== null) {
      const gpu = this.#gpu(event.pciAddress);
      if (label === 154) this.#advise(gpu, group);
      if (label === 162) this.#cancel(gpu, group);
      if (label === 163) group.cancelledBy = undefined;
    }
    const { pid } = event;
    if (pid === undefined) return;
    const isCleared = label === 43 || label === 45;
    const others = isCleared || group.isApplicationXid ? [this.#killedPids.get(pid)] : [];
    if (isCleared) others.push(this.#byPid.get(pid));
    for (const other of others) {
      const isNear =
        other &&
        other !== group &&
        epochOfMachine(other) === epochOfMachine(group) &&
        isWithin(other.lastPlace, place, this.#neighbourhood.windowSeconds);
      if (isNear) this.#neighbourhood.meet(other, group, 'process');
    }
    if (label === 'oom-kill') remember(this.#killedPids, pid, group);
    else if (typeof label === 'number' && !isCleared && label !== 154) remember(this.#byPid, pid, group);
  }

  /** The last Xid 154 of a GPU. */
  newestAdvice(device: string): Group | undefined {
    return this.#gpus.get(device)?.advice;
  }

  newestTrouble(device: string): Group | undefined {
    return this.#gpus.get(device)?.trouble;
  }

  /** On how many GPUs the same number came within a day of this group. */
  deviceCount(group: Group): number {
    const times = [...(this.#deviceTimes.get(group.label)?.values() ?? [])];
    return times.filter((time) => isWithin(time, group.lastPlace, 86_400)).length;
  }

  #gpu(device: string): Gpu {
    let gpu = this.#gpus.get(device);
    if (!gpu) {
      gpu = {
        latest: new Map(),
        other: undefined,
        unadvised: [],
        advice: undefined,
        trouble: undefined,
        epoch: 0,
      };
      this.#gpus.set(device, gpu);
    }
    return gpu;
  }

  #advise(gpu: Gpu, advice: Group): void {
    for (const group of gpu.unadvised)
      if (
        group.epoch === advice.epoch &&
        isWithin(group.lastPlace, advice.lastPlace, this.#neighbourhood.windowSeconds)
      )
        announce(advice, group);
    gpu.unadvised = [];
    // Of several Xid 154 of a GPU the newest is the driver's word: earlier ones are history.
    if (gpu.advice && gpu.advice !== advice) gpu.advice.isSuperseded = true;
    gpu.advice = advice;
  }

  /** Power smoothing is engaged again: that it was disengaged is over. Source: NVIDIA/NVSentinel#1252. */
  #cancel(gpu: Gpu, engaged: Group): void {
    const disengaged = gpu.latest.get(163);
    if (disengaged) disengaged.cancelledBy = engaged;
  }

  #noteDevice(label: Label, event: KernelEvent, place: Place): void {
    if (event.pciAddress === null) return;
    const times = this.#deviceTimes.get(label) ?? new Map<string, Place>();
    this.#deviceTimes.set(label, times);
    if (times.has(event.pciAddress) || times.size < maximumDevicesOfCode) times.set(event.pciAddress, place);
  }
}

const epochOfMachine = ({ epoch }: Group): string => epoch.slice(0, epoch.indexOf('.'));

function announce(advice: Group, group: Group): void {
  group.advice = advice;
  if (advice.announces.length < maximumAnnounced) advice.announces.push(group);
}

function remember(map: Map<number, Group>, pid: number, group: Group): void {
  map.delete(pid);
  map.set(pid, group);
  if (map.size <= maximumPids) return;
  const [oldest] = map.keys();
  if (oldest !== undefined) map.delete(oldest);
}
