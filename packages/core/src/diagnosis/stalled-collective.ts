import type { GpuReading } from '../domain/gpu.ts';
import type { Finding } from '../domain/verdict.ts';
import type { GpuSeries } from './outliers.ts';
import { median } from './outliers.ts';

/** A GPU that spins in a collective is fully utilized by the driver's count. */
const spinningPercent = 95;
/** But moves next to nothing in its memory. */
const stillMemoryPercent = 5;
/** And draws little of what it may. A kernel that works, also one bound by memory, draws more. */
const lowPowerShare = 0.3;

const source =
  'NCCL users report hung collectives as full utilization at little more than idle power (github.com/NVIDIA/nccl/issues/968)';

/**
 * The signature of a hung collective, which is no outlier when all GPUs wait together: full utilization, no memory traffic, low power.
 * The GPU of the same product that is idle while it holds as much memory is the one they may wait for.
 */
export function stalledCollectiveFindings(series: readonly GpuSeries[]): readonly Finding[] {
  const spinning = series.filter(isSpinning);
  if (spinning.length === 0) return [];
  const gpus = spinning.map(([{ gpu }]) => gpu.index);
  const waitedFor = series.filter((each) => isIdleMember(each, spinning)).map(([{ gpu }]) => gpu.index);
  const hint =
    waitedFor.length > 0 ? ` GPU ${waitedFor.join(', ')} holds as much memory and does nothing.` : '';
  const [first] = gpus;
  return [
    {
      ruleId: 'compare.stalled-collective',
      verdict: 'warning',
      ...(gpus.length === 1 && first !== undefined ? { gpu: first } : {}),
      what: `GPU ${gpus.join(', ')}: full utilization without memory traffic at low power, as when waiting in a hung collective.${hint}`,
      evidence: spinning.map((each) => ({
        field: 'power.drawWatts',
        value: read(each, ({ power }) => power?.drawWatts) ?? null,
        threshold: Math.round((read(each, limitOf) ?? 0) * lowPowerShare),
      })),
      action: 'check-app',
      source,
      confidence: waitedFor.length > 0 ? 'medium' : 'low',
    },
  ];
}

const read = (series: GpuSeries, leaf: (reading: GpuReading) => number | null | undefined) =>
  median(series.flatMap((reading) => leaf(reading) ?? []));

const limitOf = ({ power }: GpuReading) => power?.enforcedLimitWatts;

function isSpinning(series: GpuSeries): boolean {
  const busy = read(series, ({ utilization }) => utilization?.gpuPercent);
  const memory = read(series, ({ utilization }) => utilization?.memoryPercent);
  const draw = read(series, ({ power }) => power?.drawWatts);
  const limit = read(series, limitOf);
  if (busy === undefined || memory === undefined || draw === undefined || limit === undefined) return false;
  return busy >= spinningPercent && memory <= stillMemoryPercent && draw <= limit * lowPowerShare;
}

function isIdleMember(series: GpuSeries, spinning: readonly GpuSeries[]): boolean {
  const busy = read(series, ({ utilization }) => utilization?.gpuPercent);
  const used = read(series, ({ memory }) => memory?.usedBytes);
  if (busy === undefined || busy > stillMemoryPercent || used === undefined) return false;
  const [{ gpu }] = series;
  const siblings = spinning.filter(([other]) => other.gpu.name === gpu.name);
  const usual = median(siblings.flatMap((each) => read(each, ({ memory }) => memory?.usedBytes) ?? []));
  return usual !== undefined && usual > 0 && used >= usual / 2;
}
