import type { Terminal } from '@k8s-gpu-mcp/command-line';
import { fit } from '@k8s-gpu-mcp/command-line/layout';
import type { Action, StructuredContent, Verdict } from '@k8s-gpu-mcp/core';
import { type Answer, paintVerdict, renderCoverage, renderHead, renderNextSteps, viewOf } from './answer.ts';
import { clean, wrap } from './layout.ts';

export interface IncidentsAnswer extends Answer {
  readonly eventCount: number;
  readonly incidents: readonly {
    readonly kind: string;
    readonly xid?: number;
    readonly sxid?: number;
    readonly title: string;
    readonly verdict: Verdict;
    readonly action: Action;
    readonly gpu?: number;
    readonly pciAddress: string | null;
    readonly count: number;
    readonly firstAt: string | null;
    readonly lastAt: string | null;
    readonly firstUptimeSeconds?: number | null;
    readonly lastUptimeSeconds?: number | null;
    readonly trusted: boolean | 'unknown';
    readonly explanation: string;
    readonly processes?: readonly { readonly pid?: number; readonly name?: string }[];
    readonly raw: readonly string[];
  }[];
}

type Incident = IncidentsAnswer['incidents'][number];

/** Kernel-log incidents, worst first. Log text is quoted behind a bar, so that it cannot pass for ours. */
export function renderIncidents(content: StructuredContent, terminal: Terminal): string {
  const answer = viewOf<IncidentsAnswer>(content);
  const blocks = answer.incidents.map((incident) => renderIncident(incident, terminal));
  const shown = answer.incidents.length;
  const total = answer.total ?? shown;
  return [
    renderHead(answer, terminal),
    ...blocks,
    shown < total ? `\n... and ${total - shown} more incidents: see --json\n` : '',
    renderNextSteps(answer, terminal),
    renderCoverage(answer, terminal),
  ].join('');
}

function renderIncident(incident: Incident, terminal: Terminal): string {
  const { verdict, title, action, count, gpu, pciAddress } = incident;
  const paint = paintVerdict(verdict, terminal);
  const device = [...(gpu === undefined ? [] : [`GPU ${gpu}`]), ...(pciAddress ? [clean(pciAddress)] : [])];
  const head = [
    paint(clean(verdict).toUpperCase()),
    terminal.style('bold', `${nameOf(incident)} ${clean(title)}`),
    device.join(' ') || 'unnamed device',
    ...(count > 1 ? [`${count} times`] : []),
  ].join('  ');
  const processes = (incident.processes ?? [])
    .map(({ pid, name }) =>
      [name, pid]
        .filter((part) => part !== undefined)
        .map(clean)
        .join(' '),
    )
    .filter((text) => text !== '');
  const lines = [
    ...timeOf(incident),
    ...(processes.length > 0 ? [`process: ${processes.join(', ')}`] : []),
    ...(incident.trusted === false ? ['a user-space program wrote this, not the kernel'] : []),
    clean(incident.explanation),
    `action: ${clean(action)}`,
  ].map((line) => `  ${wrap(line, terminal.columns - 2, '    ')}\n`);
  const raw = incident.raw
    .slice(0, 3)
    .map((line) => `  ${terminal.style('dim', `| ${fit(clean(line), terminal.columns - 4)}`)}\n`);
  return `\n${head}\n${lines.join('')}${raw.join('')}`;
}

const nameOf = ({ kind, xid, sxid }: Incident) =>
  xid === undefined ? (sxid === undefined ? clean(kind) : `SXid ${sxid}`) : `Xid ${xid}`;

function timeOf({ firstAt, lastAt, firstUptimeSeconds, lastUptimeSeconds }: Incident): string[] {
  const span = (from: unknown, to: unknown) => (from === to ? clean(from) : `${clean(from)} to ${clean(to)}`);
  if (firstAt !== null || lastAt !== null) return [span(firstAt ?? '?', lastAt ?? '?')];
  if (firstUptimeSeconds === undefined || firstUptimeSeconds === null) return [];
  return [`${span(firstUptimeSeconds, lastUptimeSeconds ?? firstUptimeSeconds)} seconds after boot`];
}
