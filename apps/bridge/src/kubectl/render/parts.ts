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

export function more(count: number, what: string): string {
  return count > 0 ? `  and ${count} more ${what}: see --json\n` : '';
}

/** Node, verdict, time and the summary of an answer about one node or object. */
export function renderHead(answer: StructuredContent, terminal: Terminal): string {
  const verdict = verdictOf(answer);
  const backend = fieldOf(fieldOf(answer, 'coverage'), 'gpuBackend');
  const parts = [
    terminal.style('bold', textOf(answer, 'node', 253) || 'cluster'),
    ...(verdict === undefined ? [] : [verdictWord(verdict, terminal)]),
    terminal.style('dim', textOf(answer, 'observedAt', 40) ?? ''),
    ...(fieldOf(backend, 'simulated') === true ? [terminal.style('yellow', 'SIMULATED GPUs')] : []),
  ];
  return `${parts.join('  ').trimEnd()}\n${paragraph('', textOf(answer, 'summary', 2_000) ?? '', terminal.columns)}`;
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
    [...blocks, more(findings.length - maximumFindings, 'findings')].filter(Boolean),
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

/** Steps, with the command of this program that does what the tool would. */
export function renderSteps(
  steps: readonly StructuredContent[],
  node: string | undefined,
  terminal: Terminal,
): readonly string[] {
  return steps.slice(0, 8).map((step) => {
    const action = textOf(step, 'action', 40) ?? 'none';
    const tool = textOf(step, 'tool', 60);
    const command = tool === undefined ? undefined : commandByTool[tool];
    const at = textOf(step, 'node', 253) ?? node ?? '';
    const ours = command !== undefined && nodeName.test(at) ? `kubectl mcp ${command} ${at}` : undefined;
    const run = textOf(step, 'command', 300);
    const how = [
      ...(ours === undefined ? (tool === undefined ? [] : [`tool ${tool}`]) : [ours]),
      ...(run === undefined ? [] : [`run ${run}`]),
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
  return section('Coverage', [...blocks, more(gaps.length - maximumGaps, 'gaps')].filter(Boolean), terminal);
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
