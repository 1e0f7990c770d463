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
  /** Hardware deadline for opening the driver and for finding a GPU; the process is killed past it. Default 15,000. */
  readonly openDeadlineMilliseconds?: number;
  /** Hardware deadline for reading a GPU, plus `readDeadlinePerGpuMilliseconds` for each GPU of the node. Default 5,000. */
  readonly readDeadlineMilliseconds?: number;
  /** Default 1,000. */
  readonly readDeadlinePerGpuMilliseconds?: number;
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
  /** What was last known of each GPU, to name one that no longer answers. */
  #known: readonly GpuRef[] = [];

  constructor(options: NvmlProviderOptions) {
    this.#stallMilliseconds = options.stallMilliseconds ?? 2_000;
    this.#executor = new NvmlExecutor({
      startHelper: helperStarter(options.helperPath ?? defaultHelperPath(), options.environment),
      library: options.library ?? null,
      clock: options.clock ?? unreferencedClock,
      logger: options.logger ?? silentLogger,
      stallMilliseconds: this.#stallMilliseconds,
      openDeadlineMilliseconds: options.openDeadlineMilliseconds ?? 15_000,
      readDeadlineMilliseconds: options.readDeadlineMilliseconds ?? 5_000,
      readDeadlinePerGpuMilliseconds: options.readDeadlinePerGpuMilliseconds ?? 1_000,
      idleExitMilliseconds: options.idleExitMilliseconds ?? 30_000,
      keepAlive: eventLoopHold(),
    });
  }

  async describeNode(signal: AbortSignal): Promise<NodeDescription> {
    const node = await this.#executor.submit({ kind: 'describe' }, { signal });
    const known = this.#known.length === node.gpuCount ? this.#known : [];
    const indexes = Array.from({ length: node.gpuCount }, (_, index) => index);
    const found = await Promise.all(
      indexes.map((index) => this.#identify(known[index] ?? unknownGpu(index), node.gpuCount, signal)),
    );
    this.#known = found.map(({ gpu }) => gpu);
    const { driverVersion, libraryVersion, computeApiVersion } = node;
    return {
      driverVersion,
      libraryVersion,
      computeApiVersion,
      gpus: found.map(({ gpu }) => ({ ...gpu })),
      gaps: [...node.gaps, ...found.flatMap(({ gaps }) => gaps)],
    };
  }

  async readGpu(gpu: GpuRef, sections: readonly GpuSection[], signal: AbortSignal): Promise<GpuSample> {
    const { index } = gpu;
    if (!Number.isInteger(index) || index < 0 || index > 0xffff) {
      throw new GpuError('GPU_NOT_FOUND', `${index} is not the index of a GPU`, { gpuId: String(index) });
    }
    const uuid = gpu.uuid ?? this.#known[index]?.uuid ?? null;
    return this.#executor.submit(
      { kind: 'read', index, uuid: gpu.uuid, sections },
      { signal, gpu: { ...gpu, uuid } },
    );
  }

  close(): Promise<void> {
    return this.#executor.close();
  }

  /** A GPU that cannot be identified is listed all the same, with what was known of it. */
  async #identify(
    known: GpuRef,
    gpuCount: number,
    signal: AbortSignal,
  ): Promise<{ gpu: GpuRef; gaps: readonly Gap[] }> {
    const { index } = known;
    // One that hangs is left to readGpu, which can say so; here it would only hold up the list.
    const patience = gpuCount > 1 ? { patienceMilliseconds: 2 * this.#stallMilliseconds } : {};
    try {
      const result = await this.#executor.submit(
        { kind: 'identify', index },
        { signal, gpu: known, ...patience },
      );
      return toGpuRef(index, result);
    } catch (error) {
      if (!isGpuError(error) || signal.aborted || error.code === 'CANCELLED') throw abortOf(error, signal);
      const reason = gapReasonByCode[error.code] ?? 'error';
      return { gpu: known, gaps: [{ gpu: index, field: 'identity', reason, detail: error.message }] };
    }
  }
}

const gapReasonByCode: Partial<Record<GpuErrorCode, GapReason>> = {
  NO_PERMISSION: 'no-permission',
  NOT_SUPPORTED: 'unsupported',
  GPU_LOST: 'gpu-lost',
  GPU_HUNG: 'timeout',
  TIMEOUT: 'timeout',
  DRIVER_UNRESPONSIVE: 'timeout',
};

/** A node is not one GPU: cut off while one was busy, it is out of time. */
function abortOf(error: unknown, signal: AbortSignal): unknown {
  if (!isGpuError(error) || !signal.aborted || error.code === 'CANCELLED') return error;
  return new GpuError('TIMEOUT', error.message, { cause: error });
}

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
