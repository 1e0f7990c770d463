import type { Style, Terminal } from '@k8s-gpu-mcp/command-line';
import { type Cell, fit } from '@k8s-gpu-mcp/command-line/layout';
import type { StructuredContent, Verdict } from '@k8s-gpu-mcp/core';
import { fieldOf, fieldsOf, numberOf, rowsOf, textOf, textsOf, verdictOf } from '../fields.ts';
import { paragraph } from './layout.ts';

const styleByVerdict: Readonly<Record<Verdict, Style>> = {
  critical: 'red',
  warning: 'yellow',
  unknown: 'magenta',
  ok: 'green',
};
const maximumFindings = 8;
const maximumGaps = 8;
const bytesPerGibibyte = 1024 ** 3;

/** The word itself always stands there: colour only helps to find it. */
export const verdictWord = (verdict: Verdict, terminal: Terminal): string =>
  terminal.style(styleByVerdict[verdict], verdict.toUpperCase());

export function verdictCell(row: StructuredContent, terminal: Terminal): Cell {
  const verdict = verdictOf(row) ?? 'unknown';
  return { text: verdict.toUpperCase(), paint: (text) => terminal.style(styleByVerdict[verdict], text) };
}

/** A value, or a dash: missing is not zero. */
export const cell = (text: string | undefined): Cell => ({
  text: text === undefined || text === '' ? '-' : text,
});

export const section = (heading: string, blocks: readonly string[], terminal: Terminal): string =>
  blocks.length === 0 ? '' : `\n${terminal.style('bold', heading)}\n${blocks.join('')}`;

/** `one` and `many`: what is counted, in the singular and the plural. */
export function more(count: number, one: string, many = `${one}s`): string {
  return count > 0 ? `  and ${count} more ${count === 1 ? one : many}: see --json\n` : '';
}

/** Whether GPUs of the answer are made up: of the node, or of any node of a cluster, a pod or a job. */
export function isSimulated(answer: StructuredContent): boolean {
  const backend = fieldOf(fieldOf(answer, 'coverage'), 'gpuBackend');
  return fieldOf(backend, 'simulated') === true || (numberOf(backend, 'simulatedNodeCount') ?? 0) > 0;
}

/** Below this many columns a table leaves out what it can do without. */
const roomyColumns = 130;
export const isNarrow = ({ columns }: Terminal): boolean => columns < roomyColumns;

/** A time of a table: to the minute where room is scarce. */
export function timeCell(time: string | undefined, terminal: Terminal): Cell {
  const minutes = /^(\d{4}-\d\d-\d\dT\d\d:\d\d):[\d.]+Z$/.exec(time ?? '')?.[1];
  return cell(isNarrow(terminal) && minutes !== undefined ? `${minutes}Z` : time);
}

/** Inventory, incidents and readings judge no health: their ok says only that they could be read and that nothing in them is amiss. */
export const readingCell = (row: StructuredContent, terminal: Terminal): Cell =>
  verdictOf(row) === 'ok' ? cell(undefined) : verdictCell(row, terminal);

export const noFaultRead = 'No fault in what this command reads; kubectl mcp health judges.\n';

/** Node, verdict, time and the summary of an answer about one node. `judges`: whether ok is a verdict on its health. */
export function renderHead(answer: StructuredContent, terminal: Terminal, judges: boolean): string {
  const told = verdictOf(answer);
  const verdict = told === 'ok' && !judges ? undefined : told;
  // An inventory has a verdict only where something is not as it should be.
  const isRead =
    told === 'ok' || (fieldOf(answer, 'verdict') === undefined && rowsOf(answer, 'gpus').length > 0);
  const parts = [
    terminal.style('bold', textOf(answer, 'node', 253) || 'cluster'),
    ...(verdict === undefined ? [] : [verdictWord(verdict, terminal)]),
    terminal.style('dim', textOf(answer, 'observedAt', 40) ?? ''),
    ...(isSimulated(answer) ? [terminal.style('yellow', 'SIMULATED GPUs')] : []),
  ];
  return [
    `${parts.join('  ').trimEnd()}\n`,
    paragraph('', textOf(answer, 'summary', 2_000) ?? '', terminal.columns),
    isRead && !judges ? noFaultRead : '',
  ].join('');
}

/** Text of a log or of an agent stands behind a bar, so that it cannot pass for ours. */
export const quoted = (text: string, terminal: Terminal, indent = '    '): string =>
  `${indent}${terminal.style('dim', `| ${fit(text, terminal.columns - indent.length - 2)}`)}\n`;

export function renderFindings(answer: StructuredContent, terminal: Terminal, heading = 'Findings'): string {
  const findings = rowsOf(answer, 'findings');
  const blocks = findings.slice(0, maximumFindings).map((finding) => {
    const verdict = verdictOf(finding) ?? 'unknown';
    const gpu = textOf(finding, 'gpu', 8);
    const evidence = rowsOf(finding, 'evidence')
      .slice(0, 6)
      .map((each) => renderEvidence(each, terminal));
    const rule = [
      ['action:', 'action'],
      ['confidence', 'confidence'],
      ['rule', 'ruleId'],
      ['', 'source'],
    ].flatMap(([word = '', name = '']) => {
      const told = textOf(finding, name, 120);
      return told === undefined ? [] : [`${word} ${told}`.trim()];
    });
    const what = `${gpu === undefined ? '' : `GPU ${gpu}  `}${textOf(finding, 'what') ?? ''}`;
    const lead = `  ${verdict.toUpperCase()}  `;
    const painted = () => `  ${verdictWord(verdict, terminal)}  `;
    return `${paragraph(lead, what, terminal.columns, painted)}${evidence.join('')}${paragraph('    ', rule.join(', '), terminal.columns)}`;
  });
  return section(
    heading,
    [...blocks, more(findings.length - maximumFindings, 'finding')].filter(Boolean),
    terminal,
  );
}

function renderEvidence(evidence: StructuredContent, terminal: Terminal): string {
  const name = textOf(evidence, 'field', 80) ?? '';
  const value = textOf(evidence, 'value') ?? 'not read';
  if (/(?:^|\.)raw$/.test(name)) return quoted(value, terminal);
  const threshold = textOf(evidence, 'threshold', 80);
  const at = textOf(evidence, 'at', 40);
  const limit = threshold === undefined ? '' : ` (threshold ${threshold})`;
  return paragraph(
    '    ',
    `${name} = ${value}${limit}${at === undefined ? '' : `, at ${at}`}`,
    terminal.columns,
  );
}

const commandByTool: Readonly<Record<string, string>> = {
  get_gpu_health: 'health',
  get_gpu_inventory: 'inventory',
  analyze_xid_errors: 'xid',
  get_gpu_processes: 'top',
  get_gpu_telemetry: 'top',
  explain_failure: 'diagnose',
};
const nodeName = /^[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?$/;

/** Steps, with the command of this program that does what the tool would. `named` puts names into a command that has none. */
export function renderSteps(
  steps: readonly StructuredContent[],
  node: string | undefined,
  terminal: Terminal,
  named: (command: string) => string = (same) => same,
): readonly string[] {
  return steps.slice(0, 8).map((step) => {
    const action = textOf(step, 'action', 40) ?? 'none';
    const tool = textOf(step, 'tool', 60);
    const command = tool === undefined ? undefined : commandByTool[tool];
    const at = textOf(step, 'node', 253) ?? node ?? '';
    const ours = command !== undefined && nodeName.test(at) ? `kubectl mcp ${command} ${at}` : undefined;
    const run = textOf(step, 'command', 300);
    const how = [
      ...(ours === undefined ? (tool === undefined ? [] : [`in your assistant: ${tool}`]) : [ours]),
      ...(run === undefined ? [] : [`run ${named(run)}`]),
    ].join('; ');
    const reason = textOf(step, 'reason') ?? '';
    const lead = action === 'none' ? '  ' : `  ${action}: `;
    return paragraph(lead, how === '' ? reason : `${reason} (${how})`, terminal.columns, (text) =>
      action === 'none' ? text : terminal.style('bold', text),
    );
  });
}

export const renderNext = (answer: StructuredContent, terminal: Terminal): string =>
  section('Next', renderSteps(rowsOf(answer, 'nextSteps'), textOf(answer, 'node', 253), terminal), terminal);

/** What was not read, and from where the rest came. */
export function renderCoverage(answer: StructuredContent, terminal: Terminal): string {
  const { gpuBackend, kernelLog } = fieldsOf(fieldOf(answer, 'coverage'));
  const isRead = (source: unknown) => (fieldOf(source, 'readable') === true ? 'readable' : 'NOT readable');
  const gaps = rowsOf(answer, 'gaps');
  const lines = [
    ...(textOf(gpuBackend, 'backend') === undefined
      ? []
      : [
          `GPUs: ${textOf(gpuBackend, 'backend', 60)} ${isRead(gpuBackend)}${suffix(textOf(gpuBackend, 'detail', 200))}`,
        ]),
    ...(fieldOf(kernelLog, 'readable') === undefined
      ? []
      : [`kernel log: ${textOf(kernelLog, 'source', 200) ?? 'none'} ${isRead(kernelLog)}`]),
    ...unreadable('GPUs', gpuBackend),
    ...unreadable('the kernel log', kernelLog),
    ...gaps.slice(0, maximumGaps).map(sayGap),
  ];
  const blocks = lines.map((line) => paragraph('  ', line, terminal.columns));
  return section('Coverage', [...blocks, more(gaps.length - maximumGaps, 'gap')].filter(Boolean), terminal);
}

/** Of a cluster: on how many nodes something could not be read. */
function unreadable(what: string, source: unknown): readonly string[] {
  const count = numberOf(source, 'unreadableNodeCount') ?? 0;
  return count > 0 ? [`${what} NOT readable on ${count} ${count === 1 ? 'node' : 'nodes'}`] : [];
}

function sayGap(gap: StructuredContent): string {
  const gpu = textOf(gap, 'gpu', 8);
  const nodeCount = numberOf(gap, 'nodeCount');
  const names = textsOf(gap, 'nodes', 4).join(', ');
  const nodes =
    nodeCount === undefined ? '' : `, on ${nodeCount} ${nodeCount === 1 ? 'node' : 'nodes'}${suffix(names)}`;
  const detail = textOf(gap, 'detail', 200);
  return `gap: ${gpu === undefined ? '' : `GPU ${gpu} `}${textOf(gap, 'field', 120) ?? ''}: ${textOf(gap, 'reason', 40) ?? ''}${suffix(detail)}${nodes}`;
}

const suffix = (text: string | undefined) => (text === undefined || text === '' ? '' : ` (${text})`);

export const gibibytes = (bytes: number | undefined, digits = 1): string | undefined =>
  bytes === undefined ? undefined : `${(bytes / bytesPerGibibyte).toFixed(digits)} GiB`;
