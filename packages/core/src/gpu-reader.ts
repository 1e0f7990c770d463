import { awaitWithin } from './await-within.ts';
import type { Gap, GapReason } from './domain/gap.ts';
import type { GpuReading, GpuRef, GpuSection, GpuState, NodeDescription } from './domain/gpu.ts';
import { GpuError, type GpuErrorCode, isGpuError } from './errors.ts';
import type { GpuProvider, ProviderManifest } from './ports/gpu-provider.ts';
import type { Clock, Logger } from './ports/runtime.ts';

/** What becomes of a GPU whose read failed, and the gap reason for everything it would have told. */
const stateByCode: Partial<Record<GpuErrorCode, { readonly state: GpuState; readonly reason: GapReason }>> = {
  GPU_LOST: { state: 'lost', reason: 'gpu-lost' },
  GPU_HUNG: { state: 'hung', reason: 'timeout' },
  RESET_REQUIRED: { state: 'reset-required', reason: 'error' },
  NO_PERMISSION: { state: 'unreadable', reason: 'no-permission' },
  TIMEOUT: { state: 'unreadable', reason: 'timeout' },
  DRIVER_UNRESPONSIVE: { state: 'unreadable', reason: 'timeout' },
  NOT_SUPPORTED: { state: 'unreadable', reason: 'unsupported' },
};

/** The gap reason that stands for an error. */
export function gapReasonOf(error: GpuError): GapReason {
  return stateByCode[error.code]?.reason ?? 'error';
}

/**
 * The deep wrapper round a provider: asks every GPU at once, ends with the caller's signal, and turns what failed into states and gaps.
 * It never rejects for what the hardware does: seven good GPUs and a lost one is a result.
 */
export class GpuReader {
  readonly #provider: GpuProvider;
  readonly #clock: Clock;
  readonly #logger: Logger;

  constructor(provider: GpuProvider, clock: Clock, logger: Logger) {
    this.#provider = provider;
    this.#clock = clock;
    this.#logger = logger;
  }

  get manifest(): ProviderManifest {
    return this.#provider.manifest;
  }

  /** The node, or the error that keeps it from being read. */
  async describe(signal: AbortSignal): Promise<NodeDescription | GpuError> {
    try {
      return await this.#within(signal, this.#provider.describeNode(signal), undefined);
    } catch (error) {
      return this.#toGpuError(error, 'describeNode');
    }
  }

  /** One reading per GPU, in the order given, whatever became of it. What was not read when `signal` aborts is a state and a gap. */
  async readGpus(
    gpus: readonly GpuRef[],
    sections: readonly GpuSection[],
    signal: AbortSignal,
  ): Promise<readonly GpuReading[]> {
    // A signal for each GPU: one for all would gather more listeners than the runtime thinks sane.
    const reads = gpus.map((gpu) => ({ gpu, controller: new AbortController() }));
    const abort = () => {
      for (const { controller } of reads) controller.abort();
    };
    if (signal.aborted) abort();
    else signal.addEventListener('abort', abort, { once: true });
    try {
      return await Promise.all(
        reads.map(({ gpu, controller }) => this.#readOne(gpu, sections, controller.signal)),
      );
    } finally {
      signal.removeEventListener('abort', abort);
    }
  }

  async #readOne(gpu: GpuRef, sections: readonly GpuSection[], signal: AbortSignal): Promise<GpuReading> {
    try {
      const startedAt = this.#clock.now();
      const sample = await this.#within(signal, this.#provider.readGpu(gpu, sections, signal), gpu);
      const probeMilliseconds = sample.probeMilliseconds ?? Math.max(0, this.#clock.now() - startedAt);
      const { identity } = sample;
      const ref: GpuRef = {
        index: gpu.index,
        uuid: identity?.uuid ?? gpu.uuid,
        pciAddress: gpu.pciAddress,
        name: identity?.name ?? gpu.name,
      };
      return { ...sample, gpu: ref, state: 'ok', probeMilliseconds, observedAt: this.#timestamp() };
    } catch (thrown) {
      const error = this.#toGpuError(thrown, `readGpu ${gpu.index}`);
      const { state, reason } = stateByCode[error.code] ?? { state: 'unreadable', reason: 'error' };
      const gaps: Gap[] = sections.map((field) => ({ gpu: gpu.index, field, reason, detail: error.message }));
      return {
        gpu,
        state,
        stateDetail: error.message,
        errorCode: error.code,
        observedAt: this.#timestamp(),
        gaps,
      };
    }
  }

  #within<T>(signal: AbortSignal, work: Promise<T>, gpu: GpuRef | undefined): Promise<T> {
    return awaitWithin(work, signal, this.#clock, () => {
      const { backend } = this.manifest;
      this.#logger.warn('provider ignored its deadline', { backend, gpu: gpu?.index });
      if (!gpu) return new GpuError('TIMEOUT', 'the driver did not answer within the deadline');
      const gpuId = String(gpu.index);
      return new GpuError('GPU_HUNG', `no answer for GPU ${gpuId} within the deadline`, { gpuId });
    });
  }

  #toGpuError(error: unknown, operation: string): GpuError {
    if (isGpuError(error)) return error;
    this.#logger.error('the GPU adapter failed', { backend: this.manifest.backend, operation, error });
    return new GpuError('INTERNAL', `the ${this.manifest.backend} adapter failed in ${operation}`, {
      cause: error,
    });
  }

  #timestamp(): string {
    return new Date(this.#clock.now()).toISOString();
  }
}
