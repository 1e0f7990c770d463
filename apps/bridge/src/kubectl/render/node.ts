import type { Terminal } from '@k8s-gpu-mcp/command-line';
import type { Column } from '@k8s-gpu-mcp/command-line/layout';
import type { StructuredContent } from '@k8s-gpu-mcp/core';
import { fieldOf, numberOf, rowsOf, textOf, textsOf, verdictOf } from '../fields.ts';
import { paragraph, tableOfFilled } from './layout.ts';
import {
  cell,
  gibibytes,
  more,
  quoted,
  renderCoverage,
  renderFindings,
  renderHead,
  renderNext,
  verdictCell,
  verdictWord,
} from './parts.ts';

// One node in full: the tables of the agent's own command line.

const gpuColumn: Column = { heading: 'GPU', align: 'right' };

function framed(answer: StructuredContent, body: string, terminal: Terminal, judges = false): string {
  return [
    renderHead(answer, terminal, judges),
    body,
    renderFindings(answer, terminal),
    renderNext(answer, terminal),
    renderCoverage(answer, terminal),
  ].join('');
}

const below = (text: string) => (text === '' ? '' : `\n${text}`);

export function renderNodeHealth(answer: StructuredContent, terminal: Terminal): string {
  const columns: readonly Column[] = [
    gpuColumn,
    { heading: 'VERDICT' },
    { heading: 'SCORE', align: 'right' },
    { heading: 'STATE' },
    { heading: 'ACTION' },
    { heading: 'UUID', canShrink: true },
  ];
  const rows = rowsOf(answer, 'gpus').map((gpu) => [
    cell(textOf(gpu, 'index', 8)),
    verdictCell(gpu, terminal),
    cell(textOf(gpu, 'score', 8)),
    // A healthy GPU's state and action go without saying in the answer.
    cell(textOf(gpu, 'state', 40) ?? 'ok'),
    cell(textOf(gpu, 'action', 40)?.replace(/^none$/, '-')),
    cell(textOf(gpu, 'uuid', 64)),
  ]);
  return framed(answer, below(tableOfFilled(columns, rows, terminal.columns)), terminal, true);
}

export function renderNodeInventory(answer: StructuredContent, terminal: Terminal): string {
  const columns: readonly Column[] = [
    gpuColumn,
    { heading: 'STATE' },
    { heading: 'NAME', canShrink: true },
    { heading: 'PCI ADDRESS' },
    { heading: 'MEMORY', align: 'right' },
    { heading: 'ECC' },
    { heading: 'MIG' },
    { heading: 'UUID', canShrink: true },
  ];
  const onOff = (gpu: StructuredContent, name: string) => {
    const value = fieldOf(gpu, name);
    return typeof value === 'boolean' ? (value ? 'on' : 'off') : undefined;
  };
  const rows = rowsOf(answer, 'gpus').map((gpu) => {
    const state = textOf(gpu, 'state', 40) ?? '?';
    const migDevices = rowsOf(gpu, 'migDevices').length;
    return [
      cell(textOf(gpu, 'index', 8)),
      { text: state, paint: (text: string) => (state === 'ok' ? text : terminal.style('red', text)) },
      cell(textOf(gpu, 'name', 80)),
      cell(textOf(gpu, 'pciAddress', 40)),
      cell(gibibytes(numberOf(gpu, 'memoryTotalBytes'))),
      cell(onOff(gpu, 'eccEnabled')),
      cell(migDevices > 0 ? `${migDevices} devices` : onOff(gpu, 'migEnabled')),
      cell(textOf(gpu, 'uuid', 64)),
    ];
  });
  return framed(answer, below(tableOfFilled(columns, rows, terminal.columns)), terminal);
}

const quotesShown = 3;

export function renderNodeIncidents(answer: StructuredContent, terminal: Terminal): string {
  const incidents = rowsOf(answer, 'incidents');
  const total = numberOf(answer, 'total') ?? incidents.length;
  const rest = below(more(total - incidents.length, 'incident'));
  return framed(answer, incidents.map((each) => renderIncident(each, terminal)).join('') + rest, terminal);
}

/** Also of a diagnosis, which cites them. */
export function renderIncident(incident: StructuredContent, terminal: Terminal): string {
  const verdict = verdictOf(incident);
  const code = ['xid', 'sxid'].flatMap((family) => {
    const number = textOf(incident, family, 8);
    return number === undefined ? [] : [`${family === 'xid' ? 'Xid' : 'SXid'} ${number}`];
  });
  const gpu = textOf(incident, 'gpu', 8);
  const device = [
    ...(gpu === undefined ? [] : [`GPU ${gpu}`]),
    ...[textOf(incident, 'pciAddress', 40) ?? []].flat(),
  ].join(' ');
  const name =
    `${code[0] ?? textOf(incident, 'kind', 60) ?? ''} ${textOf(incident, 'title', 160) ?? ''}`.trim();
  const count = numberOf(incident, 'count') ?? 1;
  const head = [
    // Of one error, ok would be read as of the GPU.
    ...(verdict === undefined || verdict === 'ok' ? [] : [verdictWord(verdict, terminal)]),
    terminal.style('bold', name),
    device === '' ? 'unnamed device' : device,
    ...(count > 1 ? [`${count} times`] : []),
  ].join('  ');
  const processes = rowsOf(incident, 'processes')
    .slice(0, 4)
    .map((each) => [textOf(each, 'name', 64), textOf(each, 'pid', 12)].filter(Boolean).join(' '))
    .filter((text) => text !== '');
  const [from, to] = [textOf(incident, 'firstAt', 40), textOf(incident, 'lastAt', 40)];
  const explanation = textOf(incident, 'explanation');
  const action = textOf(incident, 'action', 40);
  const lines = [
    ...(from === undefined && to === undefined
      ? []
      : [from === to ? from : `${from ?? '?'} to ${to ?? '?'}`]),
    ...(processes.length > 0 ? [`process: ${processes.join(', ')}`] : []),
    ...(fieldOf(incident, 'trusted') === false ? ['a user-space program wrote this, not the kernel'] : []),
    ...(explanation === undefined ? [] : [explanation]),
    ...(action === undefined ? [] : [`action: ${action}`]),
  ].flatMap((line) => (line === undefined ? [] : [paragraph('  ', line, terminal.columns)]));
  const raw = textsOf(incident, 'raw', quotesShown).map((line) => quoted(line, terminal, '  '));
  return `\n${head}\n${lines.join('')}${raw.join('')}`;
}
