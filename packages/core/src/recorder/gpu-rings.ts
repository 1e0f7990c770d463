import type { GpuRef } from '../domain/gpu.ts';
import type { RecordedSample } from '../ports/recorder-store.ts';
import type { RecorderOptions } from './options.ts';
import { GpuRing } from './ring.ts';

interface KeptGpu {
  ref: GpuRef;
  readonly ring: GpuRing;
}

/** Any of these says which GPU is meant. */
export type GpuKey = Pick<GpuRef, 'index' | 'uuid'>;

/** A ring for each GPU, made when it is first seen, and never more of them than allowed. */
export class GpuRings {
  readonly #options: RecorderOptions;
  #kept: KeptGpu[] = [];
  readonly #refused = new Set<string>();

  constructor(options: RecorderOptions) {
    this.#options = options;
  }

  /** As they were last seen, in index order. */
  get gpus(): readonly GpuRef[] {
    return this.#kept.map(({ ref }) => ref).toSorted((a, b) => a.index - b.index);
  }

  get bytes(): number {
    return this.#kept.reduce((sum, { ring }) => sum + ring.bytes, 0);
  }

  /** GPUs that were seen and are not recorded, as there are too many. */
  get refusedCount(): number {
    return this.#refused.size;
  }

  /** Infinity before the first sample. */
  get firstAtMilliseconds(): number {
    return Math.min(...this.#kept.map(({ ring }) => ring.firstAtMilliseconds));
  }

  /** -Infinity before the first sample. */
  get lastAtMilliseconds(): number {
    return Math.max(...this.#kept.map(({ ring }) => ring.lastAtMilliseconds));
  }

  find(gpu: GpuKey): GpuRing | undefined {
    return this.#find(gpu)?.ring;
  }

  /** The GPU's ring, made if need be. `present` are the GPUs of the node now: one that is gone makes room for one that came. */
  take(ref: GpuRef, present: readonly GpuRef[]): GpuRing | undefined {
    const kept = this.#find(ref);
    if (kept) {
      // A GPU that fell off the bus no longer tells its name; it is not to lose it.
      kept.ref = {
        index: ref.index,
        uuid: ref.uuid ?? kept.ref.uuid,
        pciAddress: ref.pciAddress ?? kept.ref.pciAddress,
        name: ref.name ?? kept.ref.name,
      };
      return kept.ring;
    }
    if (this.#kept.length >= this.#options.maximumGpus && !this.#dropAbsent(present)) {
      if (this.#refused.size < 1_024) this.#refused.add(ref.uuid ?? String(ref.index));
      return undefined;
    }
    const ring = new GpuRing(this.#options);
    this.#kept.push({ ref, ring });
    return ring;
  }

  /** As `take`, for what a store gives back. */
  takeStored({ gpuUuid, gpuIndex }: RecordedSample): GpuRing | undefined {
    const uuid = gpuUuid === '' ? null : gpuUuid;
    return this.take({ index: gpuIndex, uuid, pciAddress: null, name: null }, []);
  }

  shift(milliseconds: number): void {
    for (const { ring } of this.#kept) ring.shift(milliseconds);
  }

  /** By UUID. Without one by index, as the driver does not tell the UUID of a GPU it has lost; also before its UUID was first read. */
  #find({ index, uuid }: GpuKey): KeptGpu | undefined {
    if (uuid === null) {
      const atIndex = this.#kept.filter(({ ref }) => ref.index === index);
      return atIndex.toSorted((a, b) => b.ring.lastAtMilliseconds - a.ring.lastAtMilliseconds)[0];
    }
    return (
      this.#kept.find(({ ref }) => ref.uuid === uuid) ??
      this.#kept.find(({ ref }) => ref.uuid === null && ref.index === index)
    );
  }

  #dropAbsent(present: readonly GpuRef[]): boolean {
    const isPresent = ({ ref }: KeptGpu) =>
      present.some(({ uuid, index }) => (uuid === null ? index === ref.index : uuid === ref.uuid));
    const [oldest] = this.#kept
      .filter((kept) => !isPresent(kept))
      .toSorted((a, b) => a.ring.lastAtMilliseconds - b.ring.lastAtMilliseconds);
    if (!oldest || present.length === 0) return false;
    this.#kept = this.#kept.filter((kept) => kept !== oldest);
    return true;
  }
}
