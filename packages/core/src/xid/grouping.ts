import type { KernelEvent } from '../domain/event.ts';
import { absorbGroup, addEvidence, type Group, growGroup, startGroup } from './group.ts';
import { Machine, Neighbourhood } from './neighbourhood.ts';
import { Repetition } from './repetition.ts';
import { isNewBoot, isWithin, type Latest, type Place, placeOf, type Restart } from './timeline.ts';

export interface Grouped {
  /** In the order in which they began. */
  readonly groups: readonly Group[];
  /** The newest starts, by machine and, for a single GPU, by its key. */
  readonly restarts: ReadonlyMap<string, Latest<Restart>>;
  readonly machines: ReadonlyMap<string, Machine>;
}

/** The device within its machine; empty when the line names none. */
export const deviceOf = ({ pciAddress, switchIndex }: KernelEvent): string =>
  pciAddress ?? (switchIndex === undefined ? '' : `switch ${switchIndex}`);

function keyOf(event: KernelEvent, kind: string, code: number | undefined, machine: string): string {
  const writer = event.trusted === false ? 'untrusted' : '';
  return `${kind} ${code ?? ''} ${deviceOf(event)} ${writer} ${machine}`;
}

export const restartKey = (machine: string, device?: string): string => `${device ?? ''} ${machine}`;

/**
 * One pass over the events, in log order: repeats of one kind, number and device within the window are one group, unless machine or driver
 * was started between them. What happens near in time is introduced to each other on the way. Time grows with the events, not with their
 * square; memory with the groups.
 */
export class Grouper {
  readonly #windowSeconds: number;
  readonly #isOneMachine: boolean;
  readonly #groups: Group[] = [];
  readonly #open = new Map<string, Group>();
  readonly #repetitions = new Map<string, Repetition>();
  readonly #machines = new Map<string, Machine>();
  readonly #uuids = new Map<string, string>();
  #now = Number.NEGATIVE_INFINITY;
  #order = 0;

  /** Two files may be two machines, and the same address is in every machine of a fleet: unless told otherwise, they are. */
  constructor(windowSeconds: number, isOneMachine: boolean) {
    this.#windowSeconds = windowSeconds;
    this.#isOneMachine = isOneMachine;
  }

  push(event: KernelEvent): void {
    const place = placeOf(event, this.#order++);
    const machine = this.#machine(event);
    if (event.trusted !== false) this.#readContext(machine, event, place);
    if (isContext(event)) return;
    this.#now = place.milliseconds ?? this.#now;
    const group = this.#place(machine, event, place);
    if (event.trusted === false || !group) return;
    machine.follow(group, event, place);
    if (event.xid !== 154 || !event.pciAddress) return;
    const isTakenBack = event.decoded?.['recoveryTo'] === 0 && event.decoded['recoveryFrom'] !== 0;
    if (isTakenBack) machine.restart({ kind: 'recovery', ...place }, event.pciAddress);
  }

  finish(): Grouped {
    const restarts = new Map<string, Latest<Restart>>();
    for (const [name, machine] of this.#machines) {
      for (const [device, latest] of machine.restarts) restarts.set(restartKey(name, device), latest);
    }
    return { groups: this.#groups, restarts, machines: this.#machines };
  }

  #nameOf({ file }: KernelEvent): string {
    return this.#isOneMachine ? '' : (file ?? '');
  }

  #machine(event: KernelEvent): Machine {
    const name = this.#nameOf(event);
    let machine = this.#machines.get(name);
    if (!machine) {
      machine = new Machine(new Neighbourhood(this.#windowSeconds));
      this.#machines.set(name, machine);
    }
    return machine;
  }

  #readContext(machine: Machine, event: KernelEvent, place: Place): void {
    const { gpuUuid, pciAddress, bootId, kind } = event;
    if (gpuUuid && pciAddress) this.#uuids.set(`${pciAddress} ${this.#nameOf(event)}`, gpuUuid);
    const now = { ...place, bootId };
    if (machine.previous && isNewBoot(machine.previous, now)) machine.restart({ kind: 'boot', ...place });
    machine.previous = now;
    if (kind === 'driver-load' || kind === 'boot') machine.restart({ kind, ...place });
    // A GPU that cannot be brought up again has not come back.
    if ((kind === 'init-failure' || kind === 'bus-loss') && pciAddress)
      this.#repetitions.get(keyOf(event, 'xid', 79, this.#nameOf(event)))?.touch(place);
  }

  #place(machine: Machine, event: KernelEvent, place: Place): Group | undefined {
    const epoch = machine.epochOf(event.pciAddress, place);
    const lost =
      event.kind === 'bus-loss' ? this.#open.get(keyOf(event, 'xid', 79, this.#nameOf(event))) : undefined;
    if (lost && event.pciAddress && this.#continues(lost, place, epoch)) {
      lost.last = event;
      lost.lastPlace = place;
      lost.lastTime = this.#now;
      addEvidence(lost, event);
      return undefined;
    }
    const key = keyOf(event, event.kind, event.xid ?? event.sxid, this.#nameOf(event));
    let repetition = this.#repetitions.get(key);
    if (!repetition) {
      repetition = new Repetition();
      this.#repetitions.set(key, repetition);
    }
    const open = this.#open.get(key);
    const isSame = open !== undefined && this.#continues(open, place, epoch);
    repetition.add(event, place, epoch, !isSame);
    if (isSame) {
      growGroup(open, event, place);
      open.lastTime = this.#now;
      return open;
    }
    const started = startGroup(event, place, {
      order: this.#groups.length,
      machine: this.#nameOf(event),
      epoch,
      lastTime: this.#now,
      uuid: event.gpuUuid ?? this.#uuids.get(`${event.pciAddress} ${this.#nameOf(event)}`),
      repetition,
    });
    this.#open.set(key, started);
    this.#groups.push(started);
    if (event.xid === 79) this.#absorbEarlierLoss(started);
    machine.introduce(started);
    return started;
  }

  #continues(group: Group, place: Place, epoch: string): boolean {
    return group.epoch === epoch && isWithin(group.lastPlace, place, this.#windowSeconds);
  }

  /** The text lines can come before the Xid 79 they tell the same as. */
  #absorbEarlierLoss(xid79: Group): void {
    const key = keyOf(xid79.subject, 'bus-loss', undefined, xid79.machine);
    const loss = this.#open.get(key);
    if (!xid79.subject.pciAddress || !loss || loss.count === 0) return;
    if (!this.#continues(loss, xid79.firstPlace, xid79.epoch)) return;
    absorbGroup(xid79, loss);
    this.#open.delete(key);
  }
}

/** Whether an event only tells which GPU, driver or boot the others are about: nothing went wrong. */
export function isContext({ kind }: KernelEvent): boolean {
  return kind === 'gpu-identity' || kind === 'driver-load' || kind === 'boot';
}
