import type { Terminal } from '@k8s-gpu-mcp/command-line';
import type { Column } from '@k8s-gpu-mcp/command-line/layout';
import type { StructuredContent } from '@k8s-gpu-mcp/core';
import { fieldOf, numberOf, rowsOf, textOf, verdictOf } from '../fields.ts';
import { type ClusterView, renderCluster } from './cluster.ts';
import { tableOfFilled } from './layout.ts';
import {
  cell,
  gibibytes,
  isNarrow,
  more,
  renderCoverage,
  renderFindings,
  renderHead,
  renderNext,
} from './parts.ts';

/** What one reading says of each GPU of a node; `total` counts those too that did not say. */
interface Load {
  readonly total: number;
  readonly utilizationPercents: readonly number[];
  readonly usedBytes: readonly number[];
  readonly totalBytes: readonly number[];
  readonly drawWatts: readonly number[];
  readonly temperatures: readonly number[];
}

export function loadOf(row: unknown): Load {
  const gpus = rowsOf(fieldOf(row, 'telemetry'), 'gpus');
  const known = (part: string, name: string) =>
    gpus.flatMap((gpu) => numberOf(fieldOf(gpu, part), name) ?? []);
  return {
    total: gpus.length,
    utilizationPercents: known('utilization', 'gpuPercent'),
    usedBytes: known('memory', 'usedBytes'),
    totalBytes: known('memory', 'totalBytes'),
    drawWatts: known('power', 'drawWatts'),
    temperatures: known('thermal', 'temperatureCelsius'),
  };
}

const sum = (values: readonly number[]) => values.reduce((all, each) => all + each, 0);
const meanOf = (values: readonly number[]) => (values.length === 0 ? undefined : sum(values) / values.length);
/** What only some of the GPUs told is marked with how many. */
type Mark = (text: string, values: readonly number[]) => string;

function memoryOf({ usedBytes, totalBytes }: Load, marked: Mark): string | undefined {
  if (usedBytes.length === 0) return undefined;
  const of = totalBytes.length === usedBytes.length ? ` of ${gibibytes(sum(totalBytes), 0)}` : '';
  return marked(`${gibibytes(sum(usedBytes), 0)?.replace(of === '' ? '' : ' GiB', '')}${of}`, usedBytes);
}

const right = (heading: string): Column => ({ heading, align: 'right' });

/** A narrow table leaves out the marks, the highest utilization and the power, so that its rows stay on their lines. */
const topView = (narrow: boolean): ClusterView => ({
  columns: [
    right('GPUS'),
    right('HELD'),
    right('UTIL'),
    ...(narrow ? [] : [right('HIGHEST')]),
    right('MEMORY'),
    ...(narrow ? [] : [right('POWER')]),
    right('HOTTEST'),
    { heading: 'TOP HOLDER', canShrink: true },
  ],
  cells(row) {
    const load = loadOf(row);
    const { utilizationPercents: percents, drawWatts, temperatures, total } = load;
    const mean = meanOf(percents);
    const marked: Mark = (text, values) =>
      !narrow && values.length < total ? `${text} (${values.length} of ${total})` : text;
    return [
      cell(textOf(row, 'gpuCount', 8)),
      cell(textOf(row, 'heldGpuCount', 8)),
      cell(mean === undefined ? undefined : marked(`${Math.round(mean)} %`, percents)),
      ...(narrow ? [] : [cell(percents.length === 0 ? undefined : `${Math.round(Math.max(...percents))} %`)]),
      cell(memoryOf(load, marked)),
      ...(narrow
        ? []
        : [cell(drawWatts.length === 0 ? undefined : marked(`${Math.round(sum(drawWatts))} W`, drawWatts))]),
      cell(temperatures.length === 0 ? undefined : `${Math.round(Math.max(...temperatures))} C`),
      cell(sayHolder(rowsOf(row, 'holders')[0])),
    ];
  },
  order: byLoad,
});

export const renderTopOfCluster = (answer: StructuredContent, terminal: Terminal): string =>
  renderCluster(answer, topView(isNarrow(terminal)), terminal);

/** What cannot be loaded because it is down or silent comes first, then the most utilized, then the fullest. */
function byLoad(rows: readonly StructuredContent[]): readonly StructuredContent[] {
  const ranked = rows.map((row) => {
    const load = loadOf(row);
    const isDown = verdictOf(row) === 'critical' || load.total === 0;
    return {
      row,
      isDown,
      utilization: meanOf(load.utilizationPercents) ?? -1,
      share: sum(load.usedBytes) / Math.max(1, sum(load.totalBytes)),
    };
  });
  return ranked
    .sort((a, b) => Number(b.isDown) - Number(a.isDown) || b.utilization - a.utilization || b.share - a.share)
    .map(({ row }) => row);
}

function sayHolder(holder: StructuredContent | undefined): string | undefined {
  if (holder === undefined) return undefined;
  const who = textOf(holder, 'name', 32) ?? `pid ${textOf(holder, 'pid', 12) ?? '?'}`;
  const memory = gibibytes(numberOf(holder, 'memoryUsedBytes'));
  const owner = ownerOf(holder);
  return [
    who,
    ...(memory === undefined ? [] : [memory]),
    ...(owner === undefined ? [] : [`(${owner})`]),
  ].join(' ');
}

/** A pod by its name where the gateway knows it, with the job it belongs to; else by its uid. */
function ownerOf(holder: StructuredContent): string | undefined {
  const pod = fieldOf(holder, 'pod');
  const [namespace, name] = [textOf(pod, 'namespace', 63), textOf(pod, 'name', 253)];
  if (namespace !== undefined && name !== undefined) {
    const owner = fieldOf(holder, 'owner');
    const of = textOf(owner, 'name', 253);
    return `${namespace}/${name}${of === undefined ? '' : ` of ${textOf(owner, 'kind', 63) ?? ''} ${of}`}`;
  }
  const uid = textOf(holder, 'podUid', 64);
  if (uid !== undefined) return `pod ${uid}`;
  const job = textOf(holder, 'slurmJobId', 32);
  if (job !== undefined) return `job ${job}`;
  const container = textOf(fieldOf(holder, 'container'), 'id', 64);
  return container === undefined ? textOf(holder, 'user', 32) : `container ${container.slice(0, 12)}`;
}

/** One node: a row for each GPU, then a row for each process. */
export function renderTopOfNode(answer: StructuredContent, terminal: Terminal): string {
  const held = new Map(rowsOf(answer, 'gpus').map((gpu) => [fieldOf(gpu, 'index'), gpu]));
  const readings = new Map(
    rowsOf(fieldOf(answer, 'telemetry'), 'gpus').map((gpu) => [fieldOf(gpu, 'index'), gpu]),
  );
  const gpus = [...new Set([...held.keys(), ...readings.keys()])].map((index) => {
    const reading = readings.get(index);
    const percent = numberOf(fieldOf(reading, 'utilization'), 'gpuPercent');
    const memory = fieldOf(reading, 'memory');
    const used = gibibytes(numberOf(memory, 'usedBytes') ?? numberOf(held.get(index), 'memoryUsedBytes'));
    const total = gibibytes(numberOf(memory, 'totalBytes'), 0);
    const power = fieldOf(reading, 'power');
    const draw = numberOf(power, 'drawWatts');
    const limit = numberOf(power, 'enforcedLimitWatts');
    const temperature = numberOf(fieldOf(reading, 'thermal'), 'temperatureCelsius');
    const state = textOf(reading, 'state', 40) ?? textOf(held.get(index), 'state', 40) ?? '?';
    return {
      percent: percent ?? -1,
      isDown: state !== 'ok',
      cells: [
        cell(typeof index === 'number' ? String(index) : undefined),
        { text: state, paint: (text: string) => (state === 'ok' ? text : terminal.style('red', text)) },
        cell(percent === undefined ? undefined : `${Math.round(percent)} %`),
        cell(used === undefined || total === undefined ? used : `${used} of ${total}`),
        cell(
          draw === undefined
            ? undefined
            : `${Math.round(draw)}${limit === undefined ? '' : ` of ${Math.round(limit)}`} W`,
        ),
        cell(temperature === undefined ? undefined : `${Math.round(temperature)} C`),
        cell(textOf(held.get(index), 'processCount', 8)),
      ],
    };
  });
  gpus.sort((a, b) => Number(b.isDown) - Number(a.isDown) || b.percent - a.percent);
  const problem = textOf(answer, 'telemetryProblem', 300);
  return [
    renderHead(answer, terminal, false),
    problem === undefined ? '' : `no readings: ${problem}\n`,
    below(
      tableOfFilled(
        gpuColumns,
        gpus.map(({ cells }) => cells),
        terminal.columns,
      ),
    ),
    below(processTable(answer, terminal)),
    renderFindings(answer, terminal),
    renderNext(answer, terminal),
    renderCoverage(answer, terminal),
  ].join('');
}

const below = (text: string) => (text === '' ? '' : `\n${text}`);

const gpuColumns: readonly Column[] = [
  right('GPU'),
  { heading: 'STATE' },
  right('UTIL'),
  right('MEMORY'),
  right('POWER'),
  right('TEMP'),
  right('PROCESSES'),
];

function processTable(answer: StructuredContent, terminal: Terminal): string {
  const processes = rowsOf(answer, 'processes');
  const rows = processes.map((process) => [
    cell(textOf(process, 'pid', 12)),
    cell(textOf(process, 'user', 32)),
    cell(
      rowsOf(process, 'gpus')
        .map(
          (share) =>
            `${textOf(share, 'index', 8) ?? '?'}: ${gibibytes(numberOf(share, 'memoryUsedBytes')) ?? '-'}`,
        )
        .join(', '),
    ),
    cell(ownerOf({ ...process, user: null })),
    cell(textOf(process, 'command', 200) ?? textOf(process, 'name', 64)),
  ]);
  const columns: readonly Column[] = [
    right('PID'),
    { heading: 'USER' },
    { heading: 'GPUS', canShrink: true },
    { heading: 'OWNER', canShrink: true },
    { heading: 'COMMAND', canShrink: true },
  ];
  const total = numberOf(answer, 'total') ?? processes.length;
  return (
    tableOfFilled(columns, rows, terminal.columns) + more(total - processes.length, 'process', 'processes')
  );
}
