import { z } from 'zod';
import { explainFailure } from '../diagnosis/explain/explain.ts';
import type { Diagnosis, DiagnosisQuestion } from '../domain/diagnosis.ts';
import type { Gap } from '../domain/gap.ts';
import { type Evidence, type Finding, verdicts } from '../domain/verdict.ts';
import { gapReasonOf } from '../gpu-reader.ts';
import {
  answerSchema,
  type Detail,
  findingsSchema,
  gpuBackendCoverage,
  makeAnswer,
  type NextStep,
  presentGaps,
} from './answer.ts';
import { detailArgument, gpuArgument, timeArgument } from './arguments.ts';
import { examineNode, type NodeExamination } from './node-examination.ts';
import { assembleReport, reportIdOf, shortReport } from './report/incident-report.ts';
import { renderMarkdown } from './report/markdown.ts';
import { nothingRedacted, redactionFor } from './report/redact.ts';
import { redacted } from './report/redact-text.ts';
import { checkAsked, lookbackOf, subjectOf } from './report/report-subject.ts';
import { defineTool } from './tool.ts';
import type { Toolkit } from './toolkit.ts';
import { quarantine } from './untrusted-text.ts';

const incidentExpected = 'expected the id of an incident, 1 to 200 characters';

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
      action: z.string(),
      verdict: z.enum(verdicts),
      findings: findingsSchema,
      reportId: z.string(),
      report: z.looseObject({}).optional(),
      markdown: z.string().optional(),
    }),
    async handle({ gpu, incident, at, since, format, redact, detail }, signal) {
      const asked = { gpu, incident, at };
      checkAsked(asked);
      const from = lookbackOf(since ?? toolkit.lookback, asked, toolkit.clock.now());
      const seen = await examineNode(toolkit, { since: from }, signal);
      const { examination, question, isAsked } = await subjectOf(toolkit, asked, seen, signal);
      const diagnosis = explainFailure(examination, question);
      // Names are those of all that was seen: a line about one device may tell what runs on another.
      const clean = redact ? redactionFor(seen, toolkit.nodeName) : nothingRedacted;
      const whole = assembleReport({
        examination,
        gpus: subjectsOf(question, diagnosis, examination),
        isAsked,
      });
      const reportId = reportIdOf(whole, diagnosis, clean);
      const report = clean(detail === 'full' ? whole : shortReport(whole));
      const findings = clean(presentFindings(diagnosis.findings, detail));
      const gaps = clean(presentGaps(gapsOf(examination, question), detail, examination.readings.length));
      const { verdict, notYourCode, cause, confidence, action, summary } = diagnosis;
      const isText = format === 'markdown';
      const answer = makeAnswer(toolkit, detail, {
        verdict,
        summary,
        payload: { notYourCode, cause, confidence, action, reportId, ...(isText ? {} : { report }) },
        // The text has the others.
        findings: isText ? findings.slice(0, 1) : findings,
        gaps,
        gpuBackend: gpuBackendCoverage(toolkit, examination.nodeError ?? undefined),
        kernelLog: clean(examination.kernelLog),
        ...(examination.bus ? { pciBus: examination.bus.coverage } : {}),
        nextSteps: nextSteps(diagnosis, detail === 'summary' && Object.keys(report.omitted).length > 0),
      });
      const node = redact ? redacted : toolkit.nodeName;
      if (!isText) return { ...answer, node };
      const coverage = coverageLines(examination);
      const observedAt = examination.observedAt;
      const isSimulated = toolkit.reader.manifest.simulated;
      const parts = {
        ...{ node, reportId, observedAt, diagnosis, findings, report, coverage, gaps, isSimulated },
      };
      return { ...answer, node, markdown: renderMarkdown(parts) };
    },
  });
}

/** The GPUs that a report is about: the one asked for, else the one concluded on, else those with a finding, else all. */
function subjectsOf(
  question: DiagnosisQuestion,
  { gpu, findings }: Diagnosis,
  { readings }: NodeExamination,
): readonly number[] {
  if (question.kind === 'gpu') return [question.index];
  if (gpu !== undefined) return [gpu];
  const found = [...new Set(findings.flatMap((finding) => finding.gpu ?? []))];
  return found.length > 0 ? found : readings.map((reading) => reading.gpu.index);
}

const maximumFindings = { summary: 4, full: 40 } as const satisfies Record<Detail, number>;
const maximumEvidence = { summary: 2, full: 8 } as const satisfies Record<Detail, number>;
const maximumValueLength = 120;

const presentFindings = (findings: readonly Finding[], detail: Detail): readonly Finding[] =>
  findings.slice(0, maximumFindings[detail]).map((finding) => ({
    ...finding,
    evidence: finding.evidence.slice(0, maximumEvidence[detail]).map(presentEvidence),
  }));

const presentEvidence = ({ value, file, ...rest }: Evidence): Evidence => ({
  ...rest,
  value: typeof value === 'string' ? quarantine(value, maximumValueLength) : value,
  ...(file === undefined ? {} : { file: quarantine(file, maximumValueLength) }),
});

/** Of one GPU that was asked for, only its own and those of the node. */
function gapsOf({ gaps, nodeError }: NodeExamination, question: DiagnosisQuestion): readonly Gap[] {
  const own =
    question.kind === 'gpu' ? gaps.filter(({ gpu }) => gpu === undefined || gpu === question.index) : gaps;
  if (!nodeError) return own;
  const { code, message } = nodeError;
  return [{ field: 'gpuBackend', reason: gapReasonOf(nodeError), detail: `${code}: ${message}` }, ...own];
}

function nextSteps({ action, findings, summary }: Diagnosis, isShort: boolean): NextStep[] {
  return [
    { action, reason: findings[0]?.what ?? summary },
    {
      action: 'none',
      reason: 'For the vendor add its own report, taken before anything is reset.',
      command: 'nvidia-bug-report.sh',
    },
    ...(isShort
      ? [
          {
            action: 'none',
            reason: 'detail "full" has what omitted counts.',
            tool: 'get_incident_report',
          } as const,
        ]
      : []),
  ];
}

function coverageLines({ kernelLog, nodeError, readings, bus }: NodeExamination): string[] {
  const unread = readings.filter(({ state }) => state !== 'ok').length;
  return [
    nodeError
      ? `The driver could not be asked (${nodeError.code}).`
      : `${readings.length} ${readings.length === 1 ? 'GPU' : 'GPUs'} asked, ${unread} did not answer in full.`,
    kernelLog.readable
      ? `Kernel log read from ${kernelLog.from ?? 'its beginning'} to ${kernelLog.to ?? 'its end'}.`
      : 'The kernel log could not be read.',
    ...(bus && !bus.coverage.readable ? ['The PCI bus could not be read.'] : []),
  ];
}
