import { type EventSeverity, eventSeverities } from '../domain/event.ts';
import type { Clock } from '../ports/runtime.ts';
import type { GpuNodeEvent, NodeEventSource, ObservedEvent } from './node-event.ts';

/** More open events than this at once, and the oldest is told to its end early. */
const maximumOpenEvents = 256;

/** An event whose window has not ended. */
interface OpenEvent {
  told: GpuNodeEvent;
  /** What is known by now. */
  known: GpuNodeEvent;
  /** How often each source told of it. Both tell of every occurrence, so the higher count is right. */
  readonly counts: Map<NodeEventSource, number>;
  /** How each source judged it last. */
  readonly judgements: Map<NodeEventSource, string>;
  cancelTimer: () => void;
}

/**
 * Makes one event of what driver and kernel log tell of the same thing, and of its repeats. Events are told at once: a person who watches
 * must not wait for a twin that may never come. The twin and the repeats are then swallowed and gathered, and told as one revision when
 * the window ends; only if they make the event worse, a revision is told right away.
 */
export class EventMerger {
  readonly #clock: Clock;
  readonly #windowMilliseconds: number;
  readonly #tell: (event: GpuNodeEvent) => void;
  readonly #open = new Map<string, Set<OpenEvent>>();
  #openCount = 0;
  #lastId = 0;

  constructor(clock: Clock, windowMilliseconds: number, tell: (event: GpuNodeEvent) => void) {
    this.#clock = clock;
    this.#windowMilliseconds = windowMilliseconds;
    this.#tell = tell;
  }

  accept({ source, ...event }: ObservedEvent): void {
    const key = keyOf(event);
    let same: OpenEvent | undefined;
    for (const open of this.#open.get(key) ?? []) {
      if (!isSame(open, source, event)) continue;
      same ??= open;
      // The one that still lacks its twin first.
      if (open.counts.has(source)) continue;
      same = open;
      break;
    }
    if (same) this.#gather(same, source, event);
    else this.#start(key, source, event);
  }

  /** Tells everything that is still open to its end. */
  flush(): void {
    for (const [key, group] of this.#open) for (const open of group) this.#close(key, open);
  }

  /** Forgets what is open. */
  dispose(): void {
    for (const group of this.#open.values()) for (const open of group) open.cancelTimer();
    this.#open.clear();
    this.#openCount = 0;
  }

  #start(key: string, source: NodeEventSource, event: Omit<ObservedEvent, 'source'>): void {
    if (this.#openCount >= maximumOpenEvents) this.#closeOldest();
    this.#lastId += 1;
    const told: GpuNodeEvent = { id: this.#lastId, revision: 0, ...event, sources: [source] };
    const open: OpenEvent = {
      told,
      known: told,
      counts: new Map([[source, event.repeatCount]]),
      judgements: new Map([[source, judgementOf(event)]]),
      cancelTimer: () => {},
    };
    const group = this.#open.get(key) ?? new Set();
    group.add(open);
    this.#open.set(key, group);
    this.#openCount += 1;
    open.cancelTimer = this.#clock.after(this.#windowMilliseconds, () => this.#close(key, open));
    this.#tell(told);
  }

  #gather(open: OpenEvent, source: NodeEventSource, event: Omit<ObservedEvent, 'source'>): void {
    const isTwin = !open.counts.has(source);
    open.counts.set(source, (open.counts.get(source) ?? 0) + event.repeatCount);
    open.judgements.set(source, judgementOf(event));
    const { known } = open;
    // The line of the log has the details that the driver's number lacks: process, link, decoded registers, and so the better judgement.
    const details = isTwin && source === 'kernel-log' ? event : {};
    open.known = {
      ...event,
      ...known,
      ...details,
      at: isBefore(event.at, known.at) ? event.at : known.at,
      gpu: known.gpu ?? event.gpu,
      pciAddress: known.pciAddress ?? event.pciAddress,
      sources: isTwin ? [...known.sources, source].sort() : known.sources,
      repeatCount: Math.max(...open.counts.values()),
    };
    if (rank(open.known.severity) < rank(open.told.severity)) this.#revise(open);
  }

  #close(key: string, open: OpenEvent): void {
    const group = this.#open.get(key);
    if (!group?.delete(open)) return;
    if (group.size === 0) this.#open.delete(key);
    this.#openCount -= 1;
    open.cancelTimer();
    if (open.known !== open.told) this.#revise(open);
  }

  #closeOldest(): void {
    const [[key, group] = []] = this.#open;
    const [oldest] = group ?? [];
    if (key !== undefined && oldest) this.#close(key, oldest);
  }

  #revise(open: OpenEvent): void {
    const revised = { ...open.known, revision: open.told.revision + 1 };
    open.told = revised;
    open.known = revised;
    this.#tell(revised);
  }
}

/** What a program wrote never mixes with what the kernel or the driver said. */
function keyOf(event: Omit<ObservedEvent, 'source'>): string {
  const { kind, xid, sxid, gpu, pciAddress, switchIndex, value, trusted } = event;
  // The address comes with the line and needs no inventory.
  const device = pciAddress ?? (gpu ? `gpu ${gpu.index}` : `switch ${switchIndex}`);
  return JSON.stringify([kind, xid ?? sxid ?? value ?? null, device, trusted === false]);
}

const distinguishing = ['gpuInstanceId', 'computeInstanceId', 'pid', 'link'] as const;

/** What one side does not tell may be the same; and one source that judges differently than before tells of something else. */
function isSame(open: OpenEvent, source: NodeEventSource, event: Omit<ObservedEvent, 'source'>): boolean {
  const agrees = distinguishing.every((field) => {
    const [known, told] = [open.known[field], event[field]];
    return known === undefined || told === undefined || known === told;
  });
  const before = open.judgements.get(source);
  return agrees && (before === undefined || before === judgementOf(event));
}

const judgementOf = ({ severity, action }: Omit<ObservedEvent, 'source'>) => `${severity} ${action}`;
const rank = (severity: EventSeverity) => eventSeverities.indexOf(severity);
const isBefore = (time: string, other: string) => Date.parse(time) < Date.parse(other);
