import type { GpuRef } from '../domain/gpu.ts';
import { GpuError } from '../errors.ts';
import type { AuditLog, AuditRecord } from '../ports/audit-log.ts';
import type { GpuControl, ResetOutcome, ResetReadiness } from '../ports/gpu-control.ts';
import type { ProcessControl, ProcessIdentity, Termination } from '../ports/process-control.ts';

/** An audit log in memory; with a failure it refuses every record, as a full disk does. */
export function inMemoryAuditLog(failure?: Error): AuditLog & { readonly entries: readonly AuditRecord[] } {
  const entries: AuditRecord[] = [];
  return {
    entries,
    async record(entry) {
      if (failure) throw failure;
      entries.push(entry);
    },
  };
}

export interface InMemoryGpuControlOptions {
  readonly readiness?: Partial<ResetReadiness>;
  readonly outcome?: Partial<ResetOutcome> | GpuError;
}

/** Resets nothing, and remembers the indexes of the GPUs it was asked to reset, one list for each time. */
export function inMemoryGpuControl(
  options: InMemoryGpuControlOptions = {},
): GpuControl & { readonly resets: readonly (readonly number[])[] } {
  const resets: (readonly number[])[] = [];
  return {
    resets,
    async checkReset(_gpus, signal) {
      if (signal.aborted) throw new GpuError('TIMEOUT', 'the check was cut off');
      return {
        requirements: [{ name: 'nvidia-smi', met: true, detail: '/usr/bin/nvidia-smi' }],
        holders: [],
        ...options.readiness,
      };
    },
    async reset(gpus: readonly GpuRef[]) {
      // A tool that is told of no GPU resets them all.
      if (gpus.length === 0) throw new GpuError('INVALID_INPUT', 'no GPU to reset');
      const unnamed = gpus.find((gpu) => gpu.uuid === null && gpu.pciAddress === null);
      if (unnamed) throw new GpuError('GPU_NOT_FOUND', `GPU ${unnamed.index} has neither UUID nor address`);
      if (options.outcome instanceof GpuError) throw options.outcome;
      resets.push(gpus.map(({ index }) => index));
      return { succeeded: true, exitCode: 0, output: 'All done.', ...options.outcome };
    },
  };
}

export interface InMemoryProcess extends ProcessIdentity {
  /**
   * What it does about signals: ends at SIGTERM, ends only at SIGKILL, or not at all. `protected` and `foreign` (another user's) are
   * sent none. Default `willing`.
   */
  readonly manner?: 'willing' | 'stubborn' | 'unkillable' | 'protected' | 'foreign';
}

/** Ends processes that exist in memory only, and remembers the signals that it sent. */
export function inMemoryProcessControl(processes: readonly InMemoryProcess[]): ProcessControl & {
  readonly signals: readonly { readonly pid: number; readonly signal: 'SIGTERM' | 'SIGKILL' }[];
  isRunning(process: ProcessIdentity): boolean;
} {
  const running = new Map(processes.map((process) => [process.pid, process]));
  const signals: { pid: number; signal: 'SIGTERM' | 'SIGKILL' }[] = [];
  const find = ({ pid, startTicks }: ProcessIdentity) => {
    const found = running.get(pid);
    return found?.startTicks === startTicks ? found : undefined;
  };
  const refusalOf = (process: ProcessIdentity) => {
    const found = find(process);
    if (!found) return { result: 'gone', detail: `pid ${process.pid} is not that process any more` } as const;
    if (found.manner === 'protected') return { result: 'protected', detail: 'never ended' } as const;
    if (found.manner === 'foreign') return { result: 'not-permitted', detail: 'EPERM' } as const;
    return undefined;
  };
  return {
    signals,
    isRunning: (process) => find(process) !== undefined,
    refusal: async (process) => refusalOf(process),
    async terminate(process): Promise<Termination> {
      const refusal = refusalOf(process);
      if (refusal) return refusal;
      const { pid } = process;
      const manner = running.get(pid)?.manner ?? 'willing';
      signals.push({ pid, signal: 'SIGTERM' });
      if (manner === 'willing') {
        running.delete(pid);
        return { result: 'ended-by-sigterm', detail: 'it ended by itself' };
      }
      signals.push({ pid, signal: 'SIGKILL' });
      if (manner === 'unkillable') return { result: 'still-running', detail: 'it sleeps in the kernel' };
      running.delete(pid);
      return { result: 'ended-by-sigkill', detail: 'it was still there after the grace' };
    },
  };
}
