import { z } from 'zod';
import { leadOfAll, plainestOf } from '../diagnosis/explain/choose-action.ts';
import { confirmed, findingOfIncident } from '../diagnosis/explain/findings.ts';
import { isPrimary } from '../diagnosis/explain/sign.ts';
import type { GpuReading } from '../domain/gpu.ts';
import { type Finding, strongestAction, type Verdict, verdicts, worstVerdict } from '../domain/verdict.ts';
import { GpuError } from '../errors.ts';
import { byUrgency, type GpuAssessment, scoreOf } from '../health/assess.ts';
import { overridesInForce } from '../health/thresholds.ts';
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
import type { KernelEventRead } from './kernel-events.ts';
import { examineNode } from './node-examination.ts';
import { defineTool } from './tool.ts';
import type { Toolkit } from './toolkit.ts';

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
      since: timeArgument(`Kernel-log events to weigh (default 24h), after this`),
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
      const lookback = since ?? toolkit.lookback;
      const from = lookback === null ? undefined : parseTime('since', lookback, now);
      if (from !== undefined) checkOrder(from, now);
      const examination = await examineNode(toolkit, { gpu, since: from }, signal);
      const { node, nodeError, readings, assessments, nodeFindings, holderFindings, log, bus } = examination;
      const onBus = bus ? { pciBus: bus.coverage } : {};
      if (node === null) {
        const payload = { score: null, gpus: examination.busGpus.map((each) => ({ ...each, score: null })) };
        return backendUnreadable(toolkit, nodeError ?? nothingToAsk, payload, {
          kernelLog: log.coverage,
          ...onBus,
          gaps: examination.gaps,
          findings: gpu === undefined ? nodeFindings : [],
        });
      }
      const ofLog = examination.incidents.filter(isPrimary).map(findingOfIncident);
      const judged = assessments.map((assessment) => withFindings(assessment, holderFindings, ofLog));
      const ofNode = [...nodeFindings, ...holderFindings.filter((finding) => finding.gpu === undefined)];
      const verdict = worstVerdict([...judged, ...ofNode].map((each) => each.verdict));
      const findings = [...judged.flatMap((each) => each.findings), ...ofNode].sort(byUrgency);
      const shown = detail === 'full' ? findings : findings.slice(0, maximumFindings);
      const overridden = overridesInForce(toolkit.thresholds);
      return makeAnswer(toolkit, detail, {
        verdict,
        summary: summarise(judged, findings, log, verdict),
        payload: {
          score: nodeScore(judged, ofNode),
          ...(overridden.length > 0 ? { thresholds: overridden } : {}),
          gpus: judged.map((assessment, position) => present(assessment, readings[position], detail)),
        },
        findings: shown,
        gpuCount: readings.length,
        gaps: examination.gaps,
        gpuBackend: gpuBackendCoverage(toolkit, undefined),
        kernelLog: log.coverage,
        ...onBus,
        nextSteps: nextSteps(findings, verdict, log),
        ...(shown.length < findings.length ? { page: { total: findings.length, truncated: true } } : {}),
      });
    },
  });
}

const nothingToAsk = new GpuError('UNAVAILABLE', 'nothing here can be asked for GPUs');

/**
 * What holds a GPU belongs to its verdict as much as what its driver says. What the log has confirms a finding although it may be none of
 * health by itself, like an error of a program.
 */
function withFindings(
  assessment: GpuAssessment,
  more: readonly Finding[],
  ofLog: readonly Finding[],
): GpuAssessment {
  const own = more.filter(({ gpu }) => gpu === assessment.gpu);
  const all = [...assessment.findings, ...own];
  if (all.length === 0) return assessment;
  const findings = confirmed([...all, ...ofLog])
    .slice(0, all.length)
    .sort(byUrgency);
  const verdict = worstVerdict([assessment.verdict, ...own.map((finding) => finding.verdict)]);
  const deciding = findings.filter((finding) => finding.verdict === verdict);
  return {
    ...assessment,
    findings,
    verdict,
    score: scoreOf(verdict, findings),
    action: strongestAction(deciding.map((finding) => finding.action)),
  };
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
  const first = lead ? ` ${subjectOf([lead])}: ${plainestOf(lead, findings).what}` : '';
  const blind = log.coverage.readable
    ? ''
    : ' The kernel log could not be read, so past errors are not weighed.';
  return `${counted}${first}${blind}`;
}

/** The finding that summary and next step are about: of those that make the verdict, as explain_failure ranks them. */
function leadOf(findings: readonly Finding[], verdict: Verdict): Finding | undefined {
  return verdict === 'ok' ? undefined : leadOfAll(findings);
}

/** The GPUs that findings are about, or the node. */
function subjectOf(findings: readonly Finding[]): string {
  const gpus = findings.flatMap(({ gpu }) => gpu ?? []);
  return gpus.length > 0 ? `GPU ${gpus.join(', ')}` : 'Node';
}

function present(assessment: GpuAssessment, reading: GpuReading | undefined, detail: Detail) {
  const { gpu, verdict, score, checks, findings } = assessment;
  const action = leadOf(findings, verdict)?.action ?? assessment.action;
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
  const lead = leadOf(findings, verdict);
  if (lead) {
    const first = plainestOf(lead, findings);
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
