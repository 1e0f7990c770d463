import type { GpuReading } from '../domain/gpu.ts';
import type { Finding } from '../domain/verdict.ts';
import { cited, type PublishedRule } from '../health/rule.ts';
import { accountOf, type GpuHolder } from './gpu-holders.ts';

/** A finding with what makes it the same one when the GPU is looked at again. */
export interface HolderFinding extends Finding {
  readonly pid?: number;
}

/** Names a finding across two looks. */
export const holderFindingKey = ({ ruleId, gpu, pid }: HolderFinding) => `${ruleId} ${gpu} ${pid ?? ''}`;

const procSource = 'Linux, process states of /proc/PID/stat';

const rules = {
  'processes.memory-held-by-nobody': {
    title: 'Memory held by nobody',
    threshold:
      'more memory in use than its processes account for, by more than 64 MiB and what is usual for each process, MIG instance and desktop',
    appliesTo: 'nodes on which all processes can be seen',
    verdict: 'warning',
    action: 'reset-gpu',
    confidence: 'medium',
    source:
      'sum over the processes of nvmlDeviceGetMemoryInfo and the running-processes lists; Meta GCM (15 MiB between jobs)',
    note: 'Only what two looks both find. A container that sees some of the processes never raises it. A reset only beside a holder that is dead.',
  },
  'processes.holder-gone': {
    title: 'Holder that does not exist',
    threshold: 'the driver names a process that the operating system does not have',
    appliesTo: 'nodes on which all processes can be seen',
    verdict: 'warning',
    action: 'monitor',
    confidence: 'medium',
    source: procSource,
    note: 'Only what two looks both find: a process may end between the two questions of one look.',
  },
  'processes.zombie-holder': {
    title: 'Zombie that holds a GPU',
    threshold: 'process state Z or X',
    appliesTo: 'nodes whose processes can be read',
    verdict: 'warning',
    action: 'restart-app',
    confidence: 'high',
    source: procSource,
    note: 'Only what two looks both find: every process is a zombie for a moment.',
  },
  'processes.uninterruptible-holder': {
    title: 'Holder stuck in the kernel',
    threshold: 'process state D; critical when the kernel log calls the same process blocked (hung task)',
    appliesTo: 'nodes whose processes can be read',
    verdict: 'critical',
    action: 'reboot-node',
    confidence: 'high',
    source: `${procSource}; leptonai/gpud (5 checks a minute apart); Azure healthagent (with a pending SIGKILL)`,
    note: 'Only what two looks both find: reading from a disk is state D too.',
  },
} as const satisfies Record<string, Omit<PublishedRule, 'id'>>;

/** The table as published. */
export const holderRules: readonly PublishedRule[] = Object.entries(rules).map(([id, row]) => ({
  id,
  ...row,
}));

/** What a finding takes from its row. */
function rowOf<Id extends keyof typeof rules>(ruleId: Id) {
  const { verdict, source, confidence } = rules[ruleId];
  return { ruleId, verdict, source, confidence } as const;
}

/**
 * Holders that should not be there, and memory that has none. Pure.
 *
 * `seesAllProcesses`: only then does it mean anything that a holder is not found. A single look cannot tell a process that is just ending
 * from one that never will: only what two looks both find is worth reporting. `'capture'`: there is no process list but the driver's. `stuckPids`: processes that the kernel log calls blocked.
 */
export function holderFindings(
  readings: readonly GpuReading[],
  holders: readonly GpuHolder[],
  seesAllProcesses: boolean | null | 'capture',
  stuckPids: ReadonlySet<number> = new Set(),
): readonly HolderFinding[] {
  const ofHolders = holders.flatMap((holder) =>
    gpusOf(holder).flatMap((gpu) => holderFinding(holder, gpu, { seesAllProcesses, stuckPids }) ?? []),
  );
  const ofNobody =
    seesAllProcesses === true
      ? readings.flatMap((reading) => nobodyFinding(reading, isSuspect(reading, ofHolders)) ?? [])
      : seesAllProcesses === 'capture'
        ? readings.flatMap((reading) => idleHoldingFinding(reading) ?? [])
        : [];
  return [...ofNobody, ...ofHolders];
}

const gpusOf = ({ shares }: GpuHolder) => [...new Set(shares.map(({ gpu }) => gpu))];

const isSuspect = ({ gpu }: GpuReading, findings: readonly HolderFinding[]) =>
  findings.some((finding) => finding.gpu === gpu.index);

const gibibytes = (bytes: number) => (bytes / 1024 ** 3).toFixed(bytes < 10 * 1024 ** 3 ? 2 : 1);

/**
 * What a capture alone can say: memory in use on a GPU at rest without a single process. A capture taken inside a container looks the same, so
 * that is said, and believed little.
 */
function idleHoldingFinding(reading: GpuReading): HolderFinding | undefined {
  const isAtRest = reading.utilization?.gpuPercent === 0;
  if (!isAtRest || reading.processes?.running?.length !== 0) return undefined;
  const finding = nobodyFinding(reading, false);
  if (!finding) return undefined;
  const held = gibibytes(accountOf(reading).unattributedBytes ?? 0);
  return {
    ...finding,
    what: `${held} GiB of GPU memory are in use on a GPU at rest for which no process is listed: left behind, or held where the capture could not see.`,
    confidence: 'low',
  };
}

function nobodyFinding(reading: GpuReading, hasDeadHolder: boolean): HolderFinding | undefined {
  const account = accountOf(reading);
  const { gpu, unattributedBytes, toleratedBytes, processCount } = account;
  if (account.isHeldByNobody !== true || unattributedBytes === null) return undefined;
  const beside = processCount === 0 ? 'no process' : `none of its ${processCount} processes`;
  return {
    ...rowOf('processes.memory-held-by-nobody'),
    gpu,
    what: `${gibibytes(unattributedBytes)} GiB of GPU memory are in use by ${beside}, although all processes of the machine can be seen.`,
    evidence: [
      { field: 'memory.usedBytes', value: account.usedBytes },
      { field: 'processes.running', value: account.attributedBytes },
      { field: 'unattributedBytes', value: unattributedBytes, threshold: toleratedBytes },
    ].map((each) => cited(each, reading)),
    // Driver and operating system both say that something of an ended program is left: that takes a reset.
    action: hasDeadHolder ? 'reset-gpu' : 'check-app',
  };
}

interface Sight {
  readonly seesAllProcesses: boolean | null | 'capture';
  readonly stuckPids: ReadonlySet<number>;
}

function holderFinding(
  { pid, process, shares }: GpuHolder,
  gpu: number,
  { seesAllProcesses, stuckPids }: Sight,
): HolderFinding | undefined {
  const bytes = shares
    .filter((share) => share.gpu === gpu)
    .reduce<number | null>((sum, { memoryUsedBytes }) => add(sum, memoryUsedBytes), null);
  const held = bytes === null ? 'GPU memory' : `${gibibytes(bytes)} GiB of GPU memory`;
  const about = { gpu, pid } as const;
  const evidence = [
    { field: 'pid', value: pid },
    { field: 'memoryUsedBytes', value: bytes },
  ];
  if (!process) {
    if (seesAllProcesses !== true) return undefined;
    return {
      ...about,
      ...rowOf('processes.holder-gone'),
      what: `The driver says that process ${pid} holds ${held}, but no such process exists.`,
      evidence,
      action: 'monitor',
    };
  }
  if (process.state === 'Z' || process.state === 'X') {
    return {
      ...about,
      ...rowOf('processes.zombie-holder'),
      what: `Process ${pid} has ended and still holds ${held}: its parent (${process.parentPid}) has not collected it, or one of its threads is stuck in the kernel.`,
      evidence: [...evidence, { field: 'state', value: process.state }],
      action: 'restart-app',
    };
  }
  if (process.state === 'D') {
    // The process list and the kernel log say it independently of each other.
    const isStuck = stuckPids.has(pid);
    const ending = isStuck
      ? 'and the kernel log says that it has been blocked there for minutes: no signal ends it, and a GPU in use cannot be reset.'
      : 'no signal ends it while that lasts.';
    return {
      ...about,
      ...rowOf('processes.uninterruptible-holder'),
      ...(isStuck ? {} : { verdict: 'warning', confidence: 'medium' }),
      what: `Process ${pid} holds ${held} and sleeps uninterruptibly in the kernel${isStuck ? ', ' : ': '}${ending}`,
      evidence: [...evidence, { field: 'state', value: 'D' }],
      action: isStuck ? 'reboot-node' : 'monitor',
    };
  }
  return undefined;
}

const add = (sum: number | null, bytes: number | null) => (bytes === null ? sum : (sum ?? 0) + bytes);
