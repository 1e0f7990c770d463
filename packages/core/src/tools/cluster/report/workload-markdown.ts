import type { WorkloadExplanation } from '../../../cluster/workload-failure.ts';
import type { Gap } from '../../../domain/gap.ts';
import type { Finding } from '../../../domain/verdict.ts';
import {
  code,
  conclusionLines,
  fenced,
  findingLines,
  gapLine,
  gpuLines,
  listItem,
  orUnknown,
  placeOf,
  section,
  whenLogged,
  writerNote,
} from '../../report/markdown.ts';
import type { ReportedNode, subjectOfReport, WorkloadReport } from './workload-report.ts';
import type { TimelineRow } from './workload-timeline.ts';

export interface WorkloadMarkdownParts {
  readonly subject: ReturnType<typeof subjectOfReport>;
  readonly reportId: string;
  /** ISO 8601. */
  readonly observedAt: string;
  /** ISO 8601; null when nothing has ended badly. */
  readonly failedAt: string | null;
  /** Nodes whose agents say that their GPUs are simulated. */
  readonly simulatedNodeCount: number;
  readonly explained: WorkloadExplanation;
  /** Those that there is room for. */
  readonly findings: readonly Finding[];
  readonly hypothesisCount: number;
  readonly report: WorkloadReport;
  readonly gaps: readonly Gap[];
}

/** The report of a workload as text for a ticket. Text of others stands in code spans and fences, which it cannot leave. */
export function renderWorkloadMarkdown(parts: WorkloadMarkdownParts): string {
  const {
    simulatedNodeCount,
    subject,
    reportId,
    observedAt,
    failedAt,
    explained,
    findings,
    hypothesisCount,
    report,
    gaps,
  } = parts;
  const chain = report.ownerChain.map(({ kind, name }) => code(`${kind}/${name}`));
  return [
    `# Workload incident report ${reportId}`,
    '',
    `- ${subject.kind === 'pod' ? 'Pod' : 'Job'}: ${code(nameOf(subject))}`,
    ...(chain.length > 0 ? [`- Owners: ${chain.join(' of ')}`] : []),
    `- Pods: ${subject.podCount ?? 'not read'}, on ${subject.nodeCount} nodes`,
    ...(simulatedNodeCount > 0
      ? [`- GPUs: **simulated** (${simulatedNodeCount} node${simulatedNodeCount === 1 ? '' : 's'})`]
      : []),
    `- Failed at: ${failedAt ?? 'no bad end is told'}`,
    `- Read at: ${observedAt}`,
    ...conclusionLines(explained),
    ...section('Findings', findings.map(findingLines), explained.findings.length - findings.length),
    ...section(
      'What else it could be',
      explained.hypotheses.slice(1, hypothesisCount).map(({ cause: other, what }) => `- ${other}: ${what}`),
    ),
    ...section('How the pods ended', report.ways.map(wayLine)),
    ...section('First ends', report.terminations.map(endLine), report.omitted['terminations']),
    ...section(
      'Timeline',
      report.timeline.length > 0 ? [clocks, '', ...report.timeline.map(rowLine)] : [],
      report.omitted['timeline'],
    ),
    ...section('Nodes', report.nodes.flatMap(nodeLines), report.omitted['nodes']),
    ...section('What would change this', explained.wouldChange.map(listItem)),
    ...section('Not seen', explained.notSeen.map(listItem)),
    ...section('Not read', gaps.map(gapLine)),
  ]
    .join('\n')
    .trimEnd();
}

const clocks =
  'Times of the API server are whole seconds; clocks of nodes and of the control plane are not compared, so that order between them is sure to some seconds only.';

function nameOf({ namespace, ...rest }: WorkloadMarkdownParts['subject']): string {
  if ('pod' in rest && rest.pod !== undefined) return `${namespace}/${rest.pod}`;
  const job = 'job' in rest ? rest.job : undefined;
  return job ? `${namespace}/${job.kind ?? 'job'}/${job.name}` : namespace;
}

const wayLine = ({ reason, exitCode, podCount, nodeCount, meaning }: WorkloadReport['ways'][number]) =>
  `- ${podCount} on ${nodeCount} nodes, exit code ${exitCode ?? 'not told'}, reason ${orUnknown(reason)}: ${meaning}`;

function endLine(end: WorkloadReport['terminations'][number]): string {
  const { pod, node, kind, reason, exitCode, finishedAt } = end;
  const container =
    'container' in end && end.container !== undefined ? ` container ${code(end.container)}` : '';
  return `- ${finishedAt ?? 'time unknown'} pod ${code(pod)}${container} on ${orUnknown(node)}: ${kind}, exit code ${exitCode ?? 'not told'}, reason ${orUnknown(reason)}`;
}

function rowLine(row: TimelineRow): string {
  const { at, until, count, source, clock, resolutionSeconds, node, pod, container, gpu, what } = row;
  const where = [
    ...(node === undefined ? [] : [`node ${code(node)}`]),
    ...(pod === undefined ? [] : [`pod ${code(pod)}`]),
    ...(container === undefined ? [] : [`container ${code(container)}`]),
  ].join(', ');
  const often = count === undefined ? '' : ` ${count} times`;
  const last = until === undefined ? '' : ` until ${until}`;
  const exact = resolutionSeconds === null ? '' : `, to ${resolutionSeconds} s`;
  const word = row.reason === undefined ? '' : ` ${code(row.reason)}`;
  const text = row.raw === undefined ? '' : ` ${code(row.raw)}`;
  return `- ${at ?? 'time unknown'}${last}${often} (${source}, clock: ${clock}${exact})${where === '' ? '' : ` ${where}`}: ${placeOf(gpu)}${what}${word}${text}`;
}

function nodeLines(node: ReportedNode): string[] {
  const { cluster, errors, gpus, verdict } = node;
  const held =
    node.gpusHeld === null
      ? 'not known'
      : node.gpusHeld === 'all'
        ? 'all'
        : node.gpusHeld.map(code).join(', ');
  return [
    `### Node ${code(node.node)}`,
    '',
    `- Pods of the workload: ${node.podCount}; its GPUs: ${held}`,
    `- Agent: ${verdict === null ? 'not heard' : `**${verdict}**${'note' in node && node.note !== undefined ? ` (${node.note})` : ''}`}; its report ${node.reportId ?? 'was not read'}`,
    `- Driver ${orUnknown(node.driverVersion)}, compute API ${orUnknown(node.computeApiVersion)}`,
    ...(cluster === null
      ? [`- Ready: ${node.ready ?? 'not read'}`]
      : [
          `- Ready: ${node.ready ?? 'not told'}${cluster.isUnschedulable ? ', cordoned' : ''}; kernel ${orUnknown(cluster.kernelVersion)}, kubelet ${orUnknown(cluster.kubeletVersion)}${'bootId' in cluster && cluster.bootId !== undefined ? `, boot ${code(cluster.bootId)}` : ''}`,
          ...cluster.conditions.map(
            ({ type, status, reason, lastTransitionAt }) =>
              `- Condition ${code(type)}: ${status}, reason ${orUnknown(reason)}, since ${lastTransitionAt ?? 'an unknown time'}`,
          ),
          ...cluster.taints.map(
            ({ key, value, effect }) => `- Taint ${code(`${key}${value ? `=${value}` : ''}:${effect}`)}`,
          ),
        ]),
    '',
    ...gpus.flatMap(gpuLines).map((line) => line.replace(/^### /, '#### ')),
    ...errors.flatMap(errorLines),
  ];
}

function errorLines(incident: ReportedNode['errors'][number]): string[] {
  const { error, title, gpu, pciAddress, standing, action, raw } = incident;
  const where = gpu === null ? 'no GPU named' : `GPU ${gpu}`;
  const address = pciAddress === null ? '' : ` (${code(pciAddress)})`;
  return [
    `#### ${error}: ${title}`,
    '',
    `${where}${address}, ${whenLogged(incident)}, ${standing}, action ${action}.${writerNote(incident)}`,
    '',
    ...(raw.length > 0 ? [...fenced(raw), ''] : []),
  ];
}
