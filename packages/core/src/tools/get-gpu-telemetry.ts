import { z } from 'zod';
import { type GpuReading, type GpuSection, gpuSections } from '../domain/gpu.ts';
import { answerSchema, backendUnreadable, type Detail, gpuBackendCoverage, makeAnswer } from './answer.ts';
import { detailArgument, gpuArgument } from './arguments.ts';
import { defineTool } from './tool.ts';
import { readNode, type Toolkit } from './toolkit.ts';

const summarySections = [
  'memory',
  'thermal',
  'power',
  'clocks',
  'utilization',
] as const satisfies readonly GpuSection[];

/** The keys that a summary keeps of each section; `full`, or naming the section, shows all. */
const summaryKeys: Partial<Record<GpuSection, readonly string[]>> = {
  memory: ['totalBytes', 'usedBytes'],
  thermal: ['temperatureCelsius', 'memoryTemperatureCelsius', 'marginCelsius'],
  power: ['drawWatts', 'enforcedLimitWatts'],
  clocks: ['smClockMegahertz', 'memoryClockMegahertz', 'performanceState', 'eventReasons'],
  utilization: ['gpuPercent', 'memoryPercent'],
};

const sectionsExpected = `expected a list of 1 to ${gpuSections.length} of ${gpuSections.join(', ')}`;

/** Live readings by section. */
export function getGpuTelemetry(toolkit: Toolkit) {
  return defineTool({
    name: 'get_gpu_telemetry',
    title: 'GPU telemetry',
    description:
      'Live readings: temperature, power, clocks and why they are held back, memory, utilization; other sections on request. Readings only, no judgement: use get_gpu_health for that.',
    inputSchema: z.strictObject({
      gpu: gpuArgument,
      sections: z
        .array(z.enum(gpuSections, { error: `expected one of ${gpuSections.join(', ')}` }), sectionsExpected)
        .min(1, sectionsExpected)
        .max(gpuSections.length, sectionsExpected)
        .describe('Whole sections to read. Default: the main readings.')
        .optional(),
      detail: detailArgument,
    }),
    outputSchema: answerSchema({ gpus: z.array(z.looseObject({ index: z.number(), state: z.string() })) }),
    async handle({ gpu, sections, detail }, signal) {
      const asked = sections ?? (detail === 'full' ? gpuSections : summarySections);
      const { node, error, readings } = await readNode(toolkit, gpu, [...new Set(asked)], signal);
      if (error) return backendUnreadable(toolkit, error, { gpus: [] });
      const shown: Detail = sections ? 'full' : detail;
      const broken = readings.filter((reading) => reading.state !== 'ok');
      return makeAnswer(toolkit, detail, {
        ...(broken.length > 0 ? { verdict: broken.some(isDown) ? 'critical' : 'unknown' } : {}),
        summary: summarise(readings),
        payload: { gpus: readings.map((reading) => present(reading, shown)) },
        gpuCount: readings.length,
        gaps: [...node.gaps, ...readings.flatMap((reading) => reading.gaps)],
        gpuBackend: gpuBackendCoverage(toolkit, undefined),
        nextSteps:
          broken.length > 0
            ? [{ action: 'none', reason: 'A GPU did not answer: see why.', tool: 'get_gpu_health' }]
            : [],
      });
    },
  });
}

const isDown = ({ state }: GpuReading) => state !== 'ok' && state !== 'unreadable';

function summarise(readings: readonly GpuReading[]): string {
  const answered = readings.filter((reading) => reading.state === 'ok');
  const parts = [`${answered.length} of ${readings.length} GPU${readings.length === 1 ? '' : 's'} read`];
  for (const { gpu, state } of readings) if (state !== 'ok') parts.push(`GPU ${gpu.index} is ${state}`);
  const range = (label: string, unit: string, values: readonly (number | null | undefined)[]) => {
    const known = values.filter((value) => typeof value === 'number');
    if (known.length === 0) return;
    const [low, high] = [Math.min(...known), Math.max(...known)].map((value) => Math.round(value));
    parts.push(low === high ? `${label} ${low} ${unit}` : `${label} ${low} to ${high} ${unit}`);
  };
  range(
    'temperature',
    'C',
    answered.map((reading) => reading.thermal?.temperatureCelsius),
  );
  range(
    'power',
    'W',
    answered.map((reading) => reading.power?.drawWatts),
  );
  range(
    'utilization',
    '%',
    answered.map((reading) => reading.utilization?.gpuPercent),
  );
  return `${parts.join(', ')}.`;
}

function present(reading: GpuReading, detail: Detail) {
  const { gpu, state, stateDetail } = reading;
  const sections = gpuSections.flatMap((section) => {
    const values = reading[section] as Readonly<Record<string, unknown>> | undefined;
    if (!values) return [];
    const keys = detail === 'full' ? undefined : summaryKeys[section];
    return [
      [section, keys ? Object.fromEntries(keys.map((key) => [key, values[key] ?? null])) : values] as const,
    ];
  });
  return {
    index: gpu.index,
    uuid: gpu.uuid,
    state,
    ...(stateDetail === undefined ? {} : { stateDetail }),
    ...Object.fromEntries(sections),
  };
}
