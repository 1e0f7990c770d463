import { z } from 'zod';
import type { Gap } from '../domain/gap.ts';
import { type GpuReading, type GpuRef, type GpuSection, gpuSections } from '../domain/gpu.ts';
import type { Incident } from '../domain/incident.ts';
import { pciDeviceKey } from '../domain/pci-address.ts';
import { type Finding, strongestAction, type Verdict, verdicts, worstVerdict } from '../domain/verdict.ts';
import { assessGpu, assessNode, byUrgency, type GpuAssessment, scoreOf } from '../health/assess.ts';
import { healthRules } from '../health/rules.ts';
import { groupIncidents } from '../xid/incidents.ts';
import {
  answerSchema,
  backendUnreadable,
  type Detail,
  findingsSchema,
  gpuBackendCoverage,
  makeAnswer,
  type NextStep,
  roundedProbe,
} from './answer.ts';
import { checkOrder, detailArgument, gpuArgument, parseTime, timeArgument } from './arguments.ts';
import { type KernelEventRead, readKernelEvents } from './kernel-events.ts';
import { crossCheckNode, readPciBus, withoutDriver } from './pci-bus.ts';
import { defineTool } from './tool.ts';
import { readNode, type Toolkit } from './toolkit.ts';

const ruleSections: readonly GpuSection[] = gpuSections.filter((section) =>
  healthRules.some((rule) => rule.sections.includes(section)),
);
/** With a PCI bus to compare with, the minor number is needed too; nothing else of its section is missed here. */
const comparedSections: readonly GpuSection[] = ['identity', ...ruleSections];
const isMissed = ({ field }: Gap) =>
  field === 'identity.minorNumber' || (field !== 'identity' && !field.startsWith('identity.'));
const defaultLookback = '24h';
const maximumFindings = 20;

/** The verdict on every GPU. */
export function getGpuHealth(toolkit: Toolkit) {
  return defineTool({
    name: 'get_gpu_health',
    title: 'GPU health',
    description:
      'Verdict per GPU (critical, warning, unknown, ok) with findings, evidence, source and one action, from live readings and the kernel log. The first question to ask about a node.',
    inputSchema: z.strictObject({
      gpu: gpuArgument,
      since: timeArgument(`Kernel-log events to weigh (default ${defaultLookback}), after this`),
      detail: detailArgument,
    }),
    outputSchema: answerSchema({
      score: z.number().nullable(),
      findings: findingsSchema,
      gpus: z.array(
        z.looseObject({
          index: z.number().nullable(),
          verdict: z.enum(verdicts),
          score: z.number().nullable(),
        }),
      ),
    }),
    async handle({ gpu, since, detail }, signal) {
      const now = toolkit.clock.now();
      const from = parseTime('since', since ?? defaultLookback, now);
      checkOrder(from, now);
      const sections = toolkit.hostDevices ? comparedSections : ruleSections;
      const [{ node, error, readings }, log, bus] = await Promise.all([
        readNode(toolkit, gpu, sections, signal),
        readKernelEvents(toolkit, from, signal),
        readPciBus(toolkit, signal),
      ]);
      const onBus = bus ? { pciBus: bus.coverage } : {};
      const besideGaps = [...log.gaps, ...(bus?.gaps ?? [])];
      if (error) {
        const told = gpu === undefined ? groupIncidents(log.events, { gpus: [] }) : [];
        const { gpus, findings } = withoutDriver(bus, error, told);
        const payload = { score: null, gpus: gpus.map((each) => ({ ...each, score: null })) };
        return backendUnreadable(toolkit, error, payload, {
          kernelLog: log.coverage,
          ...onBus,
          gaps: besideGaps,
          findings,
        });
      }
      const incidents = groupIncidents(log.events, { gpus: node.gpus });
      const seen = crossCheckNode(bus, node, readings);
      const assessments = readings.map((reading) =>
        assessGpu(reading, incidentsOf(reading, incidents), {
          siblings: readings.filter((other) => other !== reading),
          observations: seen.candidates.filter((candidate) => candidate.gpu === reading.gpu.index),
        }),
      );
      const ofNoGpu = seen.candidates.filter((candidate) => candidate.gpu === undefined);
      const nodeFindings =
        gpu === undefined ? assessNode(incidentsOfNoGpu(node.gpus, incidents), ofNoGpu) : [];
      const verdict = worstVerdict([...assessments, ...nodeFindings].map((each) => each.verdict));
      const findings = [...assessments.flatMap((each) => each.findings), ...nodeFindings].sort(byUrgency);
      const shown = detail === 'full' ? findings : findings.slice(0, maximumFindings);
      return makeAnswer(toolkit, detail, {
        verdict,
        summary: summarise(assessments, findings, log, verdict),
        payload: {
          score: nodeScore(assessments, nodeFindings),
          gpus: assessments.map((assessment, position) => present(assessment, readings[position], detail)),
        },
        findings: shown,
        gpuCount: readings.length,
        gaps: [
          ...node.gaps,
          ...readings.flatMap((reading) => reading.gaps.filter(isMissed)),
          ...seen.gaps,
          ...besideGaps,
        ],
        gpuBackend: gpuBackendCoverage(toolkit, undefined),
        kernelLog: log.coverage,
        ...onBus,
        nextSteps: nextSteps(findings, verdict, log),
        ...(shown.length < findings.length ? { page: { total: findings.length, truncated: true } } : {}),
      });
    },
  });
}

function incidentsOf({ gpu }: GpuReading, incidents: readonly Incident[]): readonly Incident[] {
  const key = pciDeviceKey(gpu.pciAddress);
  return incidents.filter(
    (incident) => incident.gpu?.index === gpu.index || (key !== undefined && incident.pciAddress === key),
  );
}

/** What the log tells of switches, the driver, and GPUs that are no longer counted since they fell off their bus. */
function incidentsOfNoGpu(gpus: readonly GpuRef[], incidents: readonly Incident[]): readonly Incident[] {
  const keys = new Set(gpus.map((gpu) => pciDeviceKey(gpu.pciAddress)));
  return incidents.filter(
    ({ gpu, pciAddress }) => gpu === undefined && (pciAddress === null || !keys.has(pciAddress)),
  );
}

/** The lowest score; null as soon as one GPU cannot be judged, for an unknown is not a number. */
function nodeScore(assessments: readonly GpuAssessment[], nodeFindings: readonly Finding[]): number | null {
  const scores = assessments.map((assessment) => assessment.score);
  if (scores.length === 0) return null;
  return [...scores, scoreOf('ok', nodeFindings)].reduce((lowest, score) =>
    lowest === null || score === null ? null : Math.min(lowest, score),
  );
}

function summarise(
  assessments: readonly GpuAssessment[],
  findings: readonly Finding[],
  log: KernelEventRead,
  verdict: Verdict,
): string {
  const total = assessments.length === 1 ? '1 GPU' : `${assessments.length} GPUs`;
  const parts = verdicts.flatMap((each) => {
    const gpus = assessments.filter((assessment) => assessment.verdict === each).map(({ gpu }) => gpu);
    return gpus.length > 0
      ? [`${gpus.length} ${each}${each === 'ok' ? '' : ` (GPU ${gpus.join(', ')})`}`]
      : [];
  });
  const counted =
    assessments.length === 0
      ? 'The driver counts no GPUs on this node, so there is nothing to judge.'
      : `${total}: ${parts.join(', ')}.`;
  const lead = leadOf(findings, verdict);
  const first = lead ? ` ${subjectOf([lead])}: ${lead.what}` : '';
  const blind = log.coverage.readable
    ? ''
    : ' The kernel log could not be read, so past errors are not weighed.';
  return `${counted}${first}${blind}`;
}

/** The finding that summary and next step are about: of those that make the verdict, the one with the strongest action. */
function leadOf(findings: readonly Finding[], verdict: Verdict): Finding | undefined {
  if (verdict === 'ok') return undefined;
  const deciding = findings.filter((finding) => finding.verdict === verdict);
  const action = strongestAction(deciding.map((finding) => finding.action));
  return deciding.find((finding) => finding.action === action);
}

/** The GPUs that findings are about, or the node. */
function subjectOf(findings: readonly Finding[]): string {
  const gpus = findings.flatMap(({ gpu }) => gpu ?? []);
  return gpus.length > 0 ? `GPU ${gpus.join(', ')}` : 'Node';
}

function present(assessment: GpuAssessment, reading: GpuReading | undefined, detail: Detail) {
  const { gpu, verdict, score, action, checks } = assessment;
  const row = { index: gpu, uuid: reading?.gpu.uuid ?? null, verdict, score };
  const state = reading?.state ?? 'unreadable';
  return {
    ...row,
    ...(state === 'ok' ? {} : { state }),
    ...(action === 'none' ? {} : { action }),
    ...(detail === 'full'
      ? {
          name: reading?.gpu.name ?? null,
          pciAddress: reading?.gpu.pciAddress ?? null,
          probeMilliseconds: roundedProbe(reading),
          checks,
        }
      : {}),
  };
}

function nextSteps(findings: readonly Finding[], verdict: Verdict, log: KernelEventRead): NextStep[] {
  const steps: NextStep[] = [];
  const first = leadOf(findings, verdict);
  if (first) {
    const { action, ruleId } = first;
    const alike = findings.filter((finding) => finding.ruleId === ruleId && finding.action === action);
    steps.push({ action, reason: `${subjectOf(alike)}: ${first.what}` });
    if (findings.some(({ ruleId }) => ruleId.startsWith('log.'))) {
      steps.push({
        action: 'none',
        reason: 'See the kernel-log errors behind it.',
        tool: 'analyze_xid_errors',
      });
    }
  }
  if (verdict === 'unknown' || !log.coverage.readable) {
    steps.push({
      action: 'none',
      reason: 'See what cannot be read here, and what it needs.',
      command: 'k8s-gpu-mcp-server doctor',
    });
  }
  return steps;
}
