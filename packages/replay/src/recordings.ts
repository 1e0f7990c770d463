import type {
  Citation,
  GpuError,
  GpuProvider,
  GpuReading,
  HostDevices,
  HostProcesses,
  KernelEvent,
  KernelLog,
  KernelLogRecord,
} from '@k8s-gpu-mcp/core';
import type { SmiCapture, UnreadPart } from './recording.ts';

/** A file, or a stream such as standard input. */
export type RecordingInput =
  | { readonly name: string; readonly path: string }
  | { readonly name: string; readonly stream: AsyncIterable<Uint8Array> };

/** Where a reader gets bytes from. */
export type TextSource =
  | { readonly path: string }
  | { readonly stream: AsyncIterable<Uint8Array>; readonly name: string };

export interface ReadLimits {
  readonly signal?: AbortSignal;
  /** Gzip data that inflates to more is given up there. */
  readonly maximumInflatedBytes?: number;
}

/** What knows of files and compression: `@k8s-gpu-mcp/host-linux` has both. Adapters do not import each other, so they are handed in. */
export interface ReplayReaders {
  /** Inflated UTF-8 text. A chunk is valid only until the next one is asked for. Throws `GpuError`, after what could be read. */
  readText(source: TextSource, limits: ReadLimits): AsyncIterable<Buffer>;
  /** The fast way through a plain kernel log of any size. Throws `GpuError`, after the records that could be read. */
  scanKernelLog(
    source: TextSource,
    options: ReadLimits & { readonly nowMilliseconds?: number },
  ): AsyncIterable<KernelLogRecord>;
}

export interface OpenRecordingsOptions extends ReadLimits {
  /** Milliseconds since 1970 (UTC), for log times without a year; default: now. */
  readonly nowMilliseconds?: number;
  /** Kernel records kept, the newest; default 200,000. */
  readonly maximumRecords?: number;
  /** A section (one run of nvidia-smi, one JSON document) that is longer is cut and listed; default 64 MiB of text. */
  readonly maximumSectionCharacters?: number;
}

export const recordedFormats = [
  'kernel log',
  'nvidia-smi',
  'nvidia-smi -q',
  'nvidia-smi -q -x',
  'nvidia-smi -L',
  'nvidia-smi nvlink',
  'nvidia-smi topo -m',
  'nvidia-bug-report',
  'dcgmi diag',
  'fabric manager log',
  'lspci',
  'ps',
  'program log',
] as const;
export type RecordedFormat = (typeof recordedFormats)[number];

/** What became of one input. */
export interface RecordedFile {
  readonly name: string;
  /** Everything that was found in it, by content. Empty when nothing was recognised. */
  readonly formats: readonly RecordedFormat[];
  readonly gpuCount: number;
  /** GPU-related kernel records. */
  readonly recordCount: number;
  /** Null for a plain kernel log, whose lines are not counted one by one. */
  readonly lineCount: number | null;
  /** Bounded; the last one says how many more there were. */
  readonly unread: readonly UnreadPart[];
  /** Why it could not be read, or not to its end. What came before counts. */
  readonly error?: GpuError;
}

/** One test of `dcgmi diag` on one GPU. */
export interface DiagnosticTestResult {
  /** As DCGM names it; letters, digits, spaces and `/_-` only. */
  readonly test: string;
  /** DCGM's number of the GPU; null for a test of the node. */
  readonly gpu: number | null;
  readonly status: 'pass' | 'fail' | 'warn' | 'skip' | 'unknown';
  /** What the tool says about it, capped. Untrusted. */
  readonly warning?: string;
  readonly citation: Citation;
}

/** A run of nvidia-smi that told only why it failed. */
export interface DriverFailure {
  readonly kind: NonNullable<SmiCapture['failure']>['kind'];
  readonly citation: Citation;
}

/** The read ports over files, and what files have that no live port gives. */
export interface Recordings {
  /** The newest capture of each GPU. */
  readonly gpuProvider: GpuProvider;
  readonly kernelLog: KernelLog;
  /** From `lspci`; absent without one. */
  readonly hostDevices?: HostDevices;
  /** From `ps`; absent without one. */
  readonly hostProcesses?: HostProcesses;
  /** What programs, and Fabric Manager, said in their own logs. Never trusted alone. */
  readonly applicationErrors: readonly KernelEvent[];
  /** From `dcgmi diag`. */
  readonly testResults: readonly DiagnosticTestResult[];
  /** Captures before the newest one of each GPU, oldest first. */
  readonly earlier: readonly (readonly GpuReading[])[];
  /** Runs of nvidia-smi that failed, in input order. */
  readonly driverFailures: readonly DriverFailure[];
  /** ISO 8601 of the newest capture or kernel record; null when no file tells a time. */
  readonly observedAt: string | null;
  readonly files: readonly RecordedFile[];
  /** In our own words: what a reader must know of how the files were put together. */
  readonly notes: readonly string[];
  close(): Promise<void>;
}
