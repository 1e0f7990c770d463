import type { Terminal } from '@k8s-gpu-mcp/command-line';
import type { StructuredContent, Verdict } from '@k8s-gpu-mcp/core';
import { type Answer, paintVerdict, renderCoverage, renderHead, renderNextSteps, viewOf } from './answer.ts';
import { clean, wrap } from './layout.ts';
import { type Row, rowsOf, type SeriesView, shortNumber } from './series-rows.ts';
import { sparkline, sparklineWidth } from './sparkline.ts';

interface EventView {
  /** Since `startAt`. */
  readonly atSeconds: number;
  readonly kind: string;
  readonly gpu?: number;
  readonly pciAddress?: string | null;
  readonly xid?: number;
  readonly sxid?: number;
  readonly verdict?: Verdict;
  readonly title?: string;
  readonly count?: number;
  readonly series?: string;
  readonly from?: string;
  readonly to?: string;
  readonly seconds?: number;
  readonly reason?: string;
}

interface TimelineAnswer extends Answer {
  readonly startAt: string;
  /** Where the curves begin, when nothing is known of what was before. */
  readonly pointsStartAt?: string;
  readonly seconds: number;
  readonly gpus: readonly {
    readonly index: number;
    readonly uuid: string | null;
    readonly state?: string | null;
    readonly sampleCount: number;
    readonly series?: Readonly<Record<string, SeriesView | null>>;
    readonly increased?: Readonly<Record<string, number>>;
  }[];
  readonly events: readonly EventView[];
  readonly eventCount: number;
}

export interface TimelineStyle {
  /** Block characters, else ASCII; default yes. */
  readonly hasBlocks?: boolean;
}

const gap = '  ';
const statisticWidth = 7;
const statisticNames = ['MIN', 'MEAN', 'MAX', 'LAST'];
const nameHeading = 'SERIES';
const minimumCurve = 10;
const maximumCurve = 100;
const usualColumns = 110;
/** What the names of the series and the statistics take on any terminal. */
const besideCurve = 30 + gap.length * 2 + statisticWidth * statisticNames.length;
/** A mark for each event; the rest share the last. */
const marks = [...'abcdefghijklmnopqrstuvwxyz'];
const manyMark = '+';

/** Columns that a curve gets: as many points are worth asking for. */
export function curveWidth(terminal: Terminal): number {
  const columns = Number.isFinite(terminal.columns) ? terminal.columns : usualColumns;
  return Math.min(maximumCurve, Math.max(minimumCurve, columns - besideCurve));
}

/** The answer of `get_gpu_timeline`: for each GPU a curve with its statistics a line, and below them what happened when. */
export function renderTimeline(
  content: StructuredContent,
  terminal: Terminal,
  { hasBlocks = true }: TimelineStyle = {},
): string {
  const answer = viewOf<TimelineAnswer>(content);
  const events = answer.events.map((event, index) => ({ event, mark: marks[index] ?? manyMark }));
  const blocks = answer.gpus.map((gpu) => {
    const concerned = events.filter(({ event }) => event.gpu === undefined || event.gpu === gpu.index);
    return renderGpu(gpu, answer, concerned, { terminal, hasBlocks });
  });
  return [
    renderHead(answer, terminal),
    ...blocks,
    renderEvents(events, answer, terminal),
    renderNextSteps(answer, terminal),
    renderCoverage(answer, terminal),
    recorderLines(answer),
  ].join('');
}

interface MarkedEvent {
  readonly event: EventView;
  readonly mark: string;
}

function renderGpu(
  { index, uuid, state, sampleCount, series = {}, increased = {} }: TimelineAnswer['gpus'][number],
  { startAt, pointsStartAt = startAt, seconds }: TimelineAnswer,
  events: readonly MarkedEvent[],
  { terminal, hasBlocks }: { readonly terminal: Terminal; readonly hasBlocks: boolean },
): string {
  const isWell = state === undefined || state === null || state === 'ok';
  const head = [
    terminal.style('bold', `GPU ${index}`),
    clean(uuid ?? '-'),
    `${sampleCount} samples`,
    ...(isWell ? [] : [terminal.style('red', clean(state).toUpperCase())]),
  ].join(gap);
  const rows = Object.entries(series).flatMap(([id, view]) => rowsOf(id, view));
  if (rows.length === 0) return `\n${head}\n`;
  const room = Number.isFinite(terminal.columns) ? terminal.columns : usualColumns;
  const { lines, nameWidth, curveColumns } = drawTable(rows, room, hasBlocks);
  const curveStart = Math.max(0, (Date.parse(pointsStartAt) - Date.parse(startAt)) / 1_000);
  const marked = markLine(events, { fromSeconds: curveStart, toSeconds: seconds }, curveColumns);
  const marksOfEvents = `${'events'.padEnd(nameWidth)}${gap}${terminal.style('yellow', marked)}\n`;
  const grew = Object.entries(increased).map(([id, by]) => `${clean(id)} +${shortNumber(by)}`);
  return [
    `\n${head}\n`,
    ...lines.map((line) => `${line}\n`),
    ...(marked === '' ? [] : [marksOfEvents]),
    ...(grew.length === 0 ? [] : [`${wrap(`also grew: ${grew.join(', ')}`, room, gap)}\n`]),
  ].join('');
}

function drawTable(rows: readonly Row[], room: number, hasBlocks: boolean) {
  const nameWidth = Math.max(nameHeading.length, ...rows.map(({ name }) => name.length));
  const free = room - nameWidth - gap.length * 2 - statisticWidth * statisticNames.length;
  const width = Math.min(maximumCurve, Math.max(minimumCurve, free));
  const curveColumns = Math.max(0, ...rows.map(({ points }) => sparklineWidth(points.length, width)));
  const aligned = (cells: readonly string[]) => cells.map((cell) => cell.padStart(statisticWidth)).join('');
  const line = (name: string, curve: string, rest: string) =>
    `${name.padEnd(nameWidth)}${gap}${curve.padEnd(curveColumns)}${gap}${rest}`.trimEnd();
  const lines = rows.map(({ name, points, scale, statistics, note = '' }) => {
    if (statistics)
      return line(name, sparkline(points, { width, hasBlocks, scale }), aligned(statistics.map(shortNumber)));
    // Without a curve there is room for the words in its place.
    if (points.length === 0) return fit(`${name.padEnd(nameWidth)}${gap}${note}`.trimEnd(), room);
    return fit(line(name, sparkline(points, { width, hasBlocks, scale }), note), room);
  });
  return { lines: [line(nameHeading, '', aligned(statisticNames)), ...lines], nameWidth, curveColumns };
}

const fit = (text: string, room: number): string => (text.length > room ? text.slice(0, room) : text);

interface CurveSpan {
  /** Since `startAt`. */
  readonly fromSeconds: number;
  readonly toSeconds: number;
}

function markLine(
  events: readonly MarkedEvent[],
  { fromSeconds, toSeconds }: CurveSpan,
  width: number,
): string {
  const line = Array.from({ length: width }, () => ' ');
  for (const { event, mark } of events) {
    const share = (event.atSeconds - fromSeconds) / (toSeconds - fromSeconds);
    const column = Math.min(width - 1, Math.floor(share * width));
    if (column >= 0) line[column] = line[column] === ' ' ? mark : manyMark;
  }
  return line.join('').trimEnd();
}

function renderEvents(
  events: readonly MarkedEvent[],
  { startAt, eventCount }: TimelineAnswer,
  terminal: Terminal,
): string {
  if (events.length === 0) return '';
  const lines = events.map(({ event, mark }) => {
    const where = placeOf(event);
    const verdict =
      event.verdict === undefined
        ? []
        : [paintVerdict(event.verdict, terminal)(clean(event.verdict).toUpperCase())];
    const told = [...verdict, ...(where === '' ? [] : [where]), happened(event)].join(gap);
    const head = `  ${mark}  ${terminal.style('dim', timeOf(startAt, event.atSeconds))}${gap}`;
    return `${head}${wrap(told, terminal.columns - 20, '      ')}\n`;
  });
  const hidden = eventCount - events.length;
  const rest = hidden > 0 ? `  and ${hidden} more: see --json\n` : '';
  return `\n${terminal.style('bold', 'Events')}\n${lines.join('')}${rest}`;
}

function placeOf({ gpu, pciAddress }: EventView): string {
  if (gpu !== undefined) return `GPU ${gpu}`;
  return pciAddress ? clean(pciAddress) : '';
}

function happened({ kind, xid, sxid, title, count, series, from, to, seconds, reason }: EventView): string {
  if (series !== undefined) return `${clean(series)}: ${clean(from)} to ${clean(to)}`;
  if (seconds !== undefined) return `nothing recorded for ${shortNumber(seconds)} s (${clean(reason)})`;
  const code = xid === undefined ? (sxid === undefined ? '' : `SXid ${sxid} `) : `Xid ${xid} `;
  return `${code}${clean(title ?? kind)}${count === undefined ? '' : ` (${count} times)`}`;
}

/** The time of day, UTC: the head has the date. */
function timeOf(startAt: string, seconds: number): string {
  const at = new Date(Date.parse(startAt) + seconds * 1000);
  return Number.isNaN(at.getTime()) ? '?' : `${at.toISOString().slice(11, 19)}Z`;
}

interface RecorderCoverage {
  readonly from?: string | null;
  readonly to?: string | null;
  readonly intervalMilliseconds?: number;
  readonly store?: {
    readonly lostSampleCount: number;
    readonly failedAppendCount: number;
    readonly detail?: string;
  };
}

function recorderLines({ coverage }: Answer): string {
  const { recorder } = coverage as { readonly recorder?: RecorderCoverage };
  if (!recorder?.from) return '';
  const { from, to, intervalMilliseconds, store } = recorder;
  const every = intervalMilliseconds === undefined ? '' : `, every ${intervalMilliseconds} ms`;
  const damaged = store?.lostSampleCount ? `, ${store.lostSampleCount} damaged samples left out` : '';
  const failed = store?.detail === undefined ? '' : `\n  record directory: ${clean(store.detail)}`;
  return `  recorded: ${clean(from)} to ${clean(to)}${every}${damaged}${failed}\n`;
}
