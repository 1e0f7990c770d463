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

interface TopologyAnswer extends Answer {
  readonly matrix: readonly { readonly gpu: number; readonly to: Readonly<Record<string, string | null>> }[];
  readonly gpus: readonly {
    readonly index: number;
    readonly numaNode: string | null;
    readonly cpuAffinity: string | null;
    readonly nvlink: { readonly links: number; readonly active?: number } | null;
    readonly fabric?: string;
    readonly pcie?: {
      readonly generation: number | null;
      readonly maxGeneration: number | null;
      readonly widthLanes: number | null;
      readonly maxWidthLanes: number | null;
    };
  }[];
}

const orDash = (value: string | number | null | undefined) => clean(value ?? '-');

export function renderTopology(content: StructuredContent, terminal: Terminal): string {
  const answer = viewOf<TopologyAnswer>(content);
  const others = [...new Set(answer.matrix.flatMap(({ to }) => Object.keys(to)))].sort(
    (a, b) => Number(a) - Number(b),
  );
  const matrix = answer.matrix.map(({ gpu, to }) => [
    { text: `GPU${gpu}` },
    ...others.map((other) => ({ text: orDash(to[other]) })),
  ]);
  const rows = answer.gpus.map(({ index, numaNode, cpuAffinity, nvlink, fabric, pcie }) => [
    { text: String(index) },
    { text: nvlink === null ? '-' : nvlink.links === 0 ? 'none' : `${nvlink.active} of ${nvlink.links}` },
    { text: orDash(fabric) },
    { text: pcie ? `gen ${orDash(pcie.generation)} of ${orDash(pcie.maxGeneration)}` : '-' },
    { text: pcie ? `x${orDash(pcie.widthLanes)} of x${orDash(pcie.maxWidthLanes)}` : '-' },
    { text: orDash(numaNode) },
    { text: orDash(cpuAffinity) },
  ]);
  const columns = [
    { heading: 'GPU', align: 'right' as const },
    { heading: 'NVLINK' },
    { heading: 'FABRIC' },
    { heading: 'PCIE' },
    { heading: 'WIDTH' },
    { heading: 'NUMA' },
    { heading: 'CPUS', canShrink: true as const },
  ];
  const matrixColumns = [{ heading: '' }, ...others.map((other) => ({ heading: `GPU${other}` }))];
  return [
    renderHead(answer, terminal),
    matrix.length === 0 ? '' : `\n${table(matrixColumns, matrix, terminal.columns)}`,
    rows.length === 0 ? '' : `\n${table(columns, rows, terminal.columns)}`,
    renderFindings(answer.findings ?? [], terminal),
    renderNextSteps(answer, terminal),
    renderCoverage(answer, terminal),
  ].join('');
}
