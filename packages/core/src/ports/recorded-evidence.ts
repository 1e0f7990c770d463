import type { Citation } from '../domain/citation.ts';
import type { KernelEvent } from '../domain/event.ts';
import type { GpuReading } from '../domain/gpu.ts';

/** One test of the vendor's own diagnostic on one GPU. */
export interface DiagnosticTest {
  /** As the diagnostic names it. */
  readonly test: string;
  /** Index of the GPU; null for a test of the node. */
  readonly gpu: number | null;
  readonly status: 'pass' | 'fail' | 'warn' | 'skip' | 'unknown';
  readonly citation: Citation;
}

/** What only files tell, beside readings and kernel log. */
export interface RecordedEvidence {
  /** What programs said of GPUs in their own logs. */
  readonly applicationErrors: readonly KernelEvent[];
  /** Results of `dcgmi diag`. */
  readonly tests: readonly DiagnosticTest[];
  /** Readings from before those that the provider gives, oldest first. */
  readonly earlierReadings: readonly GpuReading[];
}
