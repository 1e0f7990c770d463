import { z } from 'zod';
import { explainFailure } from '../diagnosis/explain/explain.ts';
import type { Diagnosis, DiagnosisQuestion } from '../domain/diagnosis.ts';
import { verdicts } from '../domain/verdict.ts';
import { GpuError } from '../errors.ts';
import { resolveGpu } from '../selector.ts';
import { answerSchema, findingsSchema, gpuBackendCoverage, makeAnswer, type NextStep } from './answer.ts';
import { checkOrder, detailArgument, gpuArgument, parseTime, timeArgument } from './arguments.ts';
import { examineNode, type NodeExamination } from './node-examination.ts';
import { assembleReport, type IncidentReport } from './report/incident-report.ts';
import { renderMarkdown } from './report/markdown.ts';
import { redactAnswer } from './report/redact.ts';
import { defineTool, type StructuredContent } from './tool.ts';
import type { Toolkit } from './toolkit.ts';

/** The evidence of an incident in one piece, for a ticket. */
export function getIncidentReport(toolkit: Toolkit) {
  return defineTool({
    name: 'get_incident_report',
    title: 'Incident report',
    description:
      'Evidence pack for a ticket or RMA: conclusion, serials, firmware, raw log lines, counters before and after, events, processes, coverage. JSON or Markdown; redacts user data on request.',
    inputSchema: z.strictObject({
      gpu: gpuArgument,
      incident: z
        .string()
        .min(1, incidentExpected)
        .max(200, incidentExpected)
        .describe('id of an incident of analyze_xid_errors or explain_failure.')
        .optional(),
      at: timeArgument('What happened around this').optional(),
      since: timeArgument('Kernel-log events after this (default 24h)'),
      format: z
        .enum(['json', 'markdown'], { error: 'expected "json" or "markdown"' })
        .default('json')
        .describe('"markdown": the report as text in the field markdown.'),
      redact: z.boolean().default(false).describe('Leave out names of users, processes, hosts and paths.'),
      detail: detailArgument,
    }),
    outputSchema: answerSchema({
      notYourCode: z.union([z.boolean(), z.literal('undecided')]),
      cause: z.string(),
      confidence: z.string(),
      verdict: z.enum(verdicts),
      findings: findingsSchema,
      reportId: z.string(),
      report: z.looseObject({}).optional(),
      markdown: z.string().optional(),
    }),
    async handle(input, signal) {
      const { gpu, incident, at, since, format, redact, detail } = input;
      checkOneSubject({ gpu, incident, at });
      const now = toolkit.clock.now();
      const lookback = since ?? toolkit.lookback ?? undefined;
      const from = lookback === undefined ? undefined : parseTime('since', lookback, now);
      if (from !== undefined) checkOrder(from, now);
      const moment = at === undefined ? undefined : parseTime('at', at, now);
      const examination = await examineNode(toolkit, { since: from }, signal);
      const question = await questionOf(toolkit, { gpu, incident, moment }, examination, signal);
      const diagnosis = explainFailure(examination, question);
      const gpus = subjectsOf(question, diagnosis, examination);
      const report = assembleReport({ examination, diagnosis, gpus, detail });
      const answer = present(toolkit, { examination, diagnosis, report, format, detail });
      if (!redact) return answer;
      const names = namesIn(examination, toolkit.nodeName);
      // The text is made anew from what is left, so that it says nothing that the fields no longer do.
      return format === 'json'
        ? redactAnswer(answer, names)
        : redactedMarkdown(toolkit, { examination, diagnosis, report, format, detail }, names);
    },
  });
}

const incidentExpected = 'expected the id of an incident, 1 to 200 characters';

/** @throws GpuError INVALID_INPUT when several are given. */
function checkOneSubject(subjects: Readonly<Record<string, unknown>>): void {
  const given = Object.keys(subjects).filter((name) => subjects[name] !== undefined);
  if (given.length < 2) return;
  throw new GpuError('INVALID_INPUT', `${given.join(' and ')} were given: a report is about one of them.`, {
    hint: 'Give one of gpu, incident and at, or none for whatever happened last.',
  });
}

interface Subject {
  readonly gpu: string | number | undefined;
  readonly incident: string | undefined;
  readonly moment: string | undefined;
}

/** @throws GpuError INVALID_INPUT, GPU_NOT_FOUND for what this node does not have; UNAVAILABLE when the driver cannot say. */
async function questionOf(
  toolkit: Toolkit,
  { gpu, incident, moment }: Subject,
  { node, nodeError, incidents }: NodeExamination,
  signal: AbortSignal,
): Promise<DiagnosisQuestion> {
  if (moment !== undefined) return { kind: 'time', at: moment };
  if (incident !== undefined) {
    const found = incidents.find(({ id }) => id === incident);
    if (!found) {
      throw new GpuError(
        'INVALID_INPUT',
        `incident = ${JSON.stringify(incident)} is none of the incidents of this time.`,
        {
          hint: 'Call analyze_xid_errors for the ids, or give an earlier since.',
        },
      );
    }
    if (found.gpu) return { kind: 'gpu', index: found.gpu.index };
    return found.lastAt === null ? { kind: 'newest' } : { kind: 'time', at: found.lastAt };
  }
  if (gpu === undefined) return { kind: 'newest' };
  if (node === null) {
    throw new GpuError(
      nodeError?.code ?? 'UNAVAILABLE',
      `gpu = ${JSON.stringify(gpu)} cannot be looked up while the driver cannot be asked.`,
      {
        hint: 'Leave gpu out for a report on the whole node.',
      },
    );
  }
  const { index } = await resolveGpu(gpu, node.gpus, toolkit.reader, signal);
  return { kind: 'gpu', index };
}

/** The GPUs that a report is about: the one asked for, else the one concluded on, else those with a finding. */
function subjectsOf(
  question: DiagnosisQuestion,
  { gpu, findings }: Diagnosis,
  { readings }: NodeExamination,
) {
  if (question.kind === 'gpu') return [question.index];
  if (gpu !== undefined) return [gpu];
  const found = [...new Set(findings.flatMap((finding) => finding.gpu ?? []))].sort((a, b) => a - b);
  return found.length > 0 ? found : readings.map((reading) => reading.gpu.index);
}

interface Parts {
  readonly examination: NodeExamination;
  readonly diagnosis: Diagnosis;
  readonly report: IncidentReport;
  readonly format: 'json' | 'markdown';
  readonly detail: 'summary' | 'full';
}

const maximumFindings = { summary: 6, full: 40 } as const;

function present(toolkit: Toolkit, parts: Parts): StructuredContent {
  const { examination, diagnosis, report, format, detail } = parts;
  const { verdict, notYourCode, cause, confidence, action, summary } = diagnosis;
  const { reportId, ...content } = report;
  const findings = diagnosis.findings.slice(0, maximumFindings[detail]);
  const body =
    format === 'markdown'
      ? {
          markdown: renderMarkdown({
            node: toolkit.nodeName,
            diagnosis: { ...diagnosis, findings },
            report,
            coverage: coverageLines(examination),
          }),
        }
      : { report: content };
  return makeAnswer(toolkit, detail, {
    verdict,
    summary,
    payload: { notYourCode, cause, confidence, reportId, ...body },
    // The text has them already.
    findings: format === 'markdown' ? findings.slice(0, 1) : findings,
    gaps: examination.gaps,
    gpuCount: examination.readings.length,
    gpuBackend: gpuBackendCoverage(toolkit, examination.nodeError ?? undefined),
    kernelLog: examination.kernelLog,
    ...(examination.bus ? { pciBus: examination.bus.coverage } : {}),
    nextSteps: nextSteps(action, diagnosis),
  });
}

function nextSteps(action: Diagnosis['action'], { findings, summary }: Diagnosis): NextStep[] {
  return [
    { action, reason: findings[0]?.what ?? summary },
    {
      action: 'none',
      reason: 'For the vendor, add its own report, taken before anything is reset.',
      command: 'nvidia-bug-report.sh',
    },
  ];
}

function coverageLines({ kernelLog, nodeError, readings, bus }: NodeExamination): string[] {
  const unread = readings.filter(({ state }) => state !== 'ok').length;
  return [
    nodeError
      ? `The driver could not be asked (${nodeError.code}).`
      : `${readings.length} GPUs asked, ${unread} did not answer in full.`,
    kernelLog.readable
      ? `Kernel log read from ${kernelLog.from ?? 'its beginning'} to ${kernelLog.to ?? 'its end'}.`
      : 'The kernel log could not be read.',
    ...(bus && !bus.coverage.readable ? ['The PCI bus could not be read.'] : []),
  ];
}

/** The words that name users, programs and this node. */
function namesIn({ holders, incidents }: NodeExamination, nodeName: string): readonly string[] {
  return [
    nodeName,
    ...holders.flatMap(({ process }) => (process ? [process.name, process.userName ?? ''] : [])),
    ...incidents.flatMap(({ processes }) => processes.map(({ name }) => name ?? '')),
  ];
}

function redactedMarkdown(toolkit: Toolkit, parts: Parts, names: readonly string[]): StructuredContent {
  const { report, ...envelope } = redactAnswer({ ...present(toolkit, { ...parts, format: 'json' }) }, names);
  const content = { reportId: parts.report.reportId, ...(report as Omit<IncidentReport, 'reportId'>) };
  const { markdown: _, ...answer } = envelope as StructuredContent & { markdown?: unknown };
  return {
    ...answer,
    markdown: renderMarkdown({
      node: '[redacted]',
      diagnosis: parts.diagnosis,
      report: content,
      coverage: coverageLines(parts.examination),
    }),
  };
}
