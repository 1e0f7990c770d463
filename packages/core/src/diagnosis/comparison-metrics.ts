import type { GpuReading, GpuSection } from '../domain/gpu.ts';
import type { ClockEventReason } from '../domain/readings/clocks.ts';
import type { NvLink } from '../domain/readings/nvlink.ts';

/** Groups of metrics that a caller can ask for. */
export const comparisonTopics = [
  'clocks',
  'power',
  'thermal',
  'pcie',
  'nvlink',
  'memory',
  'latency',
] as const;
export type ComparisonTopic = (typeof comparisonTopics)[number];

export interface ComparisonMetric {
  /** Dotted path of the reading, or what was made of several. */
  readonly name: string;
  readonly topic: ComparisonTopic;
  readonly sections: readonly GpuSection[];
  /** `busy`: means something under load only. `load`: compared among GPUs with like load. `always`: load does not matter. */
  readonly compared: 'busy' | 'load' | 'always';
  /** The side on which a deviation is bad. */
  readonly worse: 'low' | 'high' | 'either';
  /** The least deviation from the median that is worth a word, in the unit of the metric. */
  floor(median: number): number;
  /** Grows with utilization: what a GPU is busier or less busy than its siblings explains is no deviation. */
  readonly followsUtilization?: true;
  read(reading: GpuReading): number | null | undefined;
  /** What a deviation means. */
  readonly why: string;
  /** The tool that tells more. */
  readonly tool: string;
}

/** Reasons that slow a GPU for its own or its surroundings' sake; a power cap under load and idling are normal. */
const harmfulReasons: ReadonlySet<ClockEventReason> = new Set([
  'hardware-slowdown',
  'software-thermal-slowdown',
  'hardware-thermal-slowdown',
  'hardware-power-brake',
]);

const linkErrors = [
  'replayErrorCount',
  'recoveryErrorCount',
  'crcDataErrorCount',
  'eccDataErrorCount',
  'receiveErrorCount',
  'malformedPacketErrorCount',
  'bufferOverrunErrorCount',
  'linkIntegrityErrorCount',
  'linkRecoveryFailureCount',
] as const satisfies readonly (keyof NvLink)[];

/** Null when no link tells any of them: none told is not none happened. */
function linkErrorSum({ nvlink }: GpuReading): number | null {
  let sum: number | null = null;
  for (const link of nvlink?.links ?? []) {
    for (const counter of linkErrors) {
      const count = link[counter];
      if (typeof count === 'number') sum = (sum ?? 0) + count;
    }
  }
  return sum;
}

/** Null when the state of a link is not known. */
function activeLinkCount({ nvlink }: GpuReading): number | null {
  const links = nvlink?.links;
  if (!links || links.some((link) => link.active === null)) return null;
  return links.filter((link) => link.active === true).length;
}

const least = (value: number) => () => value;
const share = (part: number, atLeast: number) => (median: number) =>
  Math.max(atLeast, Math.abs(median) * part);
/** For counts that are zero on a healthy GPU: any difference counts. */
const anyDifference = least(0.5);

/**
 * What is compared, and how far apart siblings may be. The floors are differences between neighbours, not limits: they keep the natural
 * spread of one chassis (airflow, sensors, silicon) from being told as a fault.
 */
export const comparisonMetrics: readonly ComparisonMetric[] = [
  {
    name: 'clocks.smClockMegahertz',
    topic: 'clocks',
    sections: ['clocks'],
    compared: 'busy',
    worse: 'low',
    floor: share(0.05, 60),
    read: ({ clocks }) => clocks?.smClockMegahertz,
    why: 'Runs slower than its siblings under like load, and a synchronous job waits for the slowest GPU.',
    tool: 'get_gpu_telemetry',
  },
  {
    // A GPU that is held back does less than its siblings, so that like load would leave it out.
    name: 'clocks.harmfulEventReasonCount',
    topic: 'clocks',
    sections: ['clocks'],
    compared: 'always',
    worse: 'high',
    floor: anyDifference,
    read: ({ clocks }) => clocks?.eventReasons?.filter((reason) => harmfulReasons.has(reason)).length,
    why: 'Its clocks are held back by heat or by the power supply, those of its siblings are not.',
    tool: 'get_gpu_health',
  },
  {
    name: 'power.drawWatts',
    topic: 'power',
    sections: ['power'],
    compared: 'load',
    worse: 'either',
    floor: share(0.15, 25),
    followsUtilization: true,
    read: ({ power }) => power?.drawWatts,
    why: 'Draws other power than its siblings at like utilization: less is a GPU that waits (a stuck collective shows 100 % utilization at low power), more is one that works alone.',
    tool: 'get_gpu_processes',
  },
  {
    name: 'power.enforcedLimitWatts',
    topic: 'power',
    sections: ['power'],
    compared: 'always',
    worse: 'low',
    floor: least(5),
    read: ({ power }) => power?.enforcedLimitWatts,
    why: 'May draw less than its siblings, and so falls behind them under load.',
    tool: 'get_gpu_telemetry',
  },
  {
    name: 'thermal.temperatureCelsius',
    topic: 'thermal',
    sections: ['thermal'],
    compared: 'load',
    worse: 'high',
    floor: least(8),
    read: ({ thermal }) => thermal?.temperatureCelsius,
    why: 'Warmer than its siblings under like load: cooling of this GPU or its place in the chassis.',
    tool: 'get_gpu_health',
  },
  {
    name: 'thermal.memoryTemperatureCelsius',
    topic: 'thermal',
    sections: ['thermal'],
    compared: 'load',
    worse: 'high',
    floor: least(10),
    read: ({ thermal }) => thermal?.memoryTemperatureCelsius,
    why: 'Its memory is warmer than that of its siblings under like load.',
    tool: 'get_gpu_health',
  },
  {
    name: 'thermal.marginCelsius',
    topic: 'thermal',
    sections: ['thermal'],
    compared: 'load',
    worse: 'low',
    floor: least(8),
    read: ({ thermal }) => thermal?.marginCelsius,
    why: 'Nearer to thermal throttling than its siblings under like load.',
    tool: 'get_gpu_health',
  },
  {
    name: 'pcie.currentLinkWidthLanes',
    topic: 'pcie',
    sections: ['pcie'],
    compared: 'always',
    worse: 'low',
    floor: anyDifference,
    read: ({ pcie }) => pcie?.currentLinkWidthLanes,
    why: 'Has fewer PCIe lanes than its siblings: a link that was trained down (seating, riser, slot).',
    tool: 'get_gpu_topology',
  },
  {
    // An idle link saves power at a low generation, so only a busy one tells.
    name: 'pcie.currentGeneration',
    topic: 'pcie',
    sections: ['pcie'],
    compared: 'busy',
    worse: 'low',
    floor: anyDifference,
    read: ({ pcie }) => pcie?.currentGeneration,
    why: 'Its PCIe link runs at a lower generation than those of its siblings under load.',
    tool: 'get_gpu_topology',
  },
  {
    name: 'pcie.replayCount',
    topic: 'pcie',
    sections: ['pcie'],
    compared: 'always',
    worse: 'high',
    floor: share(0.5, 100),
    read: ({ pcie }) => pcie?.replayCount,
    why: 'More PCIe packets were sent again than on its siblings: signal quality of slot, riser or cable.',
    tool: 'get_gpu_topology',
  },
  {
    name: 'nvlink.activeLinkCount',
    topic: 'nvlink',
    sections: ['nvlink'],
    compared: 'always',
    worse: 'low',
    floor: anyDifference,
    read: activeLinkCount,
    why: 'Has fewer active NVLinks than its siblings.',
    tool: 'get_gpu_topology',
  },
  {
    name: 'nvlink.errorCount',
    topic: 'nvlink',
    sections: ['nvlink'],
    compared: 'always',
    worse: 'high',
    floor: share(0.5, 10),
    read: linkErrorSum,
    why: 'More NVLink replays, recoveries and data errors than on its siblings.',
    tool: 'get_gpu_topology',
  },
  {
    name: 'ecc.correctableVolatileCount',
    topic: 'memory',
    sections: ['ecc'],
    compared: 'always',
    worse: 'high',
    floor: share(0.5, 10),
    read: ({ ecc }) => ecc?.correctableVolatileCount,
    why: 'More corrected memory errors since the driver was loaded than on its siblings.',
    tool: 'get_gpu_health',
  },
  {
    name: 'ecc.uncorrectableVolatileCount',
    topic: 'memory',
    sections: ['ecc'],
    compared: 'always',
    worse: 'high',
    floor: anyDifference,
    read: ({ ecc }) => ecc?.uncorrectableVolatileCount,
    why: 'Uncorrectable memory errors since the driver was loaded that its siblings do not have.',
    tool: 'get_gpu_health',
  },
  {
    name: 'rowRemap.correctableRowCount',
    topic: 'memory',
    sections: ['rowRemap'],
    compared: 'always',
    worse: 'high',
    floor: share(0.5, 4),
    read: ({ rowRemap }) => rowRemap?.correctableRowCount,
    why: 'More memory rows were replaced after corrected errors than on its siblings.',
    tool: 'get_gpu_health',
  },
  {
    name: 'rowRemap.uncorrectableRowCount',
    topic: 'memory',
    sections: ['rowRemap'],
    compared: 'always',
    worse: 'high',
    floor: anyDifference,
    read: ({ rowRemap }) => rowRemap?.uncorrectableRowCount,
    why: 'Memory rows were replaced after uncorrectable errors, more than on its siblings.',
    tool: 'get_gpu_health',
  },
  {
    name: 'probeMilliseconds',
    topic: 'latency',
    sections: [],
    compared: 'always',
    worse: 'high',
    floor: share(2, 500),
    read: ({ probeMilliseconds }) => probeMilliseconds,
    why: 'The driver takes longer to answer for it than for its siblings: firmware or bus trouble can begin so.',
    tool: 'analyze_xid_errors',
  },
];
