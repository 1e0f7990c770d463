import type { KernelEvent } from '../domain/event.ts';
import type { Gap } from '../domain/gap.ts';
import type { GpuReading, NodeDescription } from '../domain/gpu.ts';
import type { Incident } from '../domain/incident.ts';
import type { Finding } from '../domain/verdict.ts';
import type { GpuError } from '../errors.ts';
import type { GpuAssessment } from '../health/assess.ts';
import type { KernelLogCoverage } from '../ports/kernel-log.ts';
import type { GpuHolder } from './gpu-holders.ts';

/** Everything a diagnosis is made of, wherever it came from: a live node or files. Plain data; a diagnosis is a pure function of it. */
export interface DiagnosticEvidence {
  /** ISO 8601. Of the newest reading; of the newest event when there are only logs. */
  readonly observedAt: string;
  /** Null when the driver as a whole could not be asked. */
  readonly node: NodeDescription | null;
  readonly nodeError: GpuError | null;
  readonly readings: readonly GpuReading[];
  /** One for each reading, in the same order. */
  readonly assessments: readonly GpuAssessment[];
  /** Of what belongs to no GPU. */
  readonly nodeFindings: readonly Finding[];
  /** Whatever their standing, oldest first. */
  readonly incidents: readonly Incident[];
  readonly kernelLog: KernelLogCoverage;
  /** What programs said of GPUs in their own logs. Never trusted alone. */
  readonly applicationErrors: readonly KernelEvent[];
  readonly holders: readonly GpuHolder[];
  /** Leftover memory, zombies and processes stuck in the kernel. */
  readonly holderFindings: readonly Finding[];
  readonly gaps: readonly Gap[];
}

/** Whether there is nothing but a log: no GPU was asked, so that none has failed to answer. A driver that counts no GPUs was asked. */
export function isNobodyAsked({ node, nodeError, readings }: DiagnosticEvidence): boolean {
  return nodeError === null && readings.length === 0 && (node === null || node.gpus.length > 0);
}
