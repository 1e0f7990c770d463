// What is told of measured figures: lines for a terminal, the exit code, and the tables of docs/performance.md.

/**
 * @typedef {object} Result of one benchmark
 * @property {string} benchmark its name, as in `npm run bench -- NAME`
 * @property {import('./figure.mjs').Figure[]} figures
 * @property {{ title: string, columns: string[], rows: (string | number)[][] }[]} [tables] what has no ratio
 * @property {string[]} [notes]
 * @property {string} [error] why it ended without figures
 */

export function statusOf({ ratio, rounds, must, isMet, isRegression }) {
  if (isRegression) return 'REGRESSION';
  if (ratio === undefined) return rounds === 0 ? 'not measured' : 'REFUSED';
  if (must === undefined) return 'told';
  return isMet ? 'met' : 'NOT MET';
}

export function numberText(value) {
  if (value >= 100) return Math.round(value).toLocaleString('en-US');
  return value >= 10 ? value.toFixed(1) : value.toFixed(value < 0.1 ? 3 : 2);
}
/** A quantity that does not vary has no spread, and was not really measured in rounds. */
const spreadText = ({ spread: [low, high], rounds }) =>
  low === high ? 'exact' : `${numberText(low)} to ${numberText(high)}; ${rounds} rounds`;
const boundText = ({ must, stretch, wanted }) =>
  must === undefined
    ? []
    : [`${wanted} ${numberText(must)}${stretch === undefined ? '' : `, better ${numberText(stretch)}`}`];

function lineOf(figure) {
  const { name, ratio, refused, detail } = figure;
  const measured =
    ratio === undefined
      ? [refused]
      : [numberText(ratio), `(${[spreadText(figure), ...boundText(figure)].join('; ')})`];
  return [
    `${statusOf(figure).padEnd(12)} ${name}:`,
    ...measured,
    ...(detail === '' ? [] : ['', detail]),
  ].join(' ');
}

/** Aligned with spaces. */
function tableLines({ title, columns, rows }) {
  const all = [columns, ...rows.map((row) => row.map(String))];
  const widths = columns.map((_, at) => Math.max(...all.map((row) => row[at].length)));
  return [
    title,
    ...all.map(
      (row) =>
        `  ${row
          .map((cell, at) => cell.padEnd(widths[at]))
          .join('  ')
          .trimEnd()}`,
    ),
  ];
}

export const linesOf = ({ benchmark, figures, tables = [], notes = [], error }) => [
  ...(error === undefined ? [] : [`FAILED       ${benchmark}: ${error}`]),
  ...figures.map(lineOf),
  ...tables.flatMap(tableLines),
  ...notes,
];

/** 1 where something became worse or a benchmark failed; with `strict` also where a promise was not shown. */
export function exitCodeOf(results, { strict = false } = {}) {
  const isBad = (figure) => figure.isRegression || (strict && !figure.isMet);
  return results.some(({ error, figures }) => error !== undefined || figures.some(isBad)) ? 1 : 0;
}

export function summaryLine(results) {
  const counts = new Map();
  for (const { figures } of results)
    for (const figure of figures) counts.set(statusOf(figure), (counts.get(statusOf(figure)) ?? 0) + 1);
  const failed = results.filter(({ error }) => error !== undefined).length;
  const parts = [...counts].map(([status, count]) => `${count} ${status}`);
  return [...parts, ...(failed === 0 ? [] : [`${failed} benchmarks FAILED`])].join(', ');
}

/** What was measured before stays where this run did not measure it again: on the same machine only, as ratios of two machines do not mix. */
export function mergedRun(before, now) {
  const machineOf = ({ machine: { node, cpu, cores, kernel } }) => JSON.stringify([node, cpu, cores, kernel]);
  if (machineOf(before) !== machineOf(now))
    throw new Error('the file holds figures of another machine or Node: run all benchmarks');
  const measured = new Set(now.results.map(({ benchmark }) => benchmark));
  const results = [...before.results.filter(({ benchmark }) => !measured.has(benchmark)), ...now.results];
  return { ...now, results: results.toSorted((a, b) => (a.benchmark < b.benchmark ? -1 : 1)) };
}

const cell = (text) => String(text).replaceAll('|', '\\|').replaceAll('\n', ' ');
const row = (cells) => `| ${cells.map(cell).join(' | ')} |`;
const tableOf = (columns, rows) => [row(columns), row(columns.map(() => '---')), ...rows.map(row)];

function figureRow(command, figure) {
  const { name, ratio, must, stretch, wanted, refused } = figure;
  const bound = (value) =>
    value === undefined ? '' : `${wanted === 'at least' ? '≥' : '≤'} ${numberText(value)}`;
  const measured = ratio === undefined ? refused : `${numberText(ratio)} (${spreadText(figure)})`;
  return [name, measured, bound(must), bound(stretch), statusOf(figure), command];
}

/** The measured part of docs/performance.md. */
export function markdownOf({ machine, isShort, results }, machineText) {
  const commandOf = (benchmark) => `\`npm run bench -- ${benchmark}\``;
  const rows = results.flatMap(({ benchmark, figures }) =>
    figures.map((figure) => figureRow(commandOf(benchmark), figure)),
  );
  const details = results.flatMap(({ figures }) =>
    figures.flatMap(({ name, detail }) => (detail === '' ? [] : [`- ${name}: ${detail}`])),
  );
  const tables = results.flatMap(({ tables: own = [] }) =>
    own.flatMap(({ title, columns, rows: own }) => ['', `### ${title}`, '', ...tableOf(columns, own)]),
  );
  const notes = [...new Set(results.flatMap(({ notes: own = [] }) => own))].map((note) => `- ${note}`);
  return [
    ...machineText(machine).map((line) => `- ${line}`),
    ...notes,
    ...(isShort ? ['- short run: small inputs and few rounds'] : []),
    '',
    ...tableOf(['figure', 'measured (quartiles)', 'must', 'stretch', '', 'command'], rows),
    ...(details.length === 0 ? [] : ['', '### In absolute values, on that machine', '', ...details]),
    ...tables,
  ].join('\n');
}

export const markers = { start: '<!-- measured: begin -->', end: '<!-- measured: end -->' };

/** The document with its measured part exchanged. */
export function withMeasured(document, measured) {
  const start = document.indexOf(markers.start);
  const end = document.indexOf(markers.end);
  if (start === -1 || end < start) throw new Error(`the document has no ${markers.start} ... ${markers.end}`);
  return `${document.slice(0, start + markers.start.length)}\n\n${measured}\n\n${document.slice(end)}`;
}
