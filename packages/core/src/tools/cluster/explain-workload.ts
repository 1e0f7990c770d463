import { z } from 'zod';
import type { TerminationFact } from '../../cluster/termination.ts';
import {
  explainWorkload,
  hasRun,
  isHeard,
  type WorkloadExplanation,
} from '../../cluster/workload-failure.ts';
import { isTelling } from '../../cluster/workload-failure-hardware.ts';
import { workloadCauses } from '../../cluster/workload-failure-rules.ts';
import { clusterReason } from '../../cluster/workload-failure-software.ts';
import type { Gap } from '../../domain/gap.ts';
import { actions, confidences } from '../../domain/verdict.ts';
import { findingsSchema, type NextStep } from '../answer.ts';
import { detailArgument, timeArgument } from '../arguments.ts';
import { defineTool, type StructuredContent } from '../tool.ts';
import { type ClusterCoverage, clusterAnswerSchema, makeClusterAnswer } from './cluster-answer.ts';
import { type ClusterToolkit, tracedBy } from './cluster-toolkit.ts';
import {
  fitting,
  presentEvents,
  presentFindings,
  presentHypothesis,
  presentNodes,
  presentSubject,
  presentTerminations,
  presentWays,
  reasonOfAction,
  simulatedNodeCountOf,
  withSimulated,
} from './explain-workload-present.ts';
import { gatherWorkload, type WorkloadEvidence } from './gather-workload.ts';
import { momentArgument, parseWorkload, workloadArguments } from './workload-subject.ts';

/** A timeline of one node, within the answer. */
const maximumTimelineBytes = 16_000;

/** Is it the code or the hardware, of a pod or a job: the same question that agents answer for their nodes. */
export function explainWorkloadTool(shared: ClusterToolkit) {
  return defineTool({
    name: 'explain_failure',
    title: 'Explain a failure',
    description:
      'Why a pod or a job failed: code or hardware, how sure, and the one thing to do. Joins ends of its containers, events and conditions with what the agents of its nodes saw at that time.',
    inputSchema: z.strictObject({
      ...workloadArguments,
      at: timeArgument('Time of the failure, where the cluster does not tell'),
      detail: detailArgument,
    }),
    outputSchema: clusterAnswerSchema({
      notYourCode: z.union([z.boolean(), z.literal('undecided')]),
      cause: z.enum(workloadCauses),
      confidence: z.enum(confidences),
      action: z.enum(actions),
      hypotheses: z.array(z.looseObject({ cause: z.string() })),
      terminations: z.array(z.looseObject({ kind: z.string() })),
      events: z.array(z.looseObject({ reason: z.string() })),
      nodes: z.array(z.looseObject({ node: z.string() })),
      findings: findingsSchema,
    }),
    async handle({ at, detail, ...question }, signal, _progress, context) {
      const toolkit = tracedBy(shared, context);
      const { clock } = toolkit;
      const subject = parseWorkload(question);
      const asked = momentArgument(at, clock.now());
      const withTimeline = detail === 'full';
      const evidence = await gatherWorkload(toolkit, subject, signal, { at: asked, withTimeline });
      const explained = explainWorkload(evidence);
      const { verdict, notYourCode, cause, confidence, action, hypotheses } = explained;
      const summary = withSimulated(explained.summary, simulatedNodeCountOf(evidence));
      const [conclusion] = hypotheses;
      const timeline = timelineOf(evidence, conclusion?.node ?? null);
      return fitting(detail, (caps) =>
        makeClusterAnswer(clock, detail, {
          node: null,
          verdict,
          summary,
          payload: {
            subject: presentSubject(evidence),
            failedAt: evidence.moment.basis === 'now' ? null : evidence.moment.at,
            notYourCode,
            cause,
            confidence,
            action,
            hypotheses: hypotheses.slice(0, caps.hypotheses).map(presentHypothesis),
            ways: presentWays(evidence, caps),
            terminations: presentTerminations(evidence, caps),
            endedPodCount: evidence.ends.length,
            ...presentEvents(evidence, caps, detail),
            nodes: presentNodes(evidence, explained.hardware, caps),
            wouldChange: explained.wouldChange,
            notSeen: explained.notSeen,
            ...timeline.payload,
          },
          findings: presentFindings(explained, caps),
          gaps: [...evidence.gaps, ...timeline.gaps],
          coverage: coverageOf(evidence, explained),
          nextSteps: nextSteps(evidence, explained),
        }),
      );
    },
  });
}

export interface WorkloadCoverage extends ClusterCoverage {
  /** Absent where no agent tells of simulated GPUs. */
  readonly gpuBackend?: { readonly simulatedNodeCount: number };
}

/** What an answer about a workload rests on. */
export const coverageOf = (evidence: WorkloadEvidence, explained: WorkloadExplanation): WorkloadCoverage => ({
  node: evidence.nodes.length === 0 ? null : evidence.nodes.every(({ node }) => node !== null),
  pods: evidence.pods !== null,
  claims: null,
  events: evidence.events !== null,
  agent: evidence.nodeCount === 0 ? null : explained.unheardNodeCount === 0,
  podResources: evidence.nodes.length === 0 ? null : evidence.nodes.every(({ gpus }) => gpus !== null),
  ...gpuBackendOf(evidence),
});

function gpuBackendOf(evidence: WorkloadEvidence): Pick<WorkloadCoverage, 'gpuBackend'> {
  const simulatedNodeCount = simulatedNodeCountOf(evidence);
  return simulatedNodeCount === 0 ? {} : { gpuBackend: { simulatedNodeCount } };
}

/** Of the node that the conclusion is about: what its agent recorded. */
function timelineOf(
  { nodes }: WorkloadEvidence,
  wanted: string | null,
): { readonly payload: StructuredContent; readonly gaps: readonly Gap[] } {
  const node = nodes.find(({ name }) => name === wanted) ?? nodes[0];
  const content = node?.answers.get_gpu_timeline?.content;
  if (!node || !content) return { payload: {}, gaps: [] };
  // What happened, and not what the agent advises: the advice here is ours.
  const { summary: _summary, nextSteps: _nextSteps, findings: _findings, ...timeline } = content;
  if (JSON.stringify(timeline).length <= maximumTimelineBytes) return { payload: { timeline }, gaps: [] };
  const detail = 'too long for this answer; call get_gpu_timeline of that node';
  return { payload: {}, gaps: [{ field: 'timeline', reason: 'not-observable', detail }] };
}

/** Names of pods are anybody's, so a command has none in it. Only a container that was started again has a log of before. */
const readLog = (which: TerminationFact['which']): NextStep => ({
  action: 'none',
  reason: 'See what the program itself said: the last lines of the first pod that ended.',
  command: `kubectl logs POD --namespace NAMESPACE --all-containers${which === 'current' ? '' : ' --previous'}`,
});

function nextSteps(evidence: WorkloadEvidence, explained: WorkloadExplanation): NextStep[] {
  const { hypotheses, hardware, unheardNodeCount, action, notYourCode } = explained;
  const [conclusion] = hypotheses;
  const ruleId = clusterReason(evidence)?.ruleId;
  const steps: NextStep[] = [];
  if (action !== 'none' && conclusion) steps.push({ action, reason: reasonOfAction(conclusion, ruleId) });
  const told = hardware.find(isTelling) ?? hardware[0];
  if (told)
    steps.push({
      action: 'none',
      reason: 'The evidence of that node, for a ticket or a return.',
      tool: 'get_incident_report',
    });
  if (ruleId === 'workload.insufficient-gpus' || ruleId === 'workload.device-unavailable')
    steps.push(
      {
        action: 'none',
        reason:
          ruleId === 'workload.insufficient-gpus'
            ? 'GPUs are taken or out of service: describe_gpu_node tells of a node.'
            : 'See why a node gives out fewer GPUs than it has.',
        tool: 'describe_gpu_node',
      },
      { action: 'none', reason: 'See who holds the GPUs.', tool: 'get_pod_gpu_allocation' },
    );
  const silent = evidence.nodes.filter((node) => !isHeard(node)).length;
  if (silent > 0)
    steps.push({
      action: 'none',
      reason: `${silent} of its nodes did not tell of their hardware.`,
      tool: 'get_gpu_health',
    });
  if (unheardNodeCount > silent)
    steps.push({
      action: 'none',
      reason: `${unheardNodeCount - silent} of its nodes were not asked: see their errors at that time.`,
      tool: 'analyze_xid_errors',
    });
  const [lead] = evidence.ends;
  if (notYourCode !== true && lead && hasRun(lead)) steps.push(readLog(lead.fact.which));
  return steps;
}
