import type { KernelEvent } from '../domain/event.ts';
import { isAfter, keepLatest, type Latest, type Place, secondsBetween } from './timeline.ts';

/** Lines of one error that are no further apart than this are one burst. Source: NVSentinel, burst merge for Xid 13. */
const burstSeconds = 15;
const daySeconds = 86_400;
const maximumStarts = 64;
const maximumLinks = 64;
const maximumBursts = 32;

/** One burst of engine exceptions and the unit it was on; null when it was on several. */
interface UnitBurst {
  readonly start: Place;
  last: Place;
  unit: string | null;
}

/** How often one kind of error came on one device over the whole log. Bounded. */
export class Repetition {
  /**
   * Bursts, and runs within them as far as process ids tell; a log that is read twice does not count twice. Of Xid 31 runs alone, as the
   * vendor's workflow asks: one process that faults again is still one run.
   */
  occurrenceCount = 0;
  /** Between how many starts of machine or driver it came. */
  epochCount = 0;
  readonly latest: Latest<Place> = {};
  readonly #starts: Place[] = [];
  readonly #pids = new Set<number>();
  #linkTimes: Map<number, { count: number; last: Place }> | undefined;
  readonly #units: UnitBurst[] = [];
  #lastEpoch: string | undefined;
  #last: Place | undefined;

  /** `isNewBurst`: the event begins an incident. */
  add(event: KernelEvent, place: Place, epoch: string, isNewBurst: boolean): void {
    const isOtherRun = !isNewBurst && this.#isNewRun(event, place);
    const isSameRun = this.#isSameRun(event, epoch);
    if (event.pid !== undefined && this.#pids.size < maximumStarts) this.#pids.add(event.pid);
    if (epoch !== this.#lastEpoch) this.epochCount += 1;
    this.#lastEpoch = epoch;
    if ((isNewBurst || isOtherRun) && !isSameRun && !this.#isKnownStart(place)) {
      this.occurrenceCount += 1;
      this.#starts.push(place);
      if (this.#starts.length > maximumStarts) this.#starts.shift();
    }
    this.#last = place;
    keepLatest(this.latest, place);
    if (event.link !== undefined) this.#addLink(event.link, place);
    this.#addUnit(event, place);
  }

  /** Something of another kind that says that the same trouble is still there. */
  touch(place: Place): void {
    keepLatest(this.latest, place);
  }

  /** Another process, later than lines of one burst come: somebody started the work again. */
  #isNewRun({ pid }: KernelEvent, place: Place): boolean {
    if (pid === undefined || this.#pids.size === 0 || this.#pids.has(pid) || !this.#last) return false;
    return secondsBetween(this.#last, place) > burstSeconds;
  }

  #isSameRun({ xid, pid }: KernelEvent, epoch: string): boolean {
    return xid === 31 && pid !== undefined && this.#pids.has(pid) && epoch === this.#lastEpoch;
  }

  #isKnownStart(place: Place): boolean {
    return this.#starts.some((known) =>
      place.milliseconds !== undefined || known.milliseconds !== undefined
        ? known.milliseconds === place.milliseconds
        : place.uptimeSeconds !== null && known.uptimeSeconds === place.uptimeSeconds,
    );
  }

  #addLink(link: number, place: Place): void {
    this.#linkTimes ??= new Map();
    const known = this.#linkTimes.get(link);
    if (!known) {
      if (this.#linkTimes.size < maximumLinks) this.#linkTimes.set(link, { count: 1, last: place });
      return;
    }
    if (Math.abs(secondsBetween(known.last, place)) > burstSeconds) known.count += 1;
    known.last = place;
  }

  #addUnit({ xid, decoded }: KernelEvent, place: Place): void {
    if (xid !== 13 || typeof decoded?.['gpc'] !== 'number' || typeof decoded['tpc'] !== 'number') return;
    const unit = `${decoded['gpc']}.${decoded['tpc']}`;
    const burst = this.#units.at(-1);
    if (burst && Math.abs(secondsBetween(burst.last, place)) <= burstSeconds) {
      burst.last = place;
      if (burst.unit !== unit) burst.unit = null;
      return;
    }
    this.#units.push({ start: place, last: place, unit });
    if (this.#units.length > maximumBursts) this.#units.shift();
  }

  /** Occurrences in the 24 hours before the latest one, itself included. */
  get dailyCount(): number {
    return inLastDay(this.#starts, (start) => start).length;
  }

  /** How often the most affected link was hit at separate times. */
  get linkCount(): number {
    return Math.max(0, ...[...(this.#linkTimes?.values() ?? [])].map(({ count }) => count));
  }

  /**
   * Whether the bursts of the last 24 hours name the same GPC and TPC: at least two name one and no other, and most of them the same.
   * `undefined` when no line names any.
   */
  get isOnOneUnit(): boolean | undefined {
    const bursts = inLastDay(this.#units, ({ start }) => start);
    if (bursts.length === 0) return undefined;
    const counts = new Map<string, number>();
    for (const { unit } of bursts) if (unit !== null) counts.set(unit, (counts.get(unit) ?? 0) + 1);
    const most = Math.max(0, ...counts.values());
    return most >= 2 && most * 2 > bursts.length;
  }
}

function inLastDay<T>(list: readonly T[], toPlace: (item: T) => Place): readonly T[] {
  const [first] = list;
  if (first === undefined) return [];
  const latest = list.map(toPlace).reduce((best, place) => (isAfter(place, best) ? place : best));
  return list.filter((item) => Math.abs(secondsBetween(toPlace(item), latest)) <= daySeconds);
}
