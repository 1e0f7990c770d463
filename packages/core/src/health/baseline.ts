import { nvlinkCounters, sameLink } from '../diagnosis/interconnect.ts';
import { leafKind } from '../diagnosis/window.ts';
import { type GpuReading, type GpuSection, gpuSections } from '../domain/gpu.ts';
import { gpuSectionLeaves } from '../sample.ts';

const maximumGpus = 64;
const maximumAgeMilliseconds = 24 * 3_600_000;

type Values = Readonly<Record<string, unknown>>;

/** The leaves that only ever grow, until the driver is loaded anew or the GPU is reset. */
const counters: readonly (readonly [section: GpuSection, leaves: readonly string[]])[] = gpuSections
  .map((section) => [section, gpuSectionLeaves[section].filter((leaf) => counts(section, leaf))] as const)
  .filter(([, leaves]) => leaves.length > 0);

function counts(section: GpuSection, leaf: string): boolean {
  return ['counter', 'duty-cycle'].includes(leafKind(section, leaf));
}

function hasGoneBack(before: unknown, now: unknown): boolean {
  return typeof before === 'number' && typeof now === 'number' && now < before;
}

/** Whether counters began again between two readings of a GPU. */
export function countersWentBack(before: GpuReading, now: GpuReading): boolean {
  for (const [section, leaves] of counters) {
    const earlier = before[section] as Values | undefined;
    const later = now[section] as Values | undefined;
    if (leaves.some((leaf) => hasGoneBack(earlier?.[leaf], later?.[leaf]))) return true;
  }
  const links = now.nvlink?.links ?? [];
  return (before.nvlink?.links ?? []).some((earlier, position) => {
    const later = sameLink(links, earlier, position);
    return later && nvlinkCounters.some((counter) => hasGoneBack(earlier[counter], later[counter]));
  });
}

interface Entry {
  readonly first: GpuReading;
  readonly newest: GpuReading;
}

/**
 * What each GPU was like earlier, to tell what grew. Bounded: of at most 64 GPUs two readings each. It has no clock: the times of the
 * readings count. A history that no longer compares (counters began again, more than a day has passed, the clock was set back) is
 * dropped, and the next reading is the first of a new one.
 */
export class ReadingHistory {
  readonly #entries = new Map<string, Entry>();

  /** An earlier reading of the same GPU with which this one compares; undefined for the first. */
  baselineOf(reading: GpuReading): GpuReading | undefined {
    const entry = this.#entries.get(keyOf(reading));
    return entry && compares(entry, reading) ? entry.first : undefined;
  }

  /** Readings of a GPU that did not answer tell nothing of its counters and are not kept. */
  remember(reading: GpuReading): void {
    if (reading.state !== 'ok' || Number.isNaN(Date.parse(reading.observedAt))) return;
    const key = keyOf(reading);
    const entry = this.#entries.get(key);
    // Not deleted first to keep the newest last: a map that is written so makes itself anew again and again, and V8 keeps what was in the
    // earlier ones until the whole heap is collected.
    this.#entries.set(key, {
      first: entry && compares(entry, reading) && !tellsMore(reading, entry.first) ? entry.first : reading,
      newest: reading,
    });
    if (this.#entries.size > maximumGpus) this.#entries.delete(this.#leastRecent());
  }

  #leastRecent(): string {
    const times = [...this.#entries].map(
      ([key, { newest }]) => [Date.parse(newest.observedAt), key] as const,
    );
    return times.reduce((a, b) => (b[0] < a[0] ? b : a))[1];
  }
}

const keyOf = ({ gpu }: GpuReading) => gpu.uuid ?? `index ${gpu.index}`;

function compares({ first, newest }: Entry, reading: GpuReading): boolean {
  const at = Date.parse(reading.observedAt);
  return (
    at >= Date.parse(newest.observedAt) &&
    at - Date.parse(first.observedAt) <= maximumAgeMilliseconds &&
    !countersWentBack(newest, reading) &&
    (first === newest || !countersWentBack(first, reading))
  );
}

/** A question for a few sections must not stand in the place of one for all. */
function tellsMore(reading: GpuReading, than: GpuReading): boolean {
  const sectionsOf = (each: GpuReading) => gpuSections.filter((section) => each[section] !== undefined);
  const known = sectionsOf(than);
  const told = sectionsOf(reading);
  return told.length > known.length && known.every((section) => told.includes(section));
}
