import { z } from 'zod';
import {
  type ComparisonMetric,
  comparisonMetrics,
  comparisonTopics,
} from '../diagnosis/comparison-metrics.ts';
import { type Comparison, compareGpus, type GpuSeries, type Outlier } from '../diagnosis/outliers.ts';
import { stalledCollectiveFindings } from '../diagnosis/stalled-collective.ts';
import type { Gap } from '../domain/gap.ts';
import type { GpuReading, GpuRef, GpuSection } from '../domain/gpu.ts';
import { type Finding, type Verdict, worstVerdict } from '../domain/verdict.ts';
import { isGpuError } from '../errors.ts';
import { resolveGpu } from '../selector.ts';
import { answerSchema, backendUnreadable, gpuBackendCoverage, makeAnswer, type NextStep } from './answer.ts';
import { detailArgument, gpuArgument } from './arguments.ts';
import { maximumWindowSeconds, type SampledGpu, sampleGpus, samplingPlan } from './sampling.ts';
import { defineTool, type ToolContext } from './tool.ts';
import type { Toolkit } from './toolkit.ts';

/** Always read: who are siblings, and at what load. */
const loadSections = ['mig', 'utilization', 'power', 'memory'] as const satisfies readonly GpuSection[];

const topicsExpected = `expected a list of 1 to ${comparisonTopics.length} of ${comparisonTopics.join(', ')}`;
const maximumOutliers = 12;

function windowArgument(deadlineMilliseconds: number) {
  const longest = maximumWindowSeconds(deadlineMilliseconds);
  const deadline = `this server answers within ${deadlineMilliseconds / 1_000} s`;
  const expected =
    longest < 1 ? `expected none: ${deadline}` : `expected seconds from 1 to ${longest}: ${deadline}`;
  return z
    .number(expected)
    .min(1, expected)
    .max(longest, expected)
    .describe('Seconds over which to compare medians. Default: one reading.')
    .optional();
}

/**
 * Which GPU is unlike its siblings.
 *
 * @param deadlineMilliseconds The tool's own deadline, which bounds the window.
 */
export function compareGpusTool(toolkit: Toolkit, deadlineMilliseconds = 10_000) {
  return defineTool({
    name: 'compare_gpus',
    title: 'GPU comparison',
    description:
      'Which GPU of this node is unlike its siblings (same product, like load): clocks, power, heat, PCIe, NVLink, memory errors, driver latency. Robust outliers without limits to know; finds stragglers and hung collectives.',
    inputSchema: z.strictObject({
      gpu: gpuArgument,
      topics: z
        .array(
          z.enum(comparisonTopics, { error: `expected one of ${comparisonTopics.join(', ')}` }),
          topicsExpected,
        )
        .min(1, topicsExpected)
        .max(comparisonTopics.length, topicsExpected)
        .describe('What to compare. Default: all.')
        .optional(),
      window: windowArgument(deadlineMilliseconds),
      detail: detailArgument,
    }),
    outputSchema: answerSchema({
      sampleCount: z.number(),
      cohorts: z.array(z.looseObject({ load: z.string(), gpus: z.array(z.number()) })),
      outliers: z.array(z.looseObject({ gpu: z.number(), metric: z.string() })),
      notCompared: z.array(z.looseObject({ gpus: z.array(z.number()), reason: z.string() })),
      findings: z.array(z.looseObject({ ruleId: z.string(), what: z.string() })).optional(),
    }),
    async handle({ gpu, topics, window, detail }, signal, progress) {
      const metrics = comparisonMetrics.filter(({ topic }) => topics === undefined || topics.includes(topic));
      const sections = [...new Set([...loadSections, ...metrics.flatMap((metric) => metric.sections)])];
      const node = await toolkit.reader.describe(signal);
      if (isGpuError(node)) {
        const nothing = { sampleCount: 0, cohorts: [], outliers: [], notCompared: [] };
        return backendUnreadable(toolkit, node, nothing);
      }
      const selected =
        gpu === undefined ? undefined : await resolveGpu(gpu, node.gpus, toolkit.reader, signal);
      const sampled = await sample(toolkit, node.gpus, sections, window, signal, progress);
      const series = sampled.flatMap(seriesOf);
      const readings = series.map((each) => each.at(-1) ?? each[0]);
      const comparison = compareGpus(series, metrics);
      const isAsked = (index: number) => selected === undefined || index === selected.index;
      const asked = readings.filter((reading) => isAsked(reading.gpu.index));
      const outliers = comparison.outliers.filter((outlier) => isAsked(outlier.gpu));
      const notCompared = comparison.notCompared.filter((each) => isAsked(each.gpu));
      const findings = stalledCollectiveFindings(series);
      const listed = detail === 'full' ? outliers : outliers.slice(0, maximumOutliers);
      return makeAnswer(toolkit, detail, {
        verdict: verdictOf(asked, comparison, outliers, findings),
        summary: summarise(readings, selected?.index, comparison, outliers, notCompared, findings),
        payload: {
          sampleCount: Math.max(0, ...series.map((each) => each.length)),
          cohorts: comparison.cohorts.filter(
            (cohort) => selected === undefined || cohort.gpus.includes(selected.index),
          ),
          outliers: listed,
          notCompared: groupReasons(notCompared),
          ...(detail === 'full' ? { values: valuesOf(series, metrics) } : {}),
        },
        findings,
        gaps: [
          ...node.gaps,
          ...asked.flatMap((reading) => reading.gaps),
          ...sampled.flatMap(windowGap),
        ].filter((gap) => gap.gpu === undefined || isAsked(gap.gpu)),
        gpuCount: asked.length,
        gpuBackend: gpuBackendCoverage(toolkit, undefined),
        nextSteps: nextSteps(outliers, findings, asked),
        ...(listed.length < outliers.length ? { page: { total: outliers.length, truncated: true } } : {}),
      });
    },
  });
}

/** One reading of every GPU, or those of a window. */
async function sample(
  toolkit: Toolkit,
  gpus: readonly GpuRef[],
  sections: readonly GpuSection[],
  window: number | undefined,
  signal: AbortSignal,
  progress: ToolContext['progress'],
): Promise<readonly SampledGpu[]> {
  if (window === undefined) {
    const readings = await toolkit.reader.readGpus(gpus, sections, signal);
    return readings.map((reading) => ({ readings: [reading], isComplete: true }));
  }
  const plan = samplingPlan(window, undefined);
  const total = gpus.length * (Math.ceil(plan.windowMilliseconds / plan.intervalMilliseconds) + 1);
  let done = 0;
  return sampleGpus(toolkit, gpus, sections, plan, signal, () => {
    done += 1;
    progress?.(done, total, 'samples taken');
  });
}

/** A window that was cut short for a GPU that did answer. */
function windowGap({ readings, isComplete }: SampledGpu): Gap[] {
  const last = readings.at(-1);
  if (isComplete || last?.state !== 'ok') return [];
  const detail = `cut short after ${readings.length} samples`;
  return [{ gpu: last.gpu.index, field: 'window', reason: 'timeout', detail }];
}

/** A GPU that failed on the way is shown as it failed: what it told before is not compared. */
function seriesOf({ readings }: SampledGpu): readonly GpuSeries[] {
  const [first, ...later] = readings;
  if (!first) return [];
  const failed = readings.find(({ state }) => state !== 'ok');
  return [failed ? [failed] : [first, ...later]];
}

/** Without siblings nothing was compared, and that is not `ok`. */
function verdictOf(
  asked: readonly GpuReading[],
  { cohorts }: Comparison,
  outliers: readonly Outlier[],
  findings: readonly Finding[],
): Verdict {
  const states = asked.map(({ gpu, state }): Verdict => {
    if (state !== 'ok') return state === 'unreadable' ? 'unknown' : 'critical';
    return cohorts.some((cohort) => cohort.gpus.includes(gpu.index)) ? 'ok' : 'unknown';
  });
  return worstVerdict([
    ...states,
    ...findings.map((finding) => finding.verdict),
    ...(outliers.length > 0 ? ['warning' as const] : []),
  ]);
}

function summarise(
  readings: readonly GpuReading[],
  selected: number | undefined,
  { comparedCount, cohorts }: Comparison,
  outliers: readonly Outlier[],
  notCompared: Comparison['notCompared'],
  findings: readonly Finding[],
): string {
  const gpuCount = readings.length;
  if (gpuCount === 0) return 'The driver counts no GPUs on this node.';
  const parts: string[] = [];
  const [first] = outliers;
  const isCompared = cohorts.some((cohort) => selected !== undefined && cohort.gpus.includes(selected));
  if (selected !== undefined && !first) {
    parts.push(
      `GPU ${selected} ${isCompared ? 'is not unlike its siblings' : 'was not compared with siblings'}.`,
    );
  } else if (comparedCount === 0) parts.push(`None of the ${gpuCount} GPUs could be compared with siblings.`);
  else if (!first) parts.push(`${comparedCount} of ${gpuCount} GPUs compared: none is unlike its siblings.`);
  else {
    const gpus = [...new Set(outliers.map(({ gpu }) => gpu))].sort((a, b) => a - b);
    const more = outliers.length > 1 ? ` And ${outliers.length - 1} more.` : '';
    parts.push(
      `${comparedCount} of ${gpuCount} GPUs compared: GPU ${gpus.join(', ')} unlike the siblings. GPU ${first.gpu}: ${first.metric} ${first.value}, median ${first.median}.${more}`,
    );
  }
  for (const { gpu, state } of readings) {
    const isAsked = selected === undefined || selected === gpu.index;
    if (isAsked && state !== 'ok') parts.push(`GPU ${gpu.index} is ${state}.`);
  }
  for (const { what } of findings) parts.push(what);
  const partly = notCompared.filter(({ scope }) => scope === 'load-dependent').map(({ gpu }) => gpu);
  if (partly.length > 0)
    parts.push(
      `GPU ${partly.join(', ')}: load unlike that of the siblings, so only what load does not change was compared.`,
    );
  return parts.join(' ');
}

/** GPUs with one reason in one row. */
function groupReasons(notCompared: Comparison['notCompared']) {
  const groups = new Map<string, { scope: string; reason: string; gpus: number[] }>();
  for (const { gpu, scope, reason } of notCompared) {
    const key = `${scope} ${reason}`;
    const group = groups.get(key);
    if (group) group.gpus.push(gpu);
    else groups.set(key, { scope, reason, gpus: [gpu] });
  }
  return [...groups.values()];
}

function valuesOf(series: readonly GpuSeries[], metrics: readonly ComparisonMetric[]) {
  return series.map((readings) => {
    const last = readings.at(-1) ?? readings[0];
    const values = metrics.map(({ name, read }) => [name, read(last) ?? null] as const);
    return {
      index: last.gpu.index,
      utilizationPercent: last.utilization?.gpuPercent ?? null,
      ...Object.fromEntries(values),
    };
  });
}

function nextSteps(
  outliers: readonly Outlier[],
  findings: readonly Finding[],
  readings: readonly GpuReading[],
): NextStep[] {
  const steps: NextStep[] = findings.map(({ action, what }) => ({
    action,
    reason: what,
    tool: 'get_gpu_processes',
  }));
  const tools = new Set<string>();
  for (const { gpu, metric, why, tool } of outliers) {
    if (tools.has(tool) || steps.length >= 3) continue;
    tools.add(tool);
    steps.push({ action: 'monitor', reason: `GPU ${gpu}, ${metric}: ${why}`, tool });
  }
  const broken = readings.filter(({ state }) => state !== 'ok').map(({ gpu }) => gpu.index);
  if (broken.length > 0) {
    steps.push({
      action: 'none',
      reason: `GPU ${broken.join(', ')} did not answer: see why.`,
      tool: 'get_gpu_health',
    });
  }
  return steps;
}
