import { z } from 'zod';
import type { GaugeStatistics } from '../diagnosis/statistics.ts';
import { keyOf, type WindowedReading, windowOf } from '../diagnosis/window.ts';
import type { Gap } from '../domain/gap.ts';
import { type GpuReading, type GpuSection, gpuSections, type NodeDescription } from '../domain/gpu.ts';
import { GpuError, isGpuError } from '../errors.ts';
import { resolveGpu } from '../selector.ts';
import {
  answerSchema,
  backendUnreadable,
  type Detail,
  gpuBackendCoverage,
  makeAnswer,
  roundedProbe,
} from './answer.ts';
import { detailArgument, gpuArgument } from './arguments.ts';
import { maximumWindowSeconds, type SamplingPlan, sampleGpus, samplingPlan } from './sampling.ts';
import { defineTool, type StructuredContent, type ToolContext } from './tool.ts';
import { readNode, type Toolkit } from './toolkit.ts';

const summarySections = [
  'memory',
  'thermal',
  'power',
  'clocks',
  'utilization',
] as const satisfies readonly GpuSection[];
/** A window tells how long clocks were held back, which no single reading can. */
const windowSections = [...summarySections, 'violations'] as const satisfies readonly GpuSection[];

/** The keys that a summary keeps of each section; `full`, or naming the section, shows all. */
const summaryKeys: Partial<Record<GpuSection, readonly string[]>> = {
  memory: ['totalBytes', 'usedBytes'],
  thermal: ['temperatureCelsius', 'memoryTemperatureCelsius', 'marginCelsius'],
  power: ['drawWatts', 'enforcedLimitWatts'],
  clocks: ['smClockMegahertz', 'memoryClockMegahertz', 'performanceState', 'eventReasons'],
  utilization: ['gpuPercent', 'memoryPercent'],
};
/** Statistics are four times as long as values, so a summary of a window keeps fewer. */
const windowSummaryKeys: Partial<Record<GpuSection, readonly string[]>> = {
  memory: ['usedBytes'],
  thermal: ['temperatureCelsius'],
  power: ['drawWatts'],
  clocks: ['smClockMegahertz', 'eventReasons'],
  utilization: ['gpuPercent'],
  violations: ['powerMicroseconds', 'thermalMicroseconds'],
};

const sectionsExpected = `expected a list of 1 to ${gpuSections.length} of ${gpuSections.join(', ')}`;

function windowArgument(deadlineMilliseconds: number) {
  const longest = maximumWindowSeconds(deadlineMilliseconds);
  const deadline = `this server answers within ${deadlineMilliseconds / 1_000} s`;
  const expected =
    longest < 1
      ? `expected none: ${deadline}, which leaves no room for a window`
      : `expected seconds from 1 to ${longest}: ${deadline}, and 2 s are kept for the answer`;
  return z
    .number(expected)
    .min(1, expected)
    .max(longest, expected)
    .describe('Seconds to sample for, giving min, mean, max and increase. Default: one reading.')
    .optional();
}

function intervalArgument(deadlineMilliseconds: number) {
  const longest = Math.max(1, maximumWindowSeconds(deadlineMilliseconds)) * 1_000;
  const expected = `expected a whole number of milliseconds, at least 100 and at most the window (here up to ${longest})`;
  return z
    .int(expected)
    .min(100, expected)
    .max(longest, expected)
    .describe('Between samples of the window. Default 1000.')
    .optional();
}

/**
 * Live readings by section, once or over a window.
 *
 * @param deadlineMilliseconds The tool's own deadline, which bounds the window.
 */
export function getGpuTelemetry(toolkit: Toolkit, deadlineMilliseconds = 10_000) {
  return defineTool({
    name: 'get_gpu_telemetry',
    title: 'GPU telemetry',
    description:
      'Live readings: temperature, power, clocks and why they are held back, memory, utilization; other sections on request; over a window, statistics and how fast counters grow. Readings only, no judgement: use get_gpu_health for that.',
    inputSchema: z.strictObject({
      gpu: gpuArgument,
      sections: z
        .array(z.enum(gpuSections, { error: `expected one of ${gpuSections.join(', ')}` }), sectionsExpected)
        .min(1, sectionsExpected)
        .max(gpuSections.length, sectionsExpected)
        .describe('Whole sections to read. Default: the main readings.')
        .optional(),
      window: windowArgument(deadlineMilliseconds),
      intervalMilliseconds: intervalArgument(deadlineMilliseconds),
      detail: detailArgument,
    }),
    outputSchema: answerSchema({ gpus: z.array(z.looseObject({ index: z.number(), state: z.string() })) }),
    async handle({ gpu, sections, window, intervalMilliseconds, detail }, signal, progress) {
      if (window === undefined && intervalMilliseconds !== undefined) {
        throw new GpuError(
          'INVALID_INPUT',
          `intervalMilliseconds = ${intervalMilliseconds} needs window, the seconds to sample for.`,
          { hint: 'Give window too, or leave intervalMilliseconds out.' },
        );
      }
      const usual = window === undefined ? summarySections : windowSections;
      const asked = [...new Set<GpuSection>(sections ?? (detail === 'full' ? gpuSections : usual))];
      const shown: Detail = sections ? 'full' : detail;
      if (window !== undefined) {
        const plan = samplingPlan(window, intervalMilliseconds);
        return overWindow(toolkit, gpu, asked, plan, { detail, shown }, signal, progress);
      }
      const { node, error, readings } = await readNode(toolkit, gpu, asked, signal);
      if (error) return backendUnreadable(toolkit, error, { gpus: [] });
      return answerOf(toolkit, node, readings, {
        detail,
        summary: summarise(readings, 'read', (reading) => ({
          temperature: same(reading.thermal?.temperatureCelsius),
          power: same(reading.power?.drawWatts),
          utilization: same(reading.utilization?.gpuPercent),
        })),
        payload: { gpus: readings.map((reading) => present(reading, shown)) },
        gaps: readings.flatMap((reading) => reading.gaps),
      });
    },
  });
}

async function overWindow(
  toolkit: Toolkit,
  selector: string | number | undefined,
  sections: readonly GpuSection[],
  plan: SamplingPlan,
  { detail, shown }: { readonly detail: Detail; readonly shown: Detail },
  signal: AbortSignal,
  progress: ToolContext['progress'],
): Promise<StructuredContent> {
  const node = await toolkit.reader.describe(signal);
  if (isGpuError(node)) return backendUnreadable(toolkit, node, { gpus: [] });
  const gpus =
    selector === undefined ? node.gpus : [await resolveGpu(selector, node.gpus, toolkit.reader, signal)];
  const total = gpus.length * (Math.ceil(plan.windowMilliseconds / plan.intervalMilliseconds) + 1);
  let done = 0;
  const series = await sampleGpus(toolkit, gpus, sections, plan, signal, () => {
    done += 1;
    progress?.(done, total, 'samples taken');
  });
  const sampled = series.flatMap(({ readings, isComplete }) => {
    const last = readings.at(-1);
    return last ? [{ last, isComplete, told: windowOf(readings) }] : [];
  });
  const byIndex = new Map(sampled.map(({ last, told }) => [last.gpu.index, told]));
  const statisticOf = (section: GpuSection, leaf: string, index: number) =>
    (byIndex.get(index)?.sections[section]?.[leaf] ?? undefined) as GaugeStatistics | undefined;
  const last = sampled.map((each) => each.last);
  return answerOf(toolkit, node, last, {
    detail,
    summary: summarise(last, `sampled for ${plan.windowMilliseconds / 1_000} s`, ({ gpu: { index } }) => ({
      temperature: statisticOf('thermal', 'temperatureCelsius', index),
      power: statisticOf('power', 'drawWatts', index),
      utilization: statisticOf('utilization', 'gpuPercent', index),
    })),
    payload: {
      window: {
        seconds: plan.windowMilliseconds / 1_000,
        intervalMilliseconds: plan.intervalMilliseconds,
      },
      gpus: sampled.map(({ last, told }) => presentWindow(last, told, shown)),
    },
    gaps: sampled.flatMap(({ last, told, isComplete }) => [
      ...told.gaps,
      ...(isComplete ? [] : cutShort(last, told, plan)),
    ]),
  });
}

/** The deadline or the caller may end a window early; one that a GPU's failure ended has its own gaps. */
function cutShort(last: GpuReading, told: WindowedReading, { windowMilliseconds }: SamplingPlan): Gap[] {
  if (last.state !== 'ok') return [];
  const detail = `sampled for ${told.elapsedMilliseconds / 1_000} of ${windowMilliseconds / 1_000} s`;
  return [{ gpu: last.gpu.index, field: 'window', reason: 'timeout', detail }];
}

interface TelemetryParts {
  readonly detail: Detail;
  readonly summary: string;
  readonly payload: StructuredContent;
  readonly gaps: readonly Gap[];
}

function answerOf(
  toolkit: Toolkit,
  node: NodeDescription,
  readings: readonly GpuReading[],
  { detail, summary, payload, gaps }: TelemetryParts,
): StructuredContent {
  const broken = readings.filter((reading) => reading.state !== 'ok');
  return makeAnswer(toolkit, detail, {
    ...(broken.length > 0 ? { verdict: broken.some(isDown) ? 'critical' : 'unknown' } : {}),
    summary,
    payload,
    gpuCount: readings.length,
    gaps: [...node.gaps, ...gaps],
    gpuBackend: gpuBackendCoverage(toolkit, undefined),
    nextSteps:
      broken.length > 0
        ? [{ action: 'none', reason: 'A GPU did not answer: see why.', tool: 'get_gpu_health' }]
        : [],
  });
}

const isDown = ({ state }: GpuReading) => state !== 'ok' && state !== 'unreadable';

type Range = Pick<GaugeStatistics, 'min' | 'max'> | undefined;
const same = (value: number | null | undefined): Range =>
  typeof value === 'number' ? { min: value, max: value } : undefined;

function summarise(
  readings: readonly GpuReading[],
  how: string,
  rangesOf: (reading: GpuReading) => { temperature: Range; power: Range; utilization: Range },
): string {
  const answered = readings.filter((reading) => reading.state === 'ok');
  const parts = [`${answered.length} of ${readings.length} GPU${readings.length === 1 ? '' : 's'} ${how}`];
  for (const { gpu, state } of readings) if (state !== 'ok') parts.push(`GPU ${gpu.index} is ${state}`);
  const ranges = answered.map(rangesOf);
  for (const [label, unit] of [
    ['temperature', 'C'],
    ['power', 'W'],
    ['utilization', '%'],
  ] as const) {
    const known = ranges.flatMap((each) => each[label] ?? []);
    if (known.length === 0) continue;
    const low = Math.round(Math.min(...known.map(({ min }) => min)));
    const high = Math.round(Math.max(...known.map(({ max }) => max)));
    parts.push(low === high ? `${label} ${low} ${unit}` : `${label} ${low} to ${high} ${unit}`);
  }
  return `${parts.join(', ')}.`;
}

function head({ gpu, state, stateDetail }: GpuReading) {
  return {
    index: gpu.index,
    uuid: gpu.uuid,
    state,
    ...(stateDetail === undefined ? {} : { stateDetail }),
  };
}

/** The sections in their fixed order, each with the keys asked for. */
function pick(
  sections: { readonly [S in GpuSection]?: object },
  keysOf: (section: GpuSection) => readonly string[] | undefined,
) {
  return Object.fromEntries(
    gpuSections.flatMap((section) => {
      const values = sections[section] as Readonly<Record<string, unknown>> | undefined;
      if (!values) return [];
      const keys = keysOf(section);
      return [
        [section, keys ? Object.fromEntries(keys.map((key) => [key, values[key] ?? null])) : values] as const,
      ];
    }),
  );
}

function present(reading: GpuReading, detail: Detail) {
  return {
    ...head(reading),
    ...(detail === 'full' ? { probeMilliseconds: roundedProbe(reading) } : {}),
    ...pick(reading, (section) => (detail === 'full' ? undefined : summaryKeys[section])),
  };
}

function presentWindow(last: GpuReading, told: WindowedReading, detail: Detail) {
  return {
    ...head(last),
    sampleCount: told.sampleCount,
    elapsedMilliseconds: told.elapsedMilliseconds,
    ...(detail === 'full' ? { probeMilliseconds: roundedProbe(last) } : {}),
    ...pick(told.sections, (section) =>
      detail === 'full' ? undefined : windowSummaryKeys[section]?.map((leaf) => keyOf(section, leaf)),
    ),
  };
}
