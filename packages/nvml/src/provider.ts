import {
  type Clock,
  type Gap,
  GpuError,
  type GpuProvider,
  type GpuRef,
  type GpuSample,
  type GpuSection,
  gpuSections,
  isGpuError,
  type Logger,
  type NodeDescription,
  type ProviderManifest,
  silentLogger,
} from '@k8s-gpu-mcp/core';
import { gapReasonByCode } from './executor/errors.ts';
import { eventLoopHold, unreferencedClock } from './executor/event-loop.ts';
import { NvmlExecutor } from './executor/executor.ts';
import { defaultHelperPath, helperStarter } from './executor/helper-process.ts';
import { toGpuRef, unknownGpu } from './gpu-ref.ts';
import { isLibraryReplaced } from './helper/library-file.ts';

export interface NvmlProviderOptions {
  /** A libnvidia-ml to use instead of searching `nvmlLibraryCandidates`. */
  readonly library?: string;
  readonly clock?: Clock;
  readonly logger?: Logger;
  /** Without an answer for this long, the other GPUs are served by a second helper process. Default 2,000. */
  readonly stallMilliseconds?: number;
  /**
   * What makes no progress for this long counts as hung when its caller gives up; before, it was only not done in time. Default 5,000.
   */
  readonly hungAfterMilliseconds?: number;
  /** Hardware deadline for opening the driver and for finding a GPU; the process is killed past it. Default 15,000. */
  readonly openDeadlineMilliseconds?: number;
  /** Hardware deadline for reading a GPU, plus `readDeadlinePerGpuMilliseconds` for each GPU of the node. Default 5,000. */
  readonly readDeadlineMilliseconds?: number;
  /** Default 1,000. */
  readonly readDeadlinePerGpuMilliseconds?: number;
  /** How long the index, UUID and address of a GPU are taken as known. Default 10,000. */
  readonly identityMilliseconds?: number;
  /**
   * The helper process shuts NVML down and exits after this long without a call: an open client keeps the driver from being unloaded and a
   * GPU from being reset. Default 10,000: longer than a person or an agent takes from one question to the next, so that a conversation pays
   * for one start, and shorter than anybody waits before asking why `rmmod nvidia` fails.
   */
  readonly idleExitMilliseconds?: number;
  /** The built helper.js; only needed when the package is bundled. */
  readonly helperPath?: string;
  /** Added to the environment of the helper process. */
  readonly environment?: Readonly<Record<string, string>>;
}

const manifest: ProviderManifest = {
  contractVersion: 1,
  backend: 'nvml',
  vendor: 'nvidia',
  simulated: false,
  sections: gpuSections,
  mig: true,
};

/**
 * NVIDIA GPUs through libnvidia-ml. Nothing is loaded or started before the first call, and the library only ever lives in a helper
 * process, so a driver that hangs or crashes costs one answer and not the server.
 */
export function createNvmlProvider(options: NvmlProviderOptions = {}): NvmlProvider {
  return new HelperBackedProvider(options);
}

export interface NvmlProvider extends GpuProvider {
  /**
   * Lets go of the driver: every helper process is gone when it resolves, and calls in progress are rejected with CANCELLED. Later ones open
   * again. Before an unload of the driver.
   * @throws GpuError DRIVER_UNRESPONSIVE when a process cannot be ended, after at most 2.5 s
   */
  release(): Promise<void>;

  /**
   * The same, and later calls are rejected with UNAVAILABLE until the function it resolves with is called: nobody may open the driver in the
   * middle of a reset.
   * @throws GpuError DRIVER_UNRESPONSIVE when a process cannot be ended; calls then work as before
   */
  suspend(): Promise<() => void>;
}

class HelperBackedProvider implements NvmlProvider {
  readonly manifest = manifest;
  readonly #executor: NvmlExecutor;
  readonly #stallMilliseconds: number;
  readonly #clock: Clock;
  readonly #identityMilliseconds: number;
  /** What was last known of each GPU, and until when it need not be asked again. Names one that no longer answers. */
  #known: readonly Identity[] = [];
  readonly #suspensions = new Set<symbol>();

  constructor(options: NvmlProviderOptions) {
    this.#stallMilliseconds = options.stallMilliseconds ?? 2_000;
    this.#clock = options.clock ?? unreferencedClock;
    this.#identityMilliseconds = options.identityMilliseconds ?? 10_000;
    this.#executor = new NvmlExecutor({
      startHelper: helperStarter(options.helperPath ?? defaultHelperPath(), options.environment),
      library: options.library ?? null,
      isLibraryReplaced,
      clock: this.#clock,
      logger: options.logger ?? silentLogger,
      stallMilliseconds: this.#stallMilliseconds,
      openDeadlineMilliseconds: options.openDeadlineMilliseconds ?? 15_000,
      readDeadlineMilliseconds: options.readDeadlineMilliseconds ?? 5_000,
      readDeadlinePerGpuMilliseconds: options.readDeadlinePerGpuMilliseconds ?? 1_000,
      hungAfterMilliseconds: options.hungAfterMilliseconds ?? 5_000,
      idleExitMilliseconds: options.idleExitMilliseconds ?? 10_000,
      keepAlive: eventLoopHold(),
    });
  }

  async describeNode(signal: AbortSignal): Promise<NodeDescription> {
    this.#checkNotSuspended();
    const node = await this.#executor.submit({ kind: 'describe' }, { signal });
    if (this.#known.length !== node.gpuCount) {
      this.#known = Array.from({ length: node.gpuCount }, (_, index) => ({
        gpu: unknownGpu(index),
        validUntil: 0,
      }));
    }
    const found = await Promise.all(this.#known.map((known) => this.#identify(known, node.gpuCount, signal)));
    const { driverVersion, libraryVersion, computeApiVersion, driverBranch, confidentialComputingEnabled } =
      node;
    return {
      driverVersion,
      libraryVersion,
      computeApiVersion,
      driverBranch,
      confidentialComputingEnabled,
      gpus: found.map(({ gpu }) => ({ ...gpu })),
      gaps: [...node.gaps, ...found.flatMap(({ gaps }) => gaps)],
    };
  }

  async readGpu(gpu: GpuRef, sections: readonly GpuSection[], signal: AbortSignal): Promise<GpuSample> {
    this.#checkNotSuspended();
    const { index } = gpu;
    if (!Number.isInteger(index) || index < 0 || index > 0xffff) {
      throw new GpuError('GPU_NOT_FOUND', `${index} is not the index of a GPU`, { gpuId: String(index) });
    }
    const uuid = gpu.uuid ?? this.#known[index]?.gpu.uuid ?? null;
    return this.#executor.submit(
      { kind: 'read', index, uuid: gpu.uuid, sections, peers: [] },
      { signal, gpu: { ...gpu, uuid } },
    );
  }

  close(): Promise<void> {
    return this.#executor.close();
  }

  release(): Promise<void> {
    return this.#executor.release();
  }

  async suspend(): Promise<() => void> {
    const suspension = Symbol('suspension');
    this.#suspensions.add(suspension);
    const resume = () => void this.#suspensions.delete(suspension);
    try {
      await this.#executor.release();
    } catch (error) {
      resume();
      throw error;
    }
    return resume;
  }

  #checkNotSuspended(): void {
    if (this.#suspensions.size === 0) return;
    throw new GpuError('UNAVAILABLE', 'the driver is left alone while a GPU is reset', {
      hint: 'Ask again when the reset is over, within two minutes.',
    });
  }

  /** A GPU that cannot be identified, or not in time, is listed all the same, with what was known of it. */
  async #identify(
    { gpu: known, validUntil }: Identity,
    gpuCount: number,
    signal: AbortSignal,
  ): Promise<{ gpu: GpuRef; gaps: readonly Gap[] }> {
    const { index } = known;
    if (this.#clock.now() < validUntil) return { gpu: known, gaps: [] };
    // One that hangs is left to readGpu, which can say so; here it would only hold up the list.
    const patience = gpuCount > 1 ? { patienceMilliseconds: 2 * this.#stallMilliseconds } : {};
    try {
      const result = await this.#executor.submit(
        { kind: 'identify', index },
        { signal, gpu: known, ...patience },
      );
      const found = toGpuRef(index, result);
      const lifetime = found.gaps.length === 0 ? this.#identityMilliseconds : 0;
      this.#remember(found.gpu, this.#clock.now() + lifetime);
      return found;
    } catch (error) {
      if (!isGpuError(error) || error.code === 'CANCELLED') throw error;
      const reason = gapReasonByCode[error.code] ?? 'error';
      return { gpu: known, gaps: [{ gpu: index, field: 'identity', reason, detail: error.message }] };
    }
  }

  #remember(gpu: GpuRef, validUntil: number): void {
    this.#known = this.#known.map((known) => (known.gpu.index === gpu.index ? { gpu, validUntil } : known));
  }
}

interface Identity {
  readonly gpu: GpuRef;
  /** Milliseconds since 1970. */
  readonly validUntil: number;
}
