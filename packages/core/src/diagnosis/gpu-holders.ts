import type { GpuReading } from '../domain/gpu.ts';
import type { GpuProcess, GpuProcessKind } from '../domain/readings/process.ts';
import type { HostProcess } from '../ports/host-processes.ts';

const mebibyte = 1024 * 1024;

/** What one process has of one GPU, or of one MIG instance of it. */
export interface HolderShare extends Omit<GpuProcess, 'pid' | 'kinds'> {
  /** Index of the GPU. */
  readonly gpu: number;
}

/** A process that holds GPUs: what the drivers of all of them and the operating system know of it. */
export interface GpuHolder {
  readonly pid: number;
  readonly kinds: readonly GpuProcessKind[];
  readonly shares: readonly HolderShare[];
  /** Undefined when the operating system does not show it, or was not asked. */
  readonly process: HostProcess | undefined;
}

/** Who has the memory of one GPU. */
export interface MemoryAccount {
  readonly gpu: number;
  /** Null when the processes could not be read. */
  readonly processCount: number | null;
  readonly usedBytes: number | null;
  /** The sum over its processes. */
  readonly attributedBytes: number | null;
  /** Used by none of them; null when either side is not known or a process does not tell how much it has. */
  readonly unattributedBytes: number | null;
  /** What belongs to no process on a healthy GPU; more than this is somebody's. */
  readonly toleratedBytes: number;
  /** Whether somebody holds it who is not in the list; null when that cannot be told. */
  readonly isHeldByNobody: boolean | null;
}

/** One row per process, the one with most memory first. */
export function joinHolders(
  readings: readonly GpuReading[],
  hostProcesses: readonly HostProcess[],
): readonly GpuHolder[] {
  const shares = new Map<number, { kinds: Set<GpuProcessKind>; shares: HolderShare[] }>();
  for (const { gpu, processes } of readings) {
    for (const { pid, kinds, ...share } of processes?.running ?? []) {
      const known = shares.get(pid) ?? { kinds: new Set(), shares: [] };
      for (const kind of kinds) known.kinds.add(kind);
      known.shares.push({ gpu: gpu.index, ...share });
      shares.set(pid, known);
    }
  }
  const byPid = new Map(hostProcesses.map((process) => [process.pid, process]));
  const holders = [...shares].map(([pid, known]) => ({
    pid,
    kinds: [...known.kinds],
    shares: known.shares,
    process: byPid.get(pid),
  }));
  return holders.sort((a, b) => memoryOf(b) - memoryOf(a) || a.pid - b.pid);
}

const memoryOf = ({ shares }: GpuHolder) =>
  shares.reduce((sum, share) => sum + (share.memoryUsedBytes ?? 0), 0);

/**
 * How much memory belongs to no process although nothing is wrong. Measured on captures of `nvidia-smi -q`: 0 MiB idle, 16 to 40 MiB
 * above the sum of one to four processes (drivers 590 to 610, RTX 2080 SUPER, L40S, H100); up to 259 MiB with a desktop, whose
 * framebuffers are nobody's (RTX 4080 SUPER); 9 to 17 MiB for each MIG instance (A100, H200). A driver that does not tell its reserved
 * memory apart counts it as used: 66 to 869 MiB. The 15 MiB that cluster health checks use for a GPU between two jobs is less than what
 * a running job leaves unattributed.
 */
export function toleratedBytes({ memory, mig, processes }: GpuReading): number {
  const running = processes?.running ?? [];
  const hasDesktop = running.some(({ kinds }) => kinds.includes('graphics'));
  const isReservedApart = memory !== undefined && memory.reservedBytes !== null;
  const mebibytes =
    64 +
    16 * running.length +
    24 * (mig?.devices?.length ?? 0) +
    (hasDesktop ? 256 : 0) +
    (isReservedApart ? 0 : 1024);
  return mebibytes * mebibyte;
}

export function accountOf(reading: GpuReading): MemoryAccount {
  const { gpu, memory, processes } = reading;
  const running = processes?.running ?? null;
  const usedBytes = memory?.usedBytes ?? null;
  const attributedBytes = running?.reduce((sum, each) => sum + (each.memoryUsedBytes ?? 0), 0) ?? null;
  const isComplete = running?.every((each) => each.memoryUsedBytes !== null) === true;
  const tolerated = toleratedBytes(reading);
  // Shared memory is counted with every process that maps it, so the sum can be more than what is used.
  const rest =
    usedBytes === null || attributedBytes === null ? null : Math.max(0, usedBytes - attributedBytes);
  const unattributedBytes = isComplete ? rest : null;
  return {
    gpu: gpu.index,
    processCount: running?.length ?? null,
    usedBytes,
    attributedBytes,
    unattributedBytes,
    toleratedBytes: tolerated,
    isHeldByNobody: unattributedBytes === null ? null : unattributedBytes > tolerated,
  };
}
