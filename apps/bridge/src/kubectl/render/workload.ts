import type { Terminal } from '@k8s-gpu-mcp/command-line';
import type { StructuredContent } from '@k8s-gpu-mcp/core';
import { fieldOf, numberOf, rowsOf, textOf } from '../fields.ts';
import { causeWord } from './causes.ts';
import { paragraph, tableOfFilled } from './layout.ts';
import { cell, more, quoted, section, verdictCell } from './parts.ts';

// What `explain_failure` tells of a pod or a job and of no node: what it is, how it ended, what its nodes saw.

const endsShown = 12;
const nodesShown = 8;
const eventsShown = 6;

/** `pod ml/train-0 of Job train`, `Job ml/train, 8 pods on 2 nodes`; undefined for an answer about a node. */
export function subjectOf(answer: StructuredContent): string | undefined {
  const subject = fieldOf(answer, 'subject');
  const namespace = textOf(subject, 'namespace', 63);
  if (namespace === undefined) return undefined;
  const pod = textOf(subject, 'pod', 253);
  if (pod !== undefined) {
    const owner = fieldOf(subject, 'owner');
    const of = textOf(owner, 'name', 253);
    return `pod ${namespace}/${pod}${of === undefined ? '' : ` of ${textOf(owner, 'kind', 63) ?? ''} ${of}`}`;
  }
  const job = fieldOf(subject, 'job');
  const name = textOf(job, 'name', 253) ?? '';
  return `${textOf(job, 'kind', 63) ?? 'job'} ${namespace}/${name}${sizeOf(subject)}`;
}

function sizeOf(row: unknown): string {
  const pods = numberOf(row, 'podCount');
  const nodes = numberOf(row, 'nodeCount');
  if (pods === undefined) return '';
  return `, ${counted(pods, 'pod')}${nodes === undefined ? '' : ` on ${counted(nodes, 'node')}`}`;
}

const counted = (count: number, noun: string) => `${count} ${noun}${count === 1 ? '' : 's'}`;

/** Node and GPU that the conclusion is about, where it is about one. */
export function placeOf(answer: StructuredContent): { readonly node?: string; readonly gpu?: string } {
  const [conclusion] = rowsOf(answer, 'hypotheses');
  const node = textOf(answer, 'node', 253) ?? textOf(conclusion, 'node', 253);
  const gpu = textOf(answer, 'gpu', 8) ?? textOf(conclusion, 'gpu', 8);
  return { ...(node === undefined ? {} : { node }), ...(gpu === undefined ? {} : { gpu }) };
}

/** How containers ended, the first first; of a job, in how many ways before. */
export function renderEnds(answer: StructuredContent, terminal: Terminal): string {
  const all = rowsOf(answer, 'terminations');
  const ways = textOf(fieldOf(answer, 'subject'), 'pod') === undefined ? rowsOf(answer, 'ways') : [];
  const ends = all.slice(0, endsShown);
  const blocks = [
    ...ways.map((way) =>
      paragraph('  ', `${sizeOf(way).replace(/^, /, '')}: ${howOf(way)}`, terminal.columns),
    ),
    ...ends.map((end) => {
      const name = [textOf(end, 'pod', 253), textOf(end, 'container', 63)].filter(Boolean).join('/');
      const node = textOf(end, 'node', 253);
      return paragraph(`  ${name}${node === undefined ? '' : ` on ${node}`}  `, howOf(end), terminal.columns);
    }),
    more(Math.max(numberOf(answer, 'endedPodCount') ?? 0, all.length) - ends.length, 'end'),
  ];
  return ends.length === 0 ? '' : section('How it ended', blocks.filter(Boolean), terminal);
}

/** The names of ends are ours; reasons are the kubelet's. */
function howOf(end: StructuredContent): string {
  const restarts = numberOf(end, 'restartCount') ?? 0;
  return [
    ['', textOf(end, 'kind', 40)],
    ['reason ', textOf(end, 'reason', 64)],
    ['exit code ', textOf(end, 'exitCode', 12)],
    ['signal ', textOf(end, 'signal', 12)],
    ['at ', textOf(end, 'finishedAt', 40)],
    ['', textOf(end, 'containerKind', 20)],
    ['', textOf(end, 'which', 20)],
    ['', restarts > 0 ? `restarted ${restarts === 1 ? 'once' : `${restarts} times`}` : undefined],
  ]
    .flatMap(([word = '', told]) => (told === undefined ? [] : [`${word}${told}`]))
    .join(', ');
}

/** A row for each node that it ran on: what its agent saw. */
export function renderNodes(answer: StructuredContent, terminal: Terminal): string {
  const all = rowsOf(answer, 'nodes');
  const total = numberOf(fieldOf(answer, 'subject'), 'nodeCount') ?? all.length;
  const columns = [
    { heading: 'NODE' },
    { heading: 'VERDICT' },
    { heading: 'PODS', align: 'right' },
    { heading: 'READY' },
    { heading: 'SEEN', canShrink: true },
  ] as const;
  const rows = all
    .slice(0, nodesShown)
    .map((row) => [
      cell(textOf(row, 'node', 253)),
      verdictCell(row, terminal),
      cell(textOf(row, 'podCount', 8)),
      cell(textOf(row, 'ready', 12)),
      cell(seenOn(row)),
    ]);
  if (rows.length === 0) return '';
  const blocks = [tableOfFilled(columns, rows, terminal.columns), more(total - rows.length, 'node')];
  return section('Its nodes', blocks.filter(Boolean), terminal);
}

function seenOn(row: StructuredContent): string {
  const because = textOf(row, 'because', 120);
  if (because !== undefined) return `its agent was not heard: ${because}`;
  const note = textOf(row, 'note', 120);
  if (note !== undefined) return note;
  const gpu = textOf(row, 'gpu', 8);
  const incidents = rowsOf(row, 'incidents')
    .slice(0, 4)
    .map(
      (incident) =>
        (['xid', 'sxid'] as const).flatMap((name) => {
          const code = textOf(incident, name, 8);
          return code === undefined ? [] : [`${name === 'xid' ? 'Xid' : 'SXid'} ${code}`];
        })[0] ??
        textOf(incident, 'kind', 40) ??
        '?',
    );
  return [
    `${gpu === undefined ? '' : `GPU ${gpu}: `}${causeWord(textOf(row, 'cause', 60) ?? 'unknown')}`,
    ...incidents,
  ].join(', ');
}

/** Warnings of the cluster near the failure; their words are anybody's. */
export function renderEvents(answer: StructuredContent, terminal: Terminal): string {
  const blocks = rowsOf(answer, 'events')
    .slice(0, eventsShown)
    .map((event) => {
      const about = fieldOf(event, 'about');
      const what = [textOf(about, 'kind', 32), textOf(about, 'name', 253), textOf(event, 'reason', 64)];
      const at = textOf(event, 'lastAt', 40);
      const line = `${what.filter(Boolean).join(' ')}${at === undefined ? '' : `, at ${at}`}`;
      const message = textOf(event, 'message', 200);
      return `${paragraph('  ', line, terminal.columns)}${message === undefined ? '' : quoted(message, terminal)}`;
    });
  return section('Events', blocks, terminal);
}

const nameLabel = '[a-z0-9](?:[-a-z0-9]*[a-z0-9])?';
/** Names of pods and of namespaces. Source: RFC 1123, "Object Names and IDs" of the Kubernetes documentation. */
const podName = new RegExp(`^${nameLabel}(?:\\.${nameLabel})*$`);
const namespaceName = new RegExp(`^${nameLabel}$`);
const isName = (value: unknown, form: RegExp, maximum: number): value is string =>
  typeof value === 'string' && value.length <= maximum && form.test(value);

/** Puts the first pod that ended into a command of the gateway, which leaves names out; as it is where they could be more than names. */
export function namePod(command: string, answer: StructuredContent): string {
  const pod = fieldOf(rowsOf(answer, 'terminations')[0], 'pod');
  const namespace = fieldOf(fieldOf(answer, 'subject'), 'namespace');
  if (!isName(pod, podName, 253) || !isName(namespace, namespaceName, 63)) return command;
  return command.replace(
    /^kubectl logs POD --namespace NAMESPACE(?= |$)/,
    `kubectl logs ${pod} --namespace ${namespace}`,
  );
}
