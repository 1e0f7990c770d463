import {
  type Clock,
  formatPciAddress,
  type Gap,
  type GapReason,
  GpuError,
  type GpuErrorCode,
  type GpuProvider,
  type GpuRef,
  type GpuSample,
  type GpuSection,
  gpuSections,
  isGpuError,
  type Logger,
  type NodeDescription,
  type ProviderManifest,
  parsePciAddress,
  silentLogger,
} from '@k8s-gpu-mcp/core';
import { NvmlExecutor } from './executor.ts';
import { defaultHelperPath, helperStarter } from './helper-process.ts';
import type { IdentifyResult } from './protocol.ts';

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
  /** The helper process shuts NVML down and exits after this long without a call. Default 30,000. */
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
export function createNvmlProvider(options: NvmlProviderOptions = {}): GpuProvider {
  return new NvmlProvider(options);
}

class NvmlProvider implements GpuProvider {
  readonly manifest = manifest;
  readonly #executor: NvmlExecutor;
  readonly #stallMilliseconds: number;
  readonly #clock: Clock;
  readonly #identityMilliseconds: number;
  /** What was last known of each GPU, and until when it need not be asked again. Names one that no longer answers. */
  #known: readonly Identity[] = [];

  constructor(options: NvmlProviderOptions) {
    this.#stallMilliseconds = options.stallMilliseconds ?? 2_000;
    this.#clock = options.clock ?? unreferencedClock;
    this.#identityMilliseconds = options.identityMilliseconds ?? 10_000;
    this.#executor = new NvmlExecutor({
      startHelper: helperStarter(options.helperPath ?? defaultHelperPath(), options.environment),
      library: options.library ?? null,
      clock: this.#clock,
      logger: options.logger ?? silentLogger,
      stallMilliseconds: this.#stallMilliseconds,
      openDeadlineMilliseconds: options.openDeadlineMilliseconds ?? 15_000,
      readDeadlineMilliseconds: options.readDeadlineMilliseconds ?? 5_000,
      readDeadlinePerGpuMilliseconds: options.readDeadlinePerGpuMilliseconds ?? 1_000,
      hungAfterMilliseconds: options.hungAfterMilliseconds ?? 5_000,
      idleExitMilliseconds: options.idleExitMilliseconds ?? 30_000,
      keepAlive: eventLoopHold(),
    });
  }

  async describeNode(signal: AbortSignal): Promise<NodeDescription> {
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

const gapReasonByCode: Partial<Record<GpuErrorCode, GapReason>> = {
  NO_PERMISSION: 'no-permission',
  NOT_SUPPORTED: 'unsupported',
  GPU_LOST: 'gpu-lost',
  GPU_HUNG: 'timeout',
  TIMEOUT: 'timeout',
  DRIVER_UNRESPONSIVE: 'timeout',
};

function unknownGpu(index: number): GpuRef {
  return { index, uuid: null, pciAddress: null, name: null };
}

function toGpuRef(index: number, { uuid, busId, name, gaps }: IdentifyResult) {
  const address = busId === null ? undefined : parsePciAddress(busId);
  const gpu: GpuRef = {
    index,
    uuid,
    pciAddress: address === undefined ? null : formatPciAddress(address),
    name,
  };
  if (busId === null || address !== undefined) return { gpu, gaps };
  const detail = `nvmlDeviceGetPciInfo_v3: ${JSON.stringify(busId)} is not a PCI address`;
  return { gpu, gaps: [...gaps, { gpu: index, field: 'pciAddress', reason: 'error' as const, detail }] };
}

/** Timers that never keep the process alive; `eventLoopHold` does while somebody waits. */
const unreferencedClock: Clock = {
  now: () => Date.now(),
  after(milliseconds, callback) {
    const timer = setTimeout(callback, milliseconds);
    timer.unref();
    return () => clearTimeout(timer);
  },
};

function eventLoopHold(): (isNeeded: boolean) => void {
  let timer: NodeJS.Timeout | undefined;
  return (isNeeded) => {
    if (isNeeded) timer ??= setInterval(() => {}, 2 ** 30);
    else {
      clearInterval(timer);
      timer = undefined;
    }
  };
}
