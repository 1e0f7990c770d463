import type { Terminal } from '@k8s-gpu-mcp/command-line';
import type { Cell, Column } from '@k8s-gpu-mcp/command-line/layout';
import { type StructuredContent, type Verdict, verdicts } from '@k8s-gpu-mcp/core';
import { fieldOf, numberOf, rowsOf, textOf, textsOf, verdictOf } from '../fields.ts';
import { paragraph, tableOfFilled } from './layout.ts';
import {
  cell,
  more,
  noFaultRead,
  readingCell,
  renderCoverage,
  renderNext,
  section,
  timeCell,
  verdictCell,
  verdictWord,
} from './parts.ts';

/** What one command shows of all nodes beside what all commands do. */
export interface ClusterView {
  /** Whether ok is a verdict on the health of the GPUs; else it says only that the node could be read. */
  readonly judges?: true;
  /** Between the node with its verdict and the reason. */
  readonly columns: readonly Column[];
  readonly cells: (row: StructuredContent, terminal: Terminal) => readonly Cell[];
  /** Above the nodes. */
  readonly lead?: (answer: StructuredContent, terminal: Terminal) => string;
  readonly order?: (rows: readonly StructuredContent[]) => readonly StructuredContent[];
}

const maximumFindings = 6;

/** Counts and the worst of all nodes first, then a row for each node, then what to do and what is not known. */
export function renderCluster(answer: StructuredContent, view: ClusterView, terminal: Terminal): string {
  const rows = rowsOf(answer, 'nodes');
  const columns: readonly Column[] = [
    { heading: 'NODE', canShrink: true },
    { heading: 'VERDICT' },
    ...view.columns,
    { heading: 'WHY', canShrink: true },
  ];
  const body = (view.order?.(rows) ?? rows).map((row) => [
    cell(textOf(row, 'node', 253)),
    view.judges ? verdictCell(row, terminal) : readingCell(row, terminal),
    ...view.cells(row, terminal),
    cell(whyOf(row)),
  ]);
  const nodes = tableOfFilled(columns, body, terminal.columns);
  return [
    head(answer, terminal, view.judges === true),
    !view.judges && verdictOf(answer) === 'ok' && rows.length > 0 ? noFaultRead : '',
    worst(answer, terminal),
    view.lead?.(answer, terminal) ?? '',
    nodes === '' ? '' : `\n${nodes}`,
    hidden(answer, rows.length),
    renderNext(answer, terminal),
    renderCoverage(answer, terminal),
  ].join('');
}

function head(answer: StructuredContent, terminal: Terminal, judges: boolean): string {
  const count = numberOf(answer, 'nodeCount') ?? 0;
  const counts = fieldOf(answer, 'verdictCounts');
  const told = verdicts.flatMap((verdict: Verdict) => {
    const number = numberOf(counts, verdict) ?? 0;
    return number > 0 && (judges || verdict !== 'ok') ? [`${number} ${verdictWord(verdict, terminal)}`] : [];
  });
  const simulated = numberOf(fieldOf(fieldOf(answer, 'coverage'), 'gpuBackend'), 'simulatedNodeCount');
  const directory = fieldOf(answer, 'directory');
  const problem = textOf(directory, 'problem', 300);
  const staleSince = textOf(directory, 'staleSince', 40);
  const parts = [
    `${terminal.style('bold', `${count} ${count === 1 ? 'node' : 'nodes'}`)}${told.length > 0 ? `: ${told.join(', ')}` : ''}`,
    terminal.style('dim', textOf(answer, 'observedAt', 40) ?? ''),
    ...(simulated ? [terminal.style('yellow', `SIMULATED GPUs on ${simulated}`)] : []),
  ];
  const words = textOf(answer, 'summary', 2_000) ?? '';
  // It begins with the counts, which stand above; an `ok` among them would be read as healthy.
  const summary = judges ? words : words.replace(/^\d{1,9} nodes?: [^.]{1,120}\.(?: |$)/, '');
  const old = [
    ...(staleSince === undefined ? [] : [`the list of nodes may be out of date, since ${staleSince}`]),
    ...(problem === undefined ? [] : [problem]),
  ].join(': ');
  return [
    `${parts.join('  ').trimEnd()}\n`,
    summary === '' ? '' : paragraph('', summary, terminal.columns),
    old === ''
      ? ''
      : paragraph('directory: ', old, terminal.columns, (text) => terminal.style('yellow', text)),
  ].join('');
}

function worst(answer: StructuredContent, terminal: Terminal): string {
  const findings = rowsOf(answer, 'findings');
  const lines = findings.slice(0, maximumFindings).map((finding) => {
    const verdict = verdictOf(finding) ?? 'unknown';
    const gpu = textOf(finding, 'gpu', 8);
    const others = (numberOf(finding, 'nodeCount') ?? 1) - 1;
    const where = `${textOf(finding, 'node', 253) ?? '?'}${gpu === undefined ? '' : ` GPU ${gpu}`}`;
    const also = others > 0 ? ` (and ${others} more ${others === 1 ? 'node' : 'nodes'})` : '';
    const action = textOf(finding, 'action', 40) ?? 'none';
    const text = `${where}${also}: ${textOf(finding, 'what', 200) ?? ''}${action === 'none' ? '' : ` [${action}]`}`;
    const lead = `  ${verdict.toUpperCase()}  `;
    return paragraph(lead, text, terminal.columns, () => `  ${verdictWord(verdict, terminal)}  `);
  });
  const total = numberOf(answer, 'findingGroupCount') ?? findings.length;
  return section(
    'Worst',
    [...lines, more(total - lines.length, 'kind of findings', 'kinds of findings')].filter(Boolean),
    terminal,
  );
}

/** Why a node did not answer, else the first of what was found on it. What its agent said stands in quotes. */
function whyOf(row: StructuredContent): string {
  const status = textOf(row, 'status', 40) ?? '?';
  const reason = textOf(row, 'reason', 200);
  const said = textOf(row, 'said', 200);
  const quote = said === undefined ? '' : ` It said: ${JSON.stringify(said)}`;
  const because = said === undefined ? reason : reason?.replace(/(?<=[^.!?:])$/, '.');
  if (status !== 'ok') return `${status}: ${because ?? ''}${quote}`;
  if (because !== undefined) return `${because}${quote}`;
  const problem = textOf(row, 'telemetryProblem', 300);
  if (problem !== undefined) return `no readings: ${problem}`;
  const [finding] = rowsOf(row, 'findings');
  if (finding === undefined) return downGpus(row);
  const gpu = textOf(finding, 'gpu', 8);
  const count = numberOf(row, 'findingCount') ?? rowsOf(row, 'findings').length;
  return `${gpu === undefined ? '' : `GPU ${gpu}: `}${textOf(finding, 'what', 200) ?? ''}${count > 1 ? ` (+${count - 1})` : ''}`;
}

/** From readings, which have no findings. */
function downGpus(row: StructuredContent): string {
  const down = rowsOf(fieldOf(row, 'telemetry'), 'gpus').flatMap((gpu) => {
    const state = textOf(gpu, 'state', 40);
    return state === undefined || state === 'ok' ? [] : [`GPU ${textOf(gpu, 'index', 8) ?? '?'} is ${state}`];
  });
  return down.slice(0, 4).join(', ');
}

function hidden(answer: StructuredContent, shown: number): string {
  const total = numberOf(answer, 'total') ?? shown;
  const left = total - shown;
  return left > 0
    ? `  and ${left} more ${left === 1 ? 'node' : 'nodes'}: give a larger --limit, or name nodes\n`
    : '';
}

const right = (heading: string): Column => ({ heading, align: 'right' });
const orDash = (row: StructuredContent, name: string): Cell => cell(textOf(row, name, 80));

export const healthView: ClusterView = {
  judges: true,
  columns: [right('GPUS'), right('SCORE'), { heading: 'ACTION' }],
  cells: (row) => [
    orDash(row, 'gpuCount'),
    orDash(row, 'score'),
    cell(textOf(rowsOf(row, 'findings')[0], 'action', 40)?.replace(/^none$/, '-')),
  ],
};

export const inventoryView: ClusterView = {
  columns: [right('GPUS'), { heading: 'DRIVER' }, { heading: 'PRODUCTS', canShrink: true }],
  cells: (row) => [
    orDash(row, 'gpuCount'),
    orDash(row, 'driverVersion'),
    cell(
      rowsOf(row, 'products')
        .map((product) => `${textOf(product, 'gpuCount', 8) ?? '?'} x ${textOf(product, 'name', 80) ?? '?'}`)
        .join(', '),
    ),
  ],
  lead(answer, terminal) {
    const drift = rowsOf(answer, 'drift').map((each) => {
      const values = rowsOf(each, 'values').map((value) => {
        const nodes = textsOf(value, 'nodes', 6).join(', ');
        return `${textOf(value, 'value', 80) ?? 'none'} on ${textOf(value, 'nodeCount', 8) ?? '?'}${nodes === '' ? '' : ` (${nodes})`}`;
      });
      return paragraph(
        `  ${textOf(each, 'field', 60) ?? '?'}: `,
        `${textOf(each, 'product', 80) ?? '?'}: ${values.join('; ')}`,
        terminal.columns,
      );
    });
    const total = numberOf(answer, 'driftCount') ?? drift.length;
    return section(
      'Set up differently',
      [...drift, more(total - drift.length, 'difference')].filter(Boolean),
      terminal,
    );
  },
};

export const xidView: ClusterView = {
  columns: [right('INCIDENTS'), { heading: 'LAST' }, { heading: 'ACTION' }],
  cells: (row, terminal) => {
    const [incident] = rowsOf(row, 'incidents');
    return [
      orDash(row, 'incidentCount'),
      timeCell(textOf(incident, 'lastAt', 40), terminal),
      cell(textOf(incident, 'action', 40)?.replace(/^none$/, '-')),
    ];
  },
  lead(answer, terminal) {
    const incidents = rowsOf(answer, 'incidents');
    const rows = incidents.map((each) => [
      readingCell(each, terminal),
      cell(
        `${textOf(each, 'title', 120) ?? '?'}${fieldOf(each, 'trusted') === false ? ' (not from the kernel)' : ''}`,
      ),
      cell(textOf(each, 'count', 12)),
      cell(textOf(each, 'nodeCount', 8)),
      cell(textsOf(each, 'nodes', 4).join(', ')),
      timeCell(textOf(each, 'lastAt', 40), terminal),
      cell(textOf(each, 'action', 40)?.replace(/^none$/, '-')),
    ]);
    const columns: readonly Column[] = [
      { heading: 'VERDICT' },
      { heading: 'ERROR', canShrink: true },
      right('TIMES'),
      right('NODES'),
      { heading: 'ON', canShrink: true },
      { heading: 'LAST' },
      { heading: 'ACTION' },
    ];
    const total = numberOf(answer, 'incidentGroupCount') ?? incidents.length;
    return rows.length === 0
      ? ''
      : `\n${tableOfFilled(columns, rows, terminal.columns)}${more(total - rows.length, 'kind of incidents', 'kinds of incidents')}`;
  },
};
