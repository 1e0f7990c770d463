import type { GpuReading } from '../domain/gpu.ts';
import type { Finding } from '../domain/verdict.ts';
import { accountOf, type GpuHolder } from './gpu-holders.ts';

/** A finding with what makes it the same one when the GPU is looked at again. */
export interface HolderFinding extends Finding {
  readonly pid?: number;
}

/** Names a finding across two looks. */
export const holderFindingKey = ({ ruleId, gpu, pid }: HolderFinding) => `${ruleId} ${gpu} ${pid ?? ''}`;

const procSource = 'Linux, process states of /proc/PID/stat';

/**
 * Holders that should not be there, and memory that has none. Pure.
 *
 * `seesAllProcesses`: only then does it mean anything that a holder is not found. A single look cannot tell a process that is just ending
 * from one that never will: only what two looks both find is worth reporting.
 */
export function holderFindings(
  readings: readonly GpuReading[],
  holders: readonly GpuHolder[],
  seesAllProcesses: boolean | null,
): readonly HolderFinding[] {
  const ofHolders = holders.flatMap((holder) =>
    gpusOf(holder).flatMap((gpu) => holderFinding(holder, gpu, seesAllProcesses) ?? []),
  );
  const ofNobody =
    seesAllProcesses === true
      ? readings.flatMap((reading) => nobodyFinding(reading, isSuspect(reading, ofHolders)) ?? [])
      : [];
  return [...ofNobody, ...ofHolders];
}

const gpusOf = ({ shares }: GpuHolder) => [...new Set(shares.map(({ gpu }) => gpu))];

const isSuspect = ({ gpu }: GpuReading, findings: readonly HolderFinding[]) =>
  findings.some((finding) => finding.gpu === gpu.index);

const gibibytes = (bytes: number) => (bytes / 1024 ** 3).toFixed(bytes < 10 * 1024 ** 3 ? 2 : 1);

function nobodyFinding(reading: GpuReading, hasDeadHolder: boolean): HolderFinding | undefined {
  const account = accountOf(reading);
  const { gpu, unattributedBytes, toleratedBytes, processCount } = account;
  if (account.isHeldByNobody !== true || unattributedBytes === null) return undefined;
  const beside = processCount === 0 ? 'no process' : `none of its ${processCount} processes`;
  return {
    ruleId: 'processes.memory-held-by-nobody',
    verdict: 'warning',
    gpu,
    what: `${gibibytes(unattributedBytes)} GiB of GPU memory are in use by ${beside}, although all processes of the machine can be seen.`,
    evidence: [
      { field: 'memory.usedBytes', value: account.usedBytes },
      { field: 'processes.running', value: account.attributedBytes },
      { field: 'unattributedBytes', value: unattributedBytes, threshold: toleratedBytes },
    ],
    // Driver and operating system both say that something of an ended program is left: that takes a reset.
    action: hasDeadHolder ? 'reset-gpu' : 'check-app',
    source: 'sum over the processes of nvmlDeviceGetMemoryInfo and the running-processes lists',
    confidence: 'medium',
  };
}

function holderFinding(
  { pid, process, shares }: GpuHolder,
  gpu: number,
  seesAllProcesses: boolean | null,
): HolderFinding | undefined {
  const bytes = shares
    .filter((share) => share.gpu === gpu)
    .reduce<number | null>((sum, { memoryUsedBytes }) => add(sum, memoryUsedBytes), null);
  const held = bytes === null ? 'GPU memory' : `${gibibytes(bytes)} GiB of GPU memory`;
  const about = { gpu, pid, verdict: 'warning', source: procSource } as const;
  const evidence = [
    { field: 'pid', value: pid },
    { field: 'memoryUsedBytes', value: bytes },
  ];
  if (!process) {
    if (seesAllProcesses !== true) return undefined;
    return {
      ...about,
      ruleId: 'processes.holder-gone',
      what: `The driver says that process ${pid} holds ${held}, but no such process exists.`,
      evidence,
      action: 'monitor',
      confidence: 'medium',
    };
  }
  if (process.state === 'Z' || process.state === 'X') {
    return {
      ...about,
      ruleId: 'processes.zombie-holder',
      what: `Process ${pid} has ended and still holds ${held}: its parent (${process.parentPid}) has not collected it, or one of its threads is stuck in the kernel.`,
      evidence: [...evidence, { field: 'state', value: process.state }],
      action: 'restart-app',
      confidence: 'high',
    };
  }
  if (process.state === 'D') {
    return {
      ...about,
      ruleId: 'processes.uninterruptible-holder',
      what: `Process ${pid} holds ${held} and sleeps uninterruptibly in the kernel: no signal ends it while that lasts.`,
      evidence: [...evidence, { field: 'state', value: 'D' }],
      action: 'monitor',
      confidence: 'medium',
    };
  }
  return undefined;
}

const add = (sum: number | null, bytes: number | null) => (bytes === null ? sum : (sum ?? 0) + bytes);
