import { type GpuHolder, joinHolders } from '../diagnosis/gpu-holders.ts';
import { type HolderFinding, holderFindingKey, holderFindings } from '../diagnosis/holder-findings.ts';
import type { GpuReading, GpuRef, GpuSection } from '../domain/gpu.ts';
import type { HostProcessesReading } from '../ports/host-processes.ts';
import { describeProcesses, pause, type Toolkit } from './toolkit.ts';

/** What has to be read of a GPU to say who holds it. */
export const holderSections = ['memory', 'processes', 'mig'] as const satisfies readonly GpuSection[];

/** Between two looks at something suspicious: a program that is just ending has gone by then. */
const secondLookMilliseconds = 500;

export interface HolderLook {
  readonly readings: readonly GpuReading[];
  /** Null where nobody gave access to the processes of the operating system. */
  readonly host: HostProcessesReading | null;
  readonly holders: readonly GpuHolder[];
  readonly findings: readonly HolderFinding[];
}

/** Who holds these GPUs, by readings with `holderSections`. `stuckPids`: processes that the kernel log calls blocked. */
export async function lookAtHolders(
  toolkit: Toolkit,
  readings: readonly GpuReading[],
  signal: AbortSignal,
  stuckPids?: ReadonlySet<number>,
): Promise<HolderLook> {
  const pids = readings.flatMap(({ processes }) => processes?.running?.map(({ pid }) => pid) ?? []);
  const host = await describeProcesses(toolkit, [...new Set(pids)], signal);
  const holders = joinHolders(readings, host?.processes ?? []);
  const sight = host?.seesAllProcesses ?? (toolkit.recorded ? 'capture' : null);
  const findings = holderFindings(readings, holders, sight, stuckPids);
  return { readings, host, holders, findings };
}

/** Looks a second time when the first found something; what only one look saw was a program on its way out. */
export async function lookAgain(
  toolkit: Toolkit,
  gpus: readonly GpuRef[],
  first: HolderLook,
  signal: AbortSignal,
  stuckPids?: ReadonlySet<number>,
): Promise<HolderLook> {
  // Files do not change between two looks.
  if (first.findings.length === 0 || toolkit.recorded) return first;
  const unconfirmed = {
    ...first,
    findings: first.findings.map((finding) => ({ ...finding, confidence: 'low' as const })),
  };
  if (!(await pause(toolkit.clock, secondLookMilliseconds, signal))) return unconfirmed;
  const readings = await toolkit.reader.readGpus(gpus, holderSections, signal);
  const second = await lookAtHolders(toolkit, readings, signal, stuckPids);
  if (signal.aborted) return unconfirmed;
  const keys = new Set(first.findings.map(holderFindingKey));
  return { ...second, findings: second.findings.filter((finding) => keys.has(holderFindingKey(finding))) };
}
