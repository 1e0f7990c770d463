import type { DiagnosticEvidence } from '../src/diagnosis/evidence.ts';
import { type GpuHolder, joinHolders } from '../src/diagnosis/gpu-holders.ts';
import { holderFindings } from '../src/diagnosis/holder-findings.ts';
import type { KernelEvent } from '../src/domain/event.ts';
import type { GpuReading } from '../src/domain/gpu.ts';
import type { Incident } from '../src/domain/incident.ts';
import type { Finding } from '../src/domain/verdict.ts';
import { assessGpu, assessNode } from '../src/health/assess.ts';
import type { Candidate } from '../src/health/rule.ts';
import type { HostProcess } from '../src/ports/host-processes.ts';
import { actionOfXid, findXid } from '../src/xid/catalogue.ts';
import { verdictOfIncident } from '../src/xid/incidents.ts';
import { type Changes, h100Reading, h100Ref } from './h100.ts';
import { incident } from './incident.ts';

export const observedAt = '2026-01-01T00:05:00.000Z';

interface NodeParts extends Partial<Omit<DiagnosticEvidence, 'readings' | 'assessments'>> {
  /** Changes to the readings of an eight-GPU node, by index; a whole reading stands for itself. */
  readonly gpus?: Readonly<Record<number, Changes | GpuReading>>;
  readonly count?: number;
  readonly processes?: readonly HostProcess[];
  /** What the bus shows of no listed GPU, as the cross-check tells it. */
  readonly observations?: readonly Candidate[];
  readonly extraFindings?: readonly Finding[];
}

const isReading = (change: Changes | GpuReading): change is GpuReading => 'observedAt' in change;

/** Evidence of a node of H100s, judged by the real rules. Nothing is wrong with it but what the parts say. */
export function nodeEvidence(parts: NodeParts = {}): DiagnosticEvidence {
  const {
    gpus = {},
    count = 8,
    incidents = [],
    processes = [],
    observations = [],
    extraFindings = [],
    ...rest
  } = parts;
  const readings = Array.from({ length: count }, (_, index): GpuReading => {
    const change = gpus[index] ?? {};
    if (isReading(change)) return change;
    // Nothing runs on it, so nothing of its memory is used.
    const changes = { ...change, memory: { usedBytes: 4 * 1024 ** 2, ...change.memory } };
    return { ...h100Reading(changes, undefined, index), observedAt };
  });
  const indexOf = (each: Incident) => each.gpu?.index;
  const holders: readonly GpuHolder[] = joinHolders(readings, processes);
  return {
    observedAt,
    node: null,
    nodeError: null,
    readings,
    assessments: readings.map((reading) =>
      assessGpu(
        reading,
        incidents.filter((each) => indexOf(each) === reading.gpu.index),
        { siblings: readings.filter((other) => other !== reading) },
      ),
    ),
    nodeFindings: [
      ...assessNode(
        incidents.filter((each) => indexOf(each) === undefined),
        observations,
      ),
      ...extraFindings,
    ],
    incidents,
    kernelLog: { source: 'kmsg', readable: true, from: '2025-12-01T00:00:00.000Z', to: observedAt },
    applicationErrors: [],
    holders,
    holderFindings: holderFindings(readings, holders, true),
    gaps: [],
    ...rest,
  };
}

/** An incident of one Xid on one GPU, with what the catalogue says of the number. */
export function xidIncident(code: number, gpu: number | null, changes: Partial<Incident> = {}): Incident {
  const entry = findXid(code);
  if (!entry) throw new RangeError(`no Xid ${code}`);
  const ref = gpu === null ? null : h100Ref(gpu);
  const action = changes.action ?? actionOfXid(entry);
  const severity = changes.severity ?? entry.severity;
  const at = changes.lastAt ?? '2026-01-01T00:00:00.000Z';
  const { gpu: _, ...base } = incident();
  return {
    ...base,
    id: `xid-${code}@${ref?.pciAddress ?? 'nowhere'}#${at}`,
    xid: code,
    title: entry.title,
    explanation: entry.explanation,
    severity,
    action,
    verdict: verdictOfIncident(severity, entry.applicationCommon, changes.trusted ?? true, action),
    applicationCommon: entry.applicationCommon,
    pciAddress: ref?.pciAddress?.slice(0, 12) ?? null,
    ...(ref ? { gpu: { index: ref.index, uuid: ref.uuid } } : {}),
    firstAt: at,
    lastAt: at,
    raw: [`NVRM: Xid (PCI:${ref?.pciAddress?.slice(0, 12) ?? ''}): ${code}, ...`],
    source: entry.source,
    ...changes,
  };
}

/** An incident that carries no number. */
export function kindIncident(
  kind: Incident['kind'],
  gpu: number | null,
  changes: Partial<Incident> = {},
): Incident {
  const { xid: _, ...base } = xidIncident(79, gpu, changes);
  return { ...base, kind, id: `${kind}@${base.pciAddress}`, ...changes };
}

/** A process as the operating system shows it, to change. */
export const hostProcess = (changes: Partial<HostProcess>): HostProcess => ({
  pid: 4711,
  startTicks: 1,
  startedAt: null,
  state: 'S',
  userId: 1000,
  userName: 'ada',
  name: 'python3',
  command: null,
  parentPid: 1,
  container: null,
  podUid: null,
  slurmJobId: null,
  ...changes,
});

/** Readings of a GPU on which one process holds memory. */
export const holding = (pid: number, memoryUsedBytes: number) => ({
  memory: { usedBytes: memoryUsedBytes + 4 * 1024 ** 2 },
  processes: {
    running: [
      {
        pid,
        kinds: ['compute'] as const,
        memoryUsedBytes,
        gpuInstanceId: null,
        computeInstanceId: null,
        smPercent: null,
        memoryPercent: null,
        encoderPercent: null,
        decoderPercent: null,
      },
    ],
  },
});

/** A line of a program's own log. */
export const applicationError = (detail: string): KernelEvent => ({
  kind: 'application-error',
  pciAddress: null,
  detail,
  severity: 'warning',
  action: 'check-app',
  at: null,
  uptimeSeconds: null,
  trusted: false,
  raw: detail,
});
