import type { Diagnosis } from '../../domain/diagnosis.ts';
import type { Evidence } from '../../domain/verdict.ts';
import type { IncidentReport, ReportedGpu, ReportedIncident } from './incident-report.ts';

/** What a ticket's text is made of. */
export interface MarkdownParts {
  readonly node: string;
  readonly diagnosis: Diagnosis;
  readonly report: IncidentReport;
  /** What was read, and what could not be: lines of our own words. */
  readonly coverage: readonly string[];
}

/** The report as text for a ticket. Untrusted text stands in fences, which it cannot close, or in code spans of table cells. */
export function renderMarkdown({ node, diagnosis, report, coverage }: MarkdownParts): string {
  const { verdict, notYourCode, cause, confidence, action, summary } = diagnosis;
  const whose = notYourCode === 'undecided' ? 'undecided' : notYourCode ? 'not your code' : 'your code';
  return [
    `# GPU incident report ${report.reportId}`,
    '',
    `- Node: ${code(node)}, driver ${report.driverVersion ?? 'unknown'}, CUDA ${report.computeApiVersion ?? 'unknown'}`,
    `- Verdict: **${verdict}** (${whose}; cause ${cause}, confidence ${confidence})`,
    `- Action: **${action}**`,
    '',
    summary,
    '',
    ...section(
      'Findings',
      diagnosis.findings.map(({ ruleId, gpu, what, evidence, source }) =>
        [
          `- ${gpu === undefined ? '' : `GPU ${gpu}: `}${what} (${ruleId}; ${source})`,
          ...evidence.map(evidenceLine),
        ].join('\n'),
      ),
    ),
    ...section(
      'What else it could be',
      diagnosis.hypotheses
        .slice(1, 4)
        .map(({ cause: other, likelihoodPercent, what }) => `- ${likelihoodPercent} % ${other}: ${what}`),
    ),
    ...section('GPUs', report.gpus.flatMap(gpuLines)),
    ...section('Kernel-log incidents', report.incidents.flatMap(incidentLines)),
    ...section(
      'Events',
      report.events.map(
        ({ at, gpu, what }) => `- ${at ?? 'time unknown'}${gpu === undefined ? '' : ` GPU ${gpu}`}: ${what}`,
      ),
    ),
    ...section(
      'Processes',
      report.processes.map((process) => `- ${code(JSON.stringify(process))}`),
    ),
    ...section(
      'What the programs said',
      report.applicationErrors.map((error) => `- ${code(JSON.stringify(error))}`),
    ),
    ...section(
      'What would change this',
      diagnosis.wouldChange.map((line) => `- ${line}`),
    ),
    ...section(
      'Coverage',
      [...coverage, ...diagnosis.notSeen].map((line) => `- ${line}`),
    ),
  ].join('\n');
}

function section(title: string, lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : [`## ${title}`, '', ...lines, ''];
}

function evidenceLine({ field, value, threshold, at, file, line }: Evidence): string {
  const limit = threshold === undefined ? '' : ` (threshold ${threshold})`;
  const when = at === undefined ? '' : ` at ${at}`;
  const where = file === undefined ? '' : `, ${code(`${file}:${line ?? '?'}`)}`;
  return `  - ${field} = ${code(String(value))}${limit}${when}${where}`;
}

function gpuLines(gpu: ReportedGpu): string[] {
  const { index, counters, state, ...identity } = gpu;
  const named = Object.entries(identity).filter(([, value]) => value !== null);
  return [
    `### GPU ${index} (${state})`,
    '',
    ...named.map(([name, value]) => `- ${name}: ${code(String(value))}`),
    '',
    ...(counters.length === 0
      ? []
      : [
          '| counter | before | after |',
          '| --- | --- | --- |',
          ...counters.map(
            ({ field, before, beforeAt, after }) =>
              `| ${field} | ${before === null ? '' : `${before} (${beforeAt})`} | ${after ?? 'unknown'} |`,
          ),
          '',
        ]),
  ];
}

function incidentLines(incident: ReportedIncident): string[] {
  const { xid, sxid, kind, title, count, gpu, pciAddress, standing, explanation, action, raw } = incident;
  const name = xid === undefined ? (sxid === undefined ? kind : `SXid ${sxid}`) : `Xid ${xid}`;
  const where = gpu === undefined ? (pciAddress ?? 'unnamed device') : `GPU ${gpu} (${pciAddress})`;
  return [
    `### ${name}: ${title}`,
    '',
    `${where}, ${count} ${count === 1 ? 'time' : 'times'}, ${standing}, action ${action}. ${explanation}`,
    '',
    '```',
    ...raw,
    '```',
    '',
  ];
}

/** A code span that its content cannot leave, also in a table. */
function code(text: string): string {
  return `\`${text.replaceAll('`', "'").replaceAll('|', '\\|').replaceAll('\n', ' ')}\``;
}
