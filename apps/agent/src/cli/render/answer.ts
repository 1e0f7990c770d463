import type { Style, Terminal } from '@k8s-gpu-mcp/command-line';
import type { Finding, Gap, KernelLogCoverage, StructuredContent, Verdict } from '@k8s-gpu-mcp/core';
import { clean, wrap } from './layout.ts';

/** What every answer holds, as the terminal shows it. */
export interface Answer {
  readonly node: string;
  readonly observedAt: string;
  readonly verdict?: Verdict;
  readonly summary: string;
  readonly findings?: readonly Finding[];
  readonly gaps: readonly Gap[];
  readonly coverage: {
    readonly gpuBackend: {
      readonly backend: string;
      readonly readable: boolean;
      readonly simulated?: boolean;
      readonly detail?: string;
    };
    readonly kernelLog?: KernelLogCoverage;
  };
  readonly nextSteps: readonly {
    readonly action: string;
    readonly reason: string;
    readonly tool?: string;
    readonly command?: string;
  }[];
  readonly total?: number;
  readonly truncated?: boolean;
}

/** The tools' own output schemas are loose; what is read here is what the tools of this very build write. */
export const viewOf = <View extends Answer>(answer: StructuredContent): View => answer as unknown as View;

const styleByVerdict: Readonly<Record<Verdict, Style>> = {
  critical: 'red',
  warning: 'yellow',
  unknown: 'magenta',
  ok: 'green',
};

/** The word itself always stands there: colour only helps to find it. */
export function verdictWord(verdict: Verdict, terminal: Terminal): string {
  return terminal.style(styleByVerdict[verdict] ?? 'magenta', clean(verdict).toUpperCase());
}

export const paintVerdict = (verdict: Verdict, terminal: Terminal) => (text: string) =>
  terminal.style(styleByVerdict[verdict] ?? 'magenta', text);

/** Node, verdict, time, and the summary. */
export function renderHead(answer: Answer, terminal: Terminal): string {
  const { verdict, coverage } = answer;
  const parts = [
    terminal.style('bold', clean(answer.node)),
    ...(verdict ? [verdictWord(verdict, terminal)] : []),
    terminal.style('dim', clean(answer.observedAt)),
    ...(coverage.gpuBackend.simulated ? [terminal.style('yellow', 'SIMULATED GPUs')] : []),
  ];
  return `${parts.join('  ')}\n${wrap(clean(answer.summary), terminal.columns)}\n`;
}

export function renderFindings(findings: readonly Finding[], terminal: Terminal): string {
  if (findings.length === 0) return '';
  const blocks = findings.map((finding) => {
    const { verdict, gpu, what, action, confidence, evidence, ruleId, source } = finding;
    const where = gpu === undefined ? '' : `GPU ${gpu}  `;
    const proof = evidence
      .map(({ field, value, threshold, at }) => {
        const limit = threshold === undefined ? '' : ` (threshold ${clean(threshold)})`;
        const when = at === undefined ? '' : `, last at ${clean(at)}`;
        return `${clean(field)} = ${clean(value)}${limit}${when}`;
      })
      .join('; ');
    const lines = [
      ...(proof === '' ? [] : [`evidence: ${proof}`]),
      `action: ${clean(action)}, confidence ${clean(confidence)}`,
      `rule ${clean(ruleId)}, ${clean(source)}`,
    ];
    return `  ${verdictWord(verdict, terminal)}  ${where}${wrap(clean(what), terminal.columns - 20, '    ')}\n${indented(lines, terminal)}`;
  });
  return section('Findings', blocks, terminal);
}

export function renderNextSteps({ nextSteps }: Answer, terminal: Terminal): string {
  const blocks = nextSteps.map(({ action, reason, tool, command }) => {
    const how = [
      ...(tool === undefined ? [] : [`tool ${clean(tool)}`]),
      ...(command === undefined ? [] : [`run ${clean(command)}`]),
    ].join('; ');
    const lead = action === 'none' ? '' : `${terminal.style('bold', clean(action))}: `;
    return `  ${lead}${wrap(`${clean(reason)}${how === '' ? '' : ` (${how})`}`, terminal.columns - 24, '    ')}\n`;
  });
  return section('Next', blocks, terminal);
}

const maximumGaps = 8;

/** What was not read, and from where the rest came. */
export function renderCoverage({ coverage, gaps }: Answer, terminal: Terminal): string {
  const { gpuBackend, kernelLog } = coverage;
  const lines = [
    `GPUs: ${clean(gpuBackend.backend)} ${gpuBackend.readable ? 'readable' : `NOT readable: ${clean(gpuBackend.detail)}`}`,
  ];
  if (kernelLog) lines.push(kernelLogLine(kernelLog));
  for (const gap of gaps.slice(0, maximumGaps)) {
    const where = gap.gpu === undefined ? '' : `GPU ${gap.gpu} `;
    lines.push(`gap: ${where}${clean(gap.field)}: ${clean(gap.reason)} (${clean(gap.detail)})`);
  }
  if (gaps.length > maximumGaps) lines.push(`and ${gaps.length - maximumGaps} more gaps: see --json`);
  return section('Coverage', [indented(lines, terminal, '  ')], terminal);
}

function kernelLogLine(log: KernelLogCoverage): string {
  const skipped = (log.skipped ?? []).map(({ source, reason }) => `${clean(source)}: ${clean(reason)}`);
  if (!log.readable) return `kernel log: NOT readable${skipped.length > 0 ? ` (${skipped.join('; ')})` : ''}`;
  const span =
    log.from === null && log.to === null ? '' : `, ${clean(log.from ?? '?')} to ${clean(log.to ?? '?')}`;
  const lost = log.lostRecordCount ? `, ${log.lostRecordCount} records lost` : '';
  return `kernel log: ${clean(log.source)}${span}${lost}`;
}

function section(heading: string, blocks: readonly string[], terminal: Terminal): string {
  return blocks.length === 0 ? '' : `\n${terminal.style('bold', heading)}\n${blocks.join('')}`;
}

function indented(lines: readonly string[], terminal: Terminal, indent = '    '): string {
  return lines
    .map((line) => `${indent}${wrap(line, terminal.columns - indent.length, `${indent}  `)}\n`)
    .join('');
}
