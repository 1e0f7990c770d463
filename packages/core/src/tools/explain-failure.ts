import { z } from 'zod';
import type { DiagnosticEvidence } from '../diagnosis/evidence.ts';
import { besideOf, plainestOf } from '../diagnosis/explain/choose-action.ts';
import { explainFailure } from '../diagnosis/explain/explain.ts';
import { subjectOfFinding } from '../diagnosis/explain/finding-signs.ts';
import { nearMilliseconds } from '../diagnosis/explain/scope.ts';
import {
  evidenceOfIncident,
  isPrimary,
  ruleIdOfIncident,
  type Subject,
  subjectOfIncident,
} from '../diagnosis/explain/sign.ts';
import { placeName } from '../diagnosis/explain/summary.ts';
import { causes, type Diagnosis, type DiagnosisQuestion, type Hypothesis } from '../domain/diagnosis.ts';
import type { Gap } from '../domain/gap.ts';
import type { Incident } from '../domain/incident.ts';
import { actions, confidences, type Evidence, type Finding } from '../domain/verdict.ts';
import { GpuError } from '../errors.ts';
import { gapReasonOf } from '../gpu-reader.ts';
import { overridesInForce } from '../health/thresholds.ts';
import { parseGpuSelector, resolveGpu } from '../selector.ts';
import {
  answerSchema,
  type Detail,
  findingsSchema,
  gpuBackendCoverage,
  makeAnswer,
  type NextStep,
} from './answer.ts';
import { checkOrder, detailArgument, gpuArgument, parseTime, timeArgument } from './arguments.ts';
import { byIncidentUrgency, presentIncident } from './kernel-events.ts';
import { examineNode } from './node-examination.ts';
import { defineTool } from './tool.ts';
import type { Toolkit } from './toolkit.ts';
import { quarantine } from './untrusted-text.ts';

const maximumFindings = 10;
const maximumIncidents = 3;
const summaryHypotheses = 3;
const summaryEvidence = 3;
const maximumValueLength = 120;

const pidExpected = 'expected a host process id from 1 to 4194304';

/** Is it the code or the hardware, how sure, why, and what now. */
export function explainFailureTool(toolkit: Toolkit) {
  return defineTool({
    name: 'explain_failure',
    title: 'Explain a failure',
    description:
      'Is it the code or the hardware? The likeliest cause of a GPU failure with confidence, evidence, alternatives, what would change the conclusion, and the one thing to do. Ask for a gpu, a host pid or a time; default: what is wrong now.',
    inputSchema: z.strictObject({
      gpu: gpuArgument,
      pid: z
        .int({ error: pidExpected })
        .min(1, pidExpected)
        .max(4_194_304, pidExpected)
        .describe('Host process id.')
        .optional(),
      at: timeArgument('Time of the failure'),
      since: timeArgument('Kernel-log events to weigh (default 24h), after this'),
      detail: detailArgument,
    }),
    outputSchema: answerSchema({
      notYourCode: z.union([z.boolean(), z.literal('undecided')]),
      cause: z.enum(causes),
      confidence: z.enum(confidences),
      action: z.enum(actions),
      hypotheses: z.array(z.looseObject({ cause: z.string(), likelihoodPercent: z.number() })),
      findings: findingsSchema,
      wouldChange: z.array(z.string()),
      notSeen: z.array(z.string()),
      incidents: z.array(z.looseObject({ id: z.string(), kind: z.string() })),
    }),
    async handle({ gpu, pid, at, since, detail }, signal) {
      const now = toolkit.clock.now();
      checkQuestion({ gpu, pid, at });
      const moment = at === undefined ? undefined : parseTime('at', at, now);
      const from = lookbackOf(since ?? toolkit.lookback, moment, now);
      if (gpu !== undefined) parseGpuSelector(gpu);
      const examination = await examineNode(toolkit, { since: from }, signal);
      const { evidence, question } =
        gpu === undefined
          ? { evidence: examination, question: questionOf(pid, moment) }
          : await ofGpu(toolkit, examination, gpu, signal);
      const diagnosis = explainFailure(evidence, question);
      const { verdict, notYourCode, cause, confidence, action, findings } = diagnosis;
      const shown = detail === 'full' ? findings : findings.slice(0, maximumFindings);
      const cited = citedIncidents(diagnosis, evidence.incidents);
      const { nodeError } = evidence;
      const overridden = overridesInForce(toolkit.thresholds);
      return makeAnswer(toolkit, detail, {
        verdict,
        summary: diagnosis.summary,
        payload: {
          notYourCode,
          cause,
          confidence,
          action,
          ...(diagnosis.gpu === undefined ? {} : { gpu: diagnosis.gpu }),
          hypotheses: presentHypotheses(diagnosis.hypotheses, detail),
          wouldChange: diagnosis.wouldChange,
          notSeen: diagnosis.notSeen,
          ...(overridden.length > 0 ? { thresholds: overridden } : {}),
          incidents: cited.slice(0, maximumIncidents).map((incident) => presentIncident(incident, detail)),
        },
        findings: shown.map((finding) => presentFinding(finding, detail)),
        gpuCount: evidence.readings.length,
        gaps: [...(nodeError ? [backendGap(nodeError)] : []), ...gapsOf(evidence, question)],
        gpuBackend: gpuBackendCoverage(toolkit, nodeError ?? undefined),
        kernelLog: evidence.kernelLog,
        ...(examination.bus ? { pciBus: examination.bus.coverage } : {}),
        nextSteps: nextSteps(toolkit, diagnosis, question, cited.length, evidence),
        ...(shown.length < findings.length ? { page: { total: findings.length, truncated: true } } : {}),
      });
    },
  });
}

type Asked = Readonly<Record<'gpu' | 'pid' | 'at', unknown>>;

/** @throws GpuError INVALID_INPUT for more than one of them. */
function checkQuestion(asked: Asked): void {
  const given = Object.entries(asked).filter(([, value]) => value !== undefined);
  if (given.length <= 1) return;
  const names = given.map(([name, value]) => `${name} = ${JSON.stringify(value).slice(0, 80)}`).join(' and ');
  throw new GpuError('INVALID_INPUT', `${names}: a failure is asked for by one of gpu, pid and at.`, {
    hint: 'Give one of gpu, pid and at, or none of them for what is wrong now.',
  });
}

/** From when on the log is read: far enough back to have what surrounds the time asked about. Undefined for all that it has. */
function lookbackOf(since: string | null, at: string | undefined, now: number): string | undefined {
  const from = since === null ? undefined : parseTime('since', since, now);
  if (from !== undefined) checkOrder(from, now);
  if (at === undefined) return from;
  if (Date.parse(at) > now) {
    throw new GpuError('INVALID_INPUT', `at = "${at}" is in the future.`, {
      hint: 'Give a time before now.',
    });
  }
  const before = new Date(Date.parse(at) - nearMilliseconds).toISOString();
  return from !== undefined && before < from ? before : from;
}

function questionOf(pid: number | undefined, at: string | undefined): DiagnosisQuestion {
  if (pid !== undefined) return { kind: 'pid', pid };
  return at === undefined ? { kind: 'newest' } : { kind: 'time', at };
}

interface Asking {
  readonly evidence: DiagnosticEvidence;
  readonly question: DiagnosisQuestion;
}

/** A GPU of the inventory, or a place on the bus of one that the driver does not list (any more). */
async function ofGpu(
  toolkit: Toolkit,
  evidence: DiagnosticEvidence,
  selector: string | number,
  signal: AbortSignal,
): Promise<Asking> {
  const parsed = parseGpuSelector(selector);
  const { node, nodeError } = evidence;
  try {
    if (!node) throw nodeError ?? new GpuError('UNAVAILABLE', 'there is no inventory');
    const { index } = await resolveGpu(selector, node.gpus, toolkit.reader, signal);
    return { evidence, question: { kind: 'gpu', index } };
  } catch (thrown) {
    const isThere =
      parsed.kind === 'pci' && (nodeError !== null || hasTraceOf(parsed.key, evidence))
        ? parsed.key
        : undefined;
    if (isThere !== undefined) return { evidence: atDevice(isThere, evidence), question: { kind: 'newest' } };
    if (!nodeError) throw thrown;
    throw new GpuError(
      nodeError.code,
      `gpu = ${JSON.stringify(selector).slice(0, 80)} cannot be looked up: ${nodeError.message}.`,
      { hint: 'Give the PCI address of the GPU instead, or leave gpu out.' },
    );
  }
}

const hasTraceOf = (pciDevice: string, { incidents, nodeFindings }: DiagnosticEvidence) =>
  incidents.some(({ pciAddress }) => pciAddress === pciDevice) ||
  nodeFindings.some((finding) => subjectOfFinding(finding).pciDevice === pciDevice);

/** What is known of one place on the bus, and of the node as a whole. */
function atDevice(pciDevice: string, evidence: DiagnosticEvidence): DiagnosticEvidence {
  return {
    ...evidence,
    readings: [],
    assessments: [],
    holders: [],
    holderFindings: [],
    incidents: evidence.incidents.filter(({ pciAddress }) => pciAddress === null || pciAddress === pciDevice),
    nodeFindings: evidence.nodeFindings.filter((finding) => {
      const subject = subjectOfFinding(finding);
      if (subject.pciDevice !== undefined) return subject.pciDevice === pciDevice;
      // A finding on incidents comes again with those that are left.
      return subject.gpu === undefined && !finding.ruleId.startsWith('log.');
    }),
  };
}

/** The incidents behind the findings, those of the likeliest cause first. */
function citedIncidents(
  { findings, hypotheses }: Diagnosis,
  incidents: readonly Incident[],
): readonly Incident[] {
  const places = new Map(findings.map(({ ruleId, gpu }, position) => [`${ruleId} ${gpu ?? ''}`, position]));
  const [leader] = hypotheses;
  const supports = new Set(
    hypotheses
      .filter(({ cause }) => cause === leader?.cause)
      .flatMap(({ supports }) => supports.map(({ field, at }) => `${field} ${at ?? ''}`)),
  );
  const rankOf = (incident: Incident) => {
    const { field, at } = evidenceOfIncident(incident);
    return supports.has(`${field} ${at ?? ''}`) ? 0 : 1;
  };
  const placeOf = (incident: Incident) =>
    places.get(`${ruleIdOfIncident(incident)} ${incident.gpu?.index ?? ''}`) ?? Number.POSITIVE_INFINITY;
  return incidents
    .filter((incident) => isPrimary(incident) && placeOf(incident) < Number.POSITIVE_INFINITY)
    .toSorted((a, b) => rankOf(a) - rankOf(b) || placeOf(a) - placeOf(b) || byIncidentUrgency(a, b));
}

const presentEvidence = (evidence: readonly Evidence[], limit: number) =>
  evidence.slice(0, limit).map(({ value, file, ...rest }) => ({
    ...rest,
    value: typeof value === 'string' ? quarantine(value, maximumValueLength) : value,
    ...(file === undefined ? {} : { file: quarantine(file, maximumValueLength) }),
  }));

function presentHypotheses(hypotheses: readonly Hypothesis[], detail: Detail) {
  const shown = detail === 'full' ? hypotheses : hypotheses.slice(0, summaryHypotheses);
  const limit = detail === 'full' ? Number.POSITIVE_INFINITY : summaryEvidence;
  return shown.map(({ supports, contradicts, ...rest }) => ({
    ...rest,
    supports: presentEvidence(supports, limit),
    ...(contradicts.length > 0 || detail === 'full'
      ? { contradicts: presentEvidence(contradicts, limit) }
      : {}),
  }));
}

const presentFinding = (finding: Finding, detail: Detail): Finding => ({
  ...finding,
  evidence: presentEvidence(finding.evidence, detail === 'full' ? Number.POSITIVE_INFINITY : 2),
});

const backendGap = (error: GpuError): Gap => ({
  field: 'gpuBackend',
  reason: gapReasonOf(error),
  detail: `${error.code}: ${error.message}`,
});

/** Of one GPU that was asked for, only its own and those of the node. */
const gapsOf = ({ gaps }: DiagnosticEvidence, question: DiagnosisQuestion) =>
  question.kind === 'gpu' ? gaps.filter(({ gpu }) => gpu === undefined || gpu === question.index) : gaps;

function nextSteps(
  { recorder, recorded }: Toolkit,
  { action, cause, findings, verdict, gpu }: Diagnosis,
  question: DiagnosisQuestion,
  citedCount: number,
  evidence: DiagnosticEvidence,
): NextStep[] {
  const { kernelLog, nodeError } = evidence;
  const [lead] = findings;
  const about = gpu === undefined ? {} : { gpu };
  const told = lead && (gpu === undefined ? lead : plainestOf(lead, findings));
  const alike = told
    ? findings.filter(({ ruleId, action: asked }) => ruleId === told.ruleId && asked === told.action)
    : [];
  const place = placeName(told ? alike.flatMap((finding) => subjectsOf(finding, evidence)) : [about]);
  // Files have no machine to look at: what they lack has to be collected there.
  const look = recorded ? collect : doctor;
  const first: NextStep =
    action === 'none' && cause === 'unknown'
      ? unknownStep(question, nodeError, look)
      : {
          action,
          reason: told && asksOrTells(told) ? `${place}: ${told.what}` : 'Nothing asks for an action.',
        };
  const isTold = verdict === 'critical' || verdict === 'warning';
  const timeline = {
    action: 'none',
    reason: 'What the GPU did before and after.',
    tool: 'get_gpu_timeline',
  } as const;
  const beside = lead && besideOf(lead, findings);
  const apart: NextStep | undefined = beside && {
    action: beside.action,
    reason: `Apart from that, ${placeName(subjectsOf(beside, evidence))}: ${beside.what}`,
  };
  return [
    first,
    ...(apart ? [apart] : []),
    ...elsewhere(cause, question, evidence),
    ...(isTold
      ? ([
          { action: 'none', reason: 'The evidence for a ticket or a return.', tool: 'get_incident_report' },
          ...(recorder ? [timeline] : []),
        ] as const)
      : []),
    ...(citedCount > maximumIncidents
      ? [{ action: 'none', reason: 'All errors of the kernel log.', tool: 'analyze_xid_errors' } as const]
      : []),
    ...(!kernelLog.readable && first.command === undefined && first !== look ? [look] : []),
  ];
}

/** Where to look when nothing is wrong with what was asked about. */
function elsewhere(
  cause: Diagnosis['cause'],
  question: DiagnosisQuestion,
  { readings, assessments }: DiagnosticEvidence,
): readonly NextStep[] {
  if (cause !== 'none') return [];
  const isOtherCritical =
    question.kind === 'gpu' &&
    assessments.some(({ gpu, verdict }) => gpu !== question.index && verdict === 'critical');
  return [
    ...(isOtherCritical
      ? [{ action: 'none', reason: 'Another GPU of this node is critical.', tool: 'get_gpu_health' } as const]
      : []),
    ...(readings.length > 1
      ? [
          {
            action: 'none',
            reason: 'If it is slow rather than dead, compare the GPUs.',
            tool: 'compare_gpus',
          } as const,
        ]
      : []),
  ];
}

/** What is well, or over, is no reason to do anything. */
const asksOrTells = ({ action, verdict }: Finding) => action !== 'none' || verdict !== 'ok';

/** What a finding is about; where the driver does not list the GPU, the address of its errors. */
function subjectsOf(lead: Finding, { incidents }: DiagnosticEvidence): readonly Subject[] {
  const subject = subjectOfFinding(lead);
  if (subject.gpu !== undefined || subject.pciDevice !== undefined) return [subject];
  const behind = incidents.filter(
    (incident) =>
      isPrimary(incident) && incident.gpu === undefined && ruleIdOfIncident(incident) === lead.ruleId,
  );
  return behind.length > 0 ? behind.map(subjectOfIncident) : [subject];
}

const collect: NextStep = {
  action: 'none',
  reason:
    'Give more files of that node: its kernel log (dmesg or journalctl -k), nvidia-smi -q, or nvidia-bug-report.log.gz.',
};

const doctor: NextStep = {
  action: 'none',
  reason: 'See what cannot be read here, and what it needs.',
  command: 'k8s-gpu-mcp-server doctor',
};

function unknownStep(question: DiagnosisQuestion, nodeError: GpuError | null, look: NextStep): NextStep {
  if (question.kind === 'pid' && !nodeError)
    return { action: 'none', reason: 'See which processes hold the GPUs.', tool: 'get_gpu_processes' };
  if (question.kind === 'time')
    return { action: 'none', reason: 'See at which times there were errors.', tool: 'analyze_xid_errors' };
  return nodeError && look === doctor ? { ...doctor, reason: nodeError.hint } : look;
}
