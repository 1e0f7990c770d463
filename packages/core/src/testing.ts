import type { KernelLogRecord } from './domain/event.ts';
import {
  type GpuRef,
  type GpuSample,
  type GpuSection,
  gpuSections,
  type NodeDescription,
} from './domain/gpu.ts';
import { GpuError } from './errors.ts';
import type { GpuProvider, ProviderManifest } from './ports/gpu-provider.ts';
import type { KernelLog, KernelLogCoverage, KernelLogRequest } from './ports/kernel-log.ts';
import type { Clock } from './ports/runtime.ts';

export {
  type InMemoryGpuControlOptions,
  type InMemoryProcess,
  inMemoryAuditLog,
  inMemoryGpuControl,
  inMemoryProcessControl,
} from './testing/in-memory-control.ts';
export { inMemoryGpuEventSource } from './testing/in-memory-events.ts';
export { inMemoryHostDevices, inMemoryHostProcesses } from './testing/in-memory-host.ts';

export interface StubGpu {
  readonly ref?: Partial<GpuRef>;
  /** What readGpu returns; an error is thrown, `'hang'` never answers until the signal aborts. */
  readonly sample?: GpuSample | GpuError | 'hang';
}

export interface StubProviderOptions {
  readonly gpus?: readonly StubGpu[];
  readonly describe?: Partial<NodeDescription> | GpuError | 'hang';
  readonly manifest?: Partial<ProviderManifest>;
}

function hangUntil(signal: AbortSignal, code: 'GPU_HUNG' | 'TIMEOUT', gpuId?: string): Promise<never> {
  return new Promise((_, reject) => {
    const fail = () =>
      reject(new GpuError(code, 'no answer from the driver', gpuId === undefined ? {} : { gpuId }));
    if (signal.aborted) fail();
    else signal.addEventListener('abort', fail, { once: true });
  });
}

function onlySections(sample: GpuSample, sections: readonly GpuSection[]): GpuSample {
  const asked = new Set<string>(sections);
  const { gaps, probeMilliseconds, ...readings } = sample;
  return {
    ...(probeMilliseconds === undefined ? {} : { probeMilliseconds }),
    ...Object.fromEntries(Object.entries(readings).filter(([section]) => asked.has(section))),
    gaps: gaps.filter(({ field }) => asked.has(field.split('.', 1)[0] ?? '')),
  };
}

/** A provider made of plain data, for tests of what stands on the port. It counts its calls. */
export function stubProvider(options: StubProviderOptions = {}): GpuProvider & {
  readonly calls: { describeNode: number; readGpu: number; close: number };
} {
  const gpus = options.gpus ?? [];
  const refs: GpuRef[] = gpus.map((gpu, index) => ({
    index,
    uuid: `GPU-00000000-0000-0000-0000-${index.toString().padStart(12, '0')}`,
    pciAddress: `0000:${(0x10 + index).toString(16)}:00.0`,
    name: 'Stub GPU',
    ...gpu.ref,
  }));
  const calls = { describeNode: 0, readGpu: 0, close: 0 };
  return {
    calls,
    manifest: {
      contractVersion: 1,
      backend: 'stub',
      vendor: 'nvidia',
      simulated: true,
      sections: gpuSections,
      mig: false,
      ...options.manifest,
    },
    async describeNode(signal) {
      calls.describeNode += 1;
      const describe = options.describe;
      if (describe === 'hang') return hangUntil(signal, 'TIMEOUT');
      if (describe instanceof GpuError) throw describe;
      return {
        driverVersion: '580.159.04',
        libraryVersion: '13.580.159.04',
        computeApiVersion: '13.0',
        driverBranch: 'r580_00',
        confidentialComputingEnabled: false,
        gpus: refs,
        gaps: [],
        ...describe,
      };
    },
    async readGpu(gpu, sections, signal) {
      calls.readGpu += 1;
      const sample = gpus[gpu.index]?.sample;
      if (sample === undefined) throw new GpuError('GPU_NOT_FOUND', `no GPU ${gpu.index}`);
      if (sample === 'hang') return hangUntil(signal, 'GPU_HUNG', String(gpu.index));
      if (sample instanceof GpuError) throw sample;
      return onlySections(sample, sections);
    },
    async close() {
      calls.close += 1;
    },
  };
}

/** A clock that a test moves. */
export interface FixedClock extends Clock {
  /** Runs what is due on the way, in order. */
  advance(milliseconds: number): void;
}

/** A clock that stands still until the test moves it; callbacks run when `advance` passes their time. */
export function fixedClock(startAt = '2026-01-01T00:00:00.000Z'): FixedClock {
  let now = Date.parse(startAt);
  let timers: { at: number; callback: () => void }[] = [];
  return {
    now: () => now,
    after(milliseconds, callback) {
      const timer = { at: now + milliseconds, callback };
      timers.push(timer);
      return () => {
        timers = timers.filter((other) => other !== timer);
      };
    },
    advance(milliseconds) {
      const until = now + milliseconds;
      for (;;) {
        const due = timers.filter((timer) => timer.at <= until).sort((a, b) => a.at - b.at)[0];
        if (!due) break;
        timers = timers.filter((other) => other !== due);
        now = due.at;
        due.callback();
      }
      now = until;
    },
  };
}

/** A kernel log held in memory. */
export function inMemoryKernelLog(
  records: readonly KernelLogRecord[],
  coverage: Partial<KernelLogCoverage> = {},
): KernelLog {
  return {
    async read(request: KernelLogRequest) {
      if (request.signal.aborted) throw new GpuError('TIMEOUT', 'reading the kernel log was cut off');
      const since = request.since;
      return {
        records:
          since === undefined
            ? records
            : records.filter((record) => record.at === null || record.at >= since),
        coverage: {
          source: 'memory',
          readable: true,
          from: records[0]?.at ?? null,
          to: records.at(-1)?.at ?? null,
          ...coverage,
        },
      };
    },
  };
}
