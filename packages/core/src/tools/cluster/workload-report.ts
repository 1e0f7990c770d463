import { z } from 'zod';
import { explainWorkload, type WorkloadExplanation } from '../../cluster/workload-failure.ts';
import { type WorkloadRuleId, workloadCauses } from '../../cluster/workload-failure-rules.ts';
import { clusterReason } from '../../cluster/workload-failure-software.ts';
import type { Gap } from '../../domain/gap.ts';
import { actions, confidences } from '../../domain/verdict.ts';
import { type Detail, findingsSchema, type NextStep, presentGaps } from '../answer.ts';
import { detailArgument, timeArgument } from '../arguments.ts';
import { defineTool, type StructuredContent } from '../tool.ts';
import { clusterAnswerSchema, makeClusterAnswer } from './cluster-answer.ts';
import { type ClusterToolkit, tracedBy } from './cluster-toolkit.ts';
import { coverageOf } from './explain-workload.ts';
import {
  presentFindings,
  presentHypothesis,
  reasonOfAction,
  simulatedNodeCountOf,
  withSimulated,
} from './explain-workload-present.ts';
import { gatherWorkload, type WorkloadEvidence } from './gather-workload.ts';
import { type CitedReport, hearReport } from './report/agent-report.ts';
import { renderWorkloadMarkdown } from './report/workload-markdown.ts';
import { redactWorkload, unredacted } from './report/workload-redaction.ts';
import {
  assembleWorkloadReport,
  type ReportCaps,
  redactedFindings,
  redactedGaps,
  subjectOfReport,
  workloadReportId,
} from './report/workload-report.ts';
import { courseOf } from './report/workload-timeline.ts';
import { momentArgument, parseWorkload, workloadArguments } from './workload-subject.ts';

/** The evidence of a failed pod or job in one piece, for a ticket. */
export function workloadReportTool(shared: ClusterToolkit) {
  return defineTool({
    name: 'get_incident_report',
    title: 'Incident report',
    description:
      'Evidence pack of a pod or a job for a ticket: owners, conclusion, one timeline of cluster and nodes, the reports of the agents of its nodes with serials and raw log lines, what was not seen. JSON or Markdown; redacts names on request.',
    inputSchema: z.strictObject({
      ...workloadArguments,
      at: timeArgument('Time of the failure, where the cluster does not tell'),
      format: z
        .enum(['json', 'markdown'], { error: 'expected "json" or "markdown"' })
        .default('json')
        .describe('"markdown": the report as text in the field markdown.'),
      redact: z
        .boolean()
        .default(false)
        .describe('Leave out names of namespaces, jobs, pods, nodes, users, processes and paths.'),
      detail: detailArgument,
    }),
    outputSchema: clusterAnswerSchema({
      notYourCode: z.union([z.boolean(), z.literal('undecided')]),
      cause: z.enum(workloadCauses),
      confidence: z.enum(confidences),
      action: z.enum(actions),
      findings: findingsSchema,
      reportId: z.string(),
      report: z.looseObject({}).optional(),
      markdown: z.string().optional(),
    }),
    async handle({ at, format, redact, detail, ...question }, signal, _progress, context) {
      const toolkit = tracedBy(shared, context);
      const { clock } = toolkit;
      const subject = parseWorkload(question);
      const asked = momentArgument(at, clock.now());
      const gathered = await gatherWorkload(toolkit, subject, signal, {
        at: asked,
        report: { detail, redact },
      });
      const heard = gathered.nodes.map(({ answers }) => hearReport(answers.get_incident_report));
      const redaction = redact ? redactWorkload(gathered, heard) : unredacted(gathered);
      const { evidence } = redaction;
      const explained = explainWorkload(evidence);
      const reports = new Map(
        evidence.nodes.flatMap(({ name }, index): [string, CitedReport][] => {
          const report = heard[index];
          return report ? [[name, report]] : [];
        }),
      );
      const sources = { redaction, explained, reports, course: courseOf(evidence, reports) };
      const reportId = workloadReportId(sources);
      const gaps = redactedGaps([...evidence.gaps, ...unreadReports(evidence, reports)], redaction);
      const { verdict, notYourCode, cause, confidence, action } = explained;
      const simulatedNodeCount = simulatedNodeCountOf(gathered);
      const summary = withSimulated(explained.summary, simulatedNodeCount);
      const ruleId = clusterReason(evidence)?.ruleId;
      const failedAt = evidence.moment.basis === 'now' ? null : evidence.moment.at;
      const observedAt = new Date(clock.now()).toISOString();
      return fitting(detail, (caps, isCut) => {
        const report = assembleWorkloadReport(sources, caps);
        const findings = redactedFindings(presentFindings(explained, caps), redaction);
        const isText = format === 'markdown';
        const parts = {
          subject: subjectOfReport(redaction),
          reportId,
          observedAt,
          failedAt,
          simulatedNodeCount,
          explained,
          findings,
          hypothesisCount: caps.hypotheses,
          report,
          gaps: presentGaps(gaps, detail).slice(0, maximumGaps),
        };
        const isShort = isCut || Object.keys(report.omitted).length > 0;
        return makeClusterAnswer(clock, detail, {
          node: null,
          verdict,
          summary,
          payload: {
            subject: parts.subject,
            failedAt,
            notYourCode,
            cause,
            confidence,
            action,
            reportId,
            truncated: isShort,
            ...(isText
              ? { markdown: renderWorkloadMarkdown(parts) }
              : {
                  hypotheses: explained.hypotheses.slice(0, caps.hypotheses).map(presentHypothesis),
                  report,
                  wouldChange: explained.wouldChange,
                  notSeen: explained.notSeen,
                }),
          },
          // The text has the others.
          findings: isText ? findings.slice(0, 1) : findings,
          gaps,
          coverage: coverageOf(evidence, explained),
          nextSteps: nextSteps(explained, ruleId, isShort && detail === 'summary'),
        });
      });
    },
  });
}

const maximumGaps = 24;

const capsOfDetail: Readonly<Record<Detail, ReportCaps>> = {
  summary: {
    ways: 4,
    terminations: 3,
    events: 0,
    nodes: 3,
    incidents: 2,
    hypotheses: 2,
    findings: 3,
    timeline: 16,
    gpus: 2,
    otherGpus: 0,
    counters: 6,
    rawLines: 1,
  },
  full: {
    ways: 16,
    terminations: 64,
    events: 0,
    nodes: 8,
    incidents: 24,
    hypotheses: 8,
    findings: 16,
    timeline: 200,
    gpus: 16,
    otherGpus: 16,
    counters: 24,
    rawLines: 3,
  },
};
/** Four bytes are a token: 4,000 and 25,000 of them. */
const budgetBytes: Readonly<Record<Detail, number>> = { summary: 15_600, full: 98_000 };

/** The answer with as much of its lists as fits: all are shortened alike until it does. */
function fitting(
  detail: Detail,
  build: (caps: ReportCaps, isCut: boolean) => StructuredContent,
): StructuredContent {
  let caps = capsOfDetail[detail];
  for (let isCut = false; ; isCut = true) {
    const answer = build(caps, isCut);
    const isLeast = Object.values(caps).every((count) => count <= 1);
    const bytes = bytesOf(answer);
    if (bytes <= budgetBytes[detail] || isLeast) return answer;
    const share = Math.min(0.8, Math.max(0.4, budgetBytes[detail] / bytes));
    const less = (count: number) => Math.max(1, Math.floor(count * share));
    caps = {
      ways: less(caps.ways),
      terminations: less(caps.terminations),
      events: 0,
      nodes: less(caps.nodes),
      incidents: less(caps.incidents),
      hypotheses: less(caps.hypotheses),
      findings: less(caps.findings),
      timeline: less(caps.timeline),
      gpus: less(caps.gpus),
      otherGpus: Math.floor(caps.otherGpus * share),
      counters: less(caps.counters),
      rawLines: less(caps.rawLines),
    };
  }
}

const bytesOf = (answer: StructuredContent) => new TextEncoder().encode(JSON.stringify(answer)).length;

/** Of agents that answered, but not with a report that this version reads. */
function unreadReports(
  { nodes }: WorkloadEvidence,
  reports: ReadonlyMap<string, CitedReport>,
): readonly Gap[] {
  const unread = nodes.filter(
    ({ name, answers }) => answers.get_incident_report?.content && !reports.has(name),
  );
  if (unread.length === 0) return [];
  const detail = `${unread.length} agents reported in another form than this version reads`;
  return [{ field: 'agent.get_incident_report', reason: 'error', detail }];
}

function nextSteps(
  { action, hypotheses, hardware }: WorkloadExplanation,
  ruleId: WorkloadRuleId | undefined,
  isShort: boolean,
): NextStep[] {
  const [conclusion] = hypotheses;
  return [
    ...(conclusion ? [{ action, reason: reasonOfAction(conclusion, ruleId) }] : []),
    ...(hardware.length > 0
      ? [
          {
            action: 'none' as const,
            reason: 'For the vendor: the report of that node with detail "full", by its name.',
            tool: 'get_incident_report',
          },
          {
            action: 'none' as const,
            reason: "And the vendor's own, taken on that node before anything is reset.",
            command: 'nvidia-bug-report.sh',
          },
        ]
      : []),
    ...(isShort
      ? [
          {
            action: 'none' as const,
            reason: 'detail "full" has more of what is left out.',
            tool: 'get_incident_report',
          },
        ]
      : []),
  ];
}
