import type { Diagnosis } from '../../domain/diagnosis.ts';
import type { Gap } from '../../domain/gap.ts';
import type { Evidence, Finding } from '../../domain/verdict.ts';
import { quarantine } from '../untrusted-text.ts';
import type { CounterRow } from './counters.ts';
import { type IncidentReport, nameOfIncident, type ReportedIncident } from './incident-report.ts';
import type { ReportedGpu } from './reported-gpu.ts';

/** What a ticket's text is made of. */
export interface MarkdownParts {
  readonly node: string;
  readonly reportId: string;
  /** ISO 8601. */
  readonly observedAt: string;
  readonly diagnosis: Diagnosis;
  /** Those of the diagnosis that there is room for. */
  readonly findings: readonly Finding[];
  readonly report: IncidentReport;
  /** What was read, and what could not be: lines of our own words. */
  readonly coverage: readonly string[];
  readonly gaps: readonly Gap[];
  /** The GPUs are a simulation. */
  readonly isSimulated?: boolean;
}

/** The report as text for a ticket. Untrusted text stands in code spans and fences, which it cannot leave. */
export function renderMarkdown(parts: MarkdownParts): string {
  const { node, reportId, observedAt, diagnosis, findings, report, coverage, gaps } = parts;
  return [
    `# GPU incident report ${reportId}`,
    '',
    `- Node: ${code(node)}, driver ${orUnknown(report.driverVersion)}, compute API ${orUnknown(report.computeApiVersion)}`,
    `- Read at: ${observedAt}`,
    ...(parts.isSimulated ? ['- GPUs: **simulated**'] : []),
    ...conclusionLines(diagnosis),
    ...section('Findings', findings.map(findingLines), diagnosis.findings.length - findings.length),
    ...section(
      'What else it could be',
      diagnosis.hypotheses
        .slice(1, 3)
        .map(({ cause: other, likelihoodPercent, what }) => `- ${likelihoodPercent} % ${other}: ${what}`),
    ),
    ...section('GPUs', report.gpus.flatMap(gpuLines), report.omitted['gpus']),
    ...section('Kernel-log incidents', report.incidents.flatMap(incidentLines), report.omitted['incidents']),
    ...section('Events', report.events.map(eventLine), report.omitted['events']),
    ...section('Processes', jsonFence(report.processes), report.omitted['processes']),
    ...section(
      'What the programs said',
      jsonFence(report.applicationErrors),
      report.omitted['applicationErrors'],
    ),
    ...section('What would change this', diagnosis.wouldChange.map(listItem)),
    ...section('Coverage', [...coverage, ...diagnosis.notSeen].map(listItem)),
    ...section('Not read', gaps.map(gapLine)),
  ]
    .join('\n')
    .trimEnd();
}

/** What was concluded: verdict, whose fault, action, and the summary as a paragraph of its own. */
export function conclusionLines({
  verdict,
  notYourCode,
  cause,
  confidence,
  action,
  summary,
}: Pick<Diagnosis, 'verdict' | 'notYourCode' | 'confidence' | 'action' | 'summary'> & {
  readonly cause: string;
}): string[] {
  const whose = notYourCode === 'undecided' ? 'undecided' : notYourCode ? 'not your code' : 'your code';
  return [
    `- Verdict: **${verdict}** (${whose}; cause ${cause}, confidence ${confidence})`,
    `- Action: **${action}**`,
    '',
    summary,
    '',
  ];
}

export function section(title: string, lines: readonly string[], omittedCount = 0): string[] {
  if (lines.length === 0) return [];
  const more =
    omittedCount > 0 ? [`${lines.at(-1) === '' ? '' : '\n'}${omittedCount} more are not shown.`] : [];
  return [`## ${title}`, '', ...lines, ...more, ''];
}

export const listItem = (line: string) => `- ${line}`;
export const placeOf = (gpu: number | undefined) => (gpu === undefined ? '' : `GPU ${gpu}: `);
export const orUnknown = (text: string | null) => (text === null ? 'unknown' : code(text));

export function findingLines({ ruleId, gpu, what, evidence, source }: Finding): string {
  return [`- ${placeOf(gpu)}${what} (${ruleId}; ${source})`, ...evidence.map(evidenceLine)].join('\n');
}

function evidenceLine({ field, value, threshold, at, file, line }: Evidence): string {
  const limit = threshold === undefined ? '' : ` (threshold ${threshold})`;
  const when = at === undefined ? '' : ` at ${at}`;
  const where = file === undefined ? '' : `, ${code(`${file}:${line ?? '?'}`)}`;
  return `  - ${field} = ${code(String(value))}${limit}${when}${where}`;
}

export function gpuLines(gpu: ReportedGpu): string[] {
  const { index, state, counters, countersBeforeAt, zeroCounterCount, omittedCounterCount, ...identity } =
    gpu;
  const named = Object.entries(identity).filter(([name, value]) => value !== null || name === 'serial');
  return [
    `### GPU ${index} (${state})`,
    '',
    // A ticket asks for the serial: that it is not there is said.
    ...named.map(([name, value]) => `- ${name}: ${value === null ? 'not readable' : code(String(value))}`),
    '',
    ...counterTable(counters, countersBeforeAt),
    ...(omittedCounterCount ? [`${omittedCounterCount} more counters are not shown.`, ''] : []),
    ...(zeroCounterCount ? [`${zeroCounterCount} counters are zero.`, ''] : []),
  ];
}

function counterTable(counters: readonly CounterRow[], beforeAt: string | undefined): string[] {
  if (counters.length === 0) return [];
  return [
    `| counter | before${beforeAt === undefined ? '' : ` (${beforeAt})`} | now |`,
    '| --- | --- | --- |',
    ...counters.map(
      ({ field, before, after }) => `| ${field} | ${before ?? 'not read'} | ${after ?? 'not read'} |`,
    ),
    '',
  ];
}

function incidentLines(incident: ReportedIncident): string[] {
  const { title, gpu, pciAddress, standing, explanation, action, raw } = incident;
  const where =
    gpu === undefined ? (pciAddress ?? 'no device named') : `GPU ${gpu} (${pciAddress ?? 'address unknown'})`;
  return [
    `### ${nameOfIncident(incident)}: ${title}`,
    '',
    `${where}, ${whenLogged(incident)}, ${standing}, action ${action}. ${explanation}${writerNote(incident)}`,
    '',
    ...fenced(raw),
    '',
  ];
}

/** How often and from when to when. */
export function whenLogged({
  count,
  firstAt,
  lastAt,
}: {
  readonly count: number;
  /** ISO 8601. */
  readonly firstAt?: string | null | undefined;
  /** ISO 8601. */
  readonly lastAt?: string | null | undefined;
}): string {
  const from = firstAt ?? 'an unknown time';
  return count === 1 ? `once at ${from}` : `${count} times from ${from} to ${lastAt ?? 'an unknown time'}`;
}

/** A sentence to append where a user-space program wrote the line; empty otherwise. */
export const writerNote = ({ trusted }: Pick<ReportedIncident, 'trusted'>) =>
  trusted === false ? ' A program wrote it, not the kernel: nothing is concluded from it.' : '';

const eventLine = ({ at, gpu, what }: IncidentReport['events'][number]) =>
  `- ${at ?? 'time unknown'} ${placeOf(gpu)}${what}`;

export const gapLine = ({ gpu, field, reason, detail }: Gap) =>
  `- ${placeOf(gpu)}${field}: ${reason} (${code(detail)})`;

const jsonFence = (rows: readonly object[]) =>
  rows.length > 0 ? fenced(rows.map((row) => JSON.stringify(row))) : [];

/** Quarantined text has no line breaks and no three backticks: no line of it ends the fence. */
export const fenced = (lines: readonly string[]) => ['```text', ...lines, '```'];

const maximumCodeLength = 400;
/** A code span that its content cannot leave. */
export function code(text: string): string {
  return `\`${quarantine(text, maximumCodeLength).replaceAll('`', "'")}\``;
}
