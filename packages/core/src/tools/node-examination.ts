import { diagnosticTestFindings } from '../diagnosis/diagnostic-tests.ts';
import type { DiagnosticEvidence } from '../diagnosis/evidence.ts';
import type { Gap } from '../domain/gap.ts';
import { type GpuReading, type GpuRef, type GpuSection, gpuSections } from '../domain/gpu.ts';
import type { Incident } from '../domain/incident.ts';
import { pciDeviceKey } from '../domain/pci-address.ts';
import type { Finding } from '../domain/verdict.ts';
import type { GpuError } from '../errors.ts';
import { assessGpu, assessNode, type GpuAssessment } from '../health/assess.ts';
import { nodeObservations } from '../health/node-rules.ts';
import { healthRules } from '../health/rules.ts';
import { groupIncidents } from '../xid/incidents.ts';
import { workflowFactsOf } from '../xid/workflow-facts.ts';
import { holderSections, lookAgain, lookAtHolders } from './holder-look.ts';
import { type KernelEventRead, readKernelEvents } from './kernel-events.ts';
import { type BusGpu, crossCheckNode, type PciBusRead, readPciBus, withoutDriver } from './pci-bus.ts';
import { type NodeReadings, readNode, type Toolkit } from './toolkit.ts';

const ruleSections: readonly GpuSection[] = gpuSections.filter((section) =>
  healthRules.some((rule) => rule.sections.includes(section)),
);
/** By what a GPU can be judged. Files without any of it hold no readings: nobody asked a GPU, so none has failed to answer. */
const judgedSections: ReadonlySet<GpuSection> = new Set(
  ruleSections.filter((section) => section !== 'identity' && section !== 'topology'),
);
const holderOnly = holderSections.filter((section) => !ruleSections.includes(section));
/** Whether a gap is of a section as a whole or of something in it. */
const isWithin = (section: GpuSection, { field }: Gap) =>
  field.startsWith(section) && (field.length === section.length || field[section.length] === '.');
/** Of the identity only the minor number, which is compared with the bus; who holds a GPU has gaps of its own. */
const isMissed = (gap: Gap) =>
  isWithin('identity', gap)
    ? gap.field === 'identity.minorNumber'
    : !holderOnly.some((section) => isWithin(section, gap));

export interface ExaminationRequest {
  /** Selector of one GPU; all when left out. */
  readonly gpu?: string | number | undefined;
  /** ISO 8601: kernel-log events to weigh; all that the log has when left out. */
  readonly since?: string | undefined;
}

/** A node looked at from every side: the evidence of a diagnosis, and what an answer says of where it comes from. */
export interface NodeExamination extends DiagnosticEvidence {
  readonly log: KernelEventRead;
  readonly bus: PciBusRead | null;
  /** What the bus shows while the driver cannot be asked; empty otherwise. */
  readonly busGpus: readonly BusGpu[];
  /** An earlier reading of a GPU, by index, where there is one. */
  readonly baselines: ReadonlyMap<number, GpuReading>;
}

/**
 * Readings of every health rule, the kernel log, the PCI bus and the holders, judged and joined. Never rejects for what the hardware does.
 * @throws GpuError INVALID_INPUT or GPU_NOT_FOUND when the selector names no GPU of this node.
 */
export async function examineNode(
  toolkit: Toolkit,
  { gpu, since }: ExaminationRequest,
  signal: AbortSignal,
): Promise<NodeExamination> {
  const sections = [...new Set<GpuSection>(['identity', ...ruleSections, ...holderSections])];
  const [read, log, bus] = await Promise.all([
    readNode(toolkit, gpu, sections, signal),
    readKernelEvents(toolkit, since, signal),
    readPciBus(toolkit, signal),
  ]);
  const testFindings = diagnosticTestFindings(toolkit.recorded?.tests ?? []);
  const beside = {
    log,
    bus,
    kernelLog: log.coverage,
    applicationErrors: toolkit.recorded?.applicationErrors ?? [],
    observedAt: new Date(toolkit.clock.now()).toISOString(),
  };
  const isWholeNode = gpu === undefined;
  const isAsked = toolkit.reader.manifest.sections.some((section) => judgedSections.has(section));
  const seen = read.error
    ? withoutReadings(isAsked ? read.error : null, beside, isWholeNode)
    : await withReadings(toolkit, isAsked ? read : { ...read, readings: [] }, beside, isWholeNode, signal);
  return { ...beside, ...seen, nodeFindings: [...seen.nodeFindings, ...testFindings] };
}

interface Beside {
  readonly observedAt: string;
  readonly log: KernelEventRead;
  readonly bus: PciBusRead | null;
}

/** The driver as a whole cannot be asked: what log and bus tell is all there is. */
function withoutReadings(nodeError: GpuError | null, { log, bus }: Beside, isWholeNode: boolean) {
  // Which GPU a line is about cannot be told without the driver, so one GPU asked for gets none of them.
  const incidents = isWholeNode ? groupIncidents(log.events) : [];
  const { gpus, findings } = withoutDriver(bus, nodeError, incidents);
  return {
    node: null,
    nodeError,
    readings: [],
    assessments: [],
    nodeFindings: findings,
    incidents,
    holders: [],
    holderFindings: [],
    busGpus: gpus,
    baselines: new Map<number, GpuReading>(),
    gaps: [...log.gaps, ...(bus?.gaps ?? [])],
  };
}

async function withReadings(
  toolkit: Toolkit,
  { node, readings }: Exclude<NodeReadings, { readonly node: null }>,
  beside: Beside,
  isWholeNode: boolean,
  signal: AbortSignal,
) {
  const { log, bus } = beside;
  const { bootedAt } = log.coverage;
  const facts = workflowFactsOf(readings, {
    observedAt: beside.observedAt,
    ...(bootedAt === undefined ? {} : { bootedAt }),
  });
  const incidents = groupIncidents(log.events, { gpus: node.gpus, facts });
  const seen = crossCheckNode(bus, node, readings);
  const stuckPids = pidsBlocked(incidents);
  const first = await lookAtHolders(toolkit, readings, signal, stuckPids);
  const refs = readings.map((reading) => reading.gpu);
  const { holders, findings: holderFindings } = await lookAgain(toolkit, refs, first, signal, stuckPids);
  const nodeIncidents = incidentsOfNoGpu(node.gpus, incidents);
  const baselines = new Map(
    readings.flatMap((reading) => {
      const earlier = toolkit.history.baselineOf(reading);
      return earlier ? [[reading.gpu.index, earlier] as const] : [];
    }),
  );
  const assessments = readings.map(
    (reading): GpuAssessment =>
      assessGpu(reading, incidentsOf(reading, incidents), {
        siblings: readings.filter((other) => other !== reading),
        baseline: baselines.get(reading.gpu.index),
        nodeIncidents,
        thresholds: toolkit.thresholds,
        observations: seen.candidates.filter((candidate) => candidate.gpu === reading.gpu.index),
      }),
  );
  for (const reading of readings) toolkit.history.remember(reading);
  const ofNoGpu = [
    ...seen.candidates.filter((candidate) => candidate.gpu === undefined),
    ...nodeObservations(node),
  ];
  const nodeFindings: readonly Finding[] = isWholeNode ? assessNode(nodeIncidents, ofNoGpu) : [];
  return {
    node,
    nodeError: null,
    readings,
    assessments,
    nodeFindings,
    incidents,
    holders,
    holderFindings: holderFindings.map(({ pid: _, ...finding }) => finding),
    busGpus: [],
    baselines,
    gaps: [
      ...node.gaps,
      ...readings.flatMap((reading) => reading.gaps.filter(isMissed)),
      ...seen.gaps,
      ...log.gaps,
      ...(bus?.gaps ?? []),
    ],
  };
}

export function incidentsOf({ gpu }: GpuReading, incidents: readonly Incident[]): readonly Incident[] {
  const key = pciDeviceKey(gpu.pciAddress);
  return incidents.filter(
    (incident) => incident.gpu?.index === gpu.index || (key !== undefined && incident.pciAddress === key),
  );
}

/** The processes that the kernel calls blocked, in its own words. */
function pidsBlocked(incidents: readonly Incident[]): ReadonlySet<number> {
  const told = incidents.filter(({ kind, standing }) => kind === 'hung-task' && standing === 'primary');
  return new Set(told.flatMap(({ processes }) => processes.flatMap(({ pid }) => pid ?? [])));
}

/** What the log tells of switches, the driver, and GPUs that are no longer counted since they fell off their bus. */
function incidentsOfNoGpu(gpus: readonly GpuRef[], incidents: readonly Incident[]): readonly Incident[] {
  const keys = new Set(gpus.map((gpu) => pciDeviceKey(gpu.pciAddress)));
  return incidents.filter(
    ({ gpu, pciAddress }) => gpu === undefined && (pciAddress === null || !keys.has(pciAddress)),
  );
}
