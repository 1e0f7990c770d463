import type { Gap } from '../domain/gap.ts';

/** A process as the operating system shows it. */
export interface HostProcess {
  readonly pid: number;
  /** With the pid it names one process for good: pids are used again, these are not. Clock ticks since boot, from /proc/PID/stat. */
  readonly startTicks: number;
  /** ISO 8601. */
  readonly startedAt: string | null;
  /** `R`, `S`, `D`, `Z`...: `D` cannot be ended, `Z` has ended. */
  readonly state: string;
  readonly userId: number | null;
  readonly userName: string | null;
  /** Thread name, at most 15 bytes. Untrusted. */
  readonly name: string;
  /** Arguments joined by spaces, capped in length. Untrusted. Null when they may not be read. */
  readonly command: string | null;
  readonly parentPid: number;
  readonly container: {
    /** 64 hexadecimal digits. */
    readonly id: string;
    /** `docker`, `containerd`, `crio`, `podman`; null when the path does not tell. */
    readonly runtime: string | null;
  } | null;
  /** Of the Kubernetes pod. */
  readonly podUid: string | null;
  readonly slurmJobId: string | null;
}

export interface HostProcessesReading {
  /** Those of the asked-for that exist and can be seen. */
  readonly processes: readonly HostProcess[];
  /**
   * Whether this process sees the pids of the whole machine. `false` in a container without hostPID: processes outside it, and so holders
   * of its GPUs, are invisible. Null when it could not be told.
   */
  readonly seesAllProcesses: boolean | null;
  readonly gaps: readonly Gap[];
}

/** The port to the operating system's processes. */
export interface HostProcesses {
  /** Rejects only with `GpuError` TIMEOUT or CANCELLED when `signal` aborts. */
  describe(pids: readonly number[], signal: AbortSignal): Promise<HostProcessesReading>;
}
