import type { Terminal } from '@k8s-gpu-mcp/command-line';
import { table } from '@k8s-gpu-mcp/command-line/layout';
import type { StructuredContent } from '@k8s-gpu-mcp/core';
import {
  type Answer,
  renderCoverage,
  renderFindings,
  renderHead,
  renderNextSteps,
  viewOf,
} from './answer.ts';
import { clean } from './layout.ts';

interface ProcessesAnswer extends Answer {
  readonly gpus: readonly {
    readonly index: number;
    readonly state: string;
    readonly processCount: number | null;
    readonly memoryUsedBytes: number | null;
    readonly attributedBytes: number | null;
    readonly unattributedBytes: number | null;
  }[];
  readonly processes: readonly {
    readonly pid: number;
    readonly user: string | null;
    readonly command: string | null;
    readonly name: string | null;
    readonly container?: { readonly id: string };
    readonly podUid?: string;
    readonly slurmJobId?: string;
    readonly state?: string;
    readonly gpus: readonly { readonly index: number; readonly memoryUsedBytes: number | null }[];
  }[];
}

const bytesPerMebibyte = 1024 ** 2;
const mebibytes = (bytes: number | null) =>
  bytes === null ? '-' : `${Math.round(bytes / bytesPerMebibyte)} MiB`;
const orDash = (value: string | number | null | undefined) => clean(value ?? '-');

export function renderProcesses(content: StructuredContent, terminal: Terminal): string {
  const answer = viewOf<ProcessesAnswer>(content);
  const gpus = answer.gpus.map((gpu) => [
    { text: String(gpu.index) },
    { text: orDash(gpu.processCount) },
    { text: mebibytes(gpu.memoryUsedBytes) },
    { text: mebibytes(gpu.attributedBytes) },
    { text: mebibytes(gpu.unattributedBytes) },
  ]);
  const processes = answer.processes.map((process) => [
    { text: String(process.pid) },
    { text: orDash(process.user) },
    {
      text: process.gpus
        .map(({ index, memoryUsedBytes }) => `${index}: ${mebibytes(memoryUsedBytes)}`)
        .join(', '),
    },
    { text: ownerOf(process) },
    {
      text: `${process.state === undefined ? '' : `[${clean(process.state)}] `}${orDash(process.command ?? process.name)}`,
    },
  ]);
  const gpuColumns = [
    { heading: 'GPU', align: 'right' as const },
    { heading: 'PROCESSES', align: 'right' as const },
    { heading: 'MEMORY', align: 'right' as const },
    { heading: 'BY PROCESSES', align: 'right' as const },
    { heading: 'BY NOBODY', align: 'right' as const },
  ];
  const processColumns = [
    { heading: 'PID', align: 'right' as const },
    { heading: 'USER' },
    { heading: 'GPUS', canShrink: true as const },
    { heading: 'OWNER', canShrink: true as const },
    { heading: 'COMMAND', canShrink: true as const },
  ];
  return [
    renderHead(answer, terminal),
    gpus.length === 0 ? '' : `\n${table(gpuColumns, gpus, terminal.columns)}`,
    processes.length === 0 ? '' : `\n${table(processColumns, processes, terminal.columns)}`,
    answer.truncated
      ? `  ${processes.length} of ${answer.total} processes; --json and a cursor give the rest\n`
      : '',
    renderFindings(answer.findings ?? [], terminal),
    renderNextSteps(answer, terminal),
    renderCoverage(answer, terminal),
  ].join('');
}

/** What a process belongs to, as far as its control group tells. */
function ownerOf({ podUid, slurmJobId, container }: ProcessesAnswer['processes'][number]): string {
  if (podUid !== undefined) return `pod ${clean(podUid)}`;
  if (slurmJobId !== undefined) return `job ${clean(slurmJobId)}`;
  return container === undefined ? '-' : `container ${clean(container.id).slice(0, 12)}`;
}
