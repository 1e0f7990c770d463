import type { Terminal } from '@k8s-gpu-mcp/command-line';
import { table } from '@k8s-gpu-mcp/command-line/layout';
import type { GpuState, StructuredContent } from '@k8s-gpu-mcp/core';
import {
  type Answer,
  renderCoverage,
  renderFindings,
  renderHead,
  renderNextSteps,
  viewOf,
} from './answer.ts';
import { clean } from './layout.ts';

interface InventoryAnswer extends Answer {
  readonly gpus: readonly {
    readonly index: number;
    readonly state: GpuState;
    readonly name: string | null;
    readonly uuid: string | null;
    readonly pciAddress: string | null;
    readonly memoryTotalBytes: number | null;
    readonly eccEnabled: boolean | null;
    readonly migEnabled: boolean | null;
    readonly migDevices?: readonly unknown[];
  }[];
}

const bytesPerGibibyte = 1024 ** 3;
const onOff = (value: boolean | null) => (value === null ? '-' : value ? 'on' : 'off');

export function renderInventory(content: StructuredContent, terminal: Terminal): string {
  const answer = viewOf<InventoryAnswer>(content);
  const rows = answer.gpus.map((gpu) => [
    { text: String(gpu.index) },
    {
      text: clean(gpu.state),
      ...(gpu.state === 'ok' ? {} : { paint: (text: string) => terminal.style('red', text) }),
    },
    { text: clean(gpu.name ?? '-') },
    { text: clean(gpu.pciAddress ?? '-') },
    {
      text:
        gpu.memoryTotalBytes === null ? '-' : `${(gpu.memoryTotalBytes / bytesPerGibibyte).toFixed(1)} GiB`,
    },
    { text: onOff(gpu.eccEnabled) },
    { text: gpu.migDevices?.length ? `${gpu.migDevices.length} devices` : onOff(gpu.migEnabled) },
    { text: clean(gpu.uuid ?? '-') },
  ]);
  const columns = [
    { heading: 'GPU', align: 'right' as const },
    { heading: 'STATE' },
    { heading: 'NAME', canShrink: true as const },
    { heading: 'PCI ADDRESS' },
    { heading: 'MEMORY', align: 'right' as const },
    { heading: 'ECC' },
    { heading: 'MIG' },
    { heading: 'UUID', canShrink: true as const },
  ];
  return [
    renderHead(answer, terminal),
    rows.length === 0 ? '' : `\n${table(columns, rows, terminal.columns)}`,
    renderFindings(answer.findings ?? [], terminal),
    renderNextSteps(answer, terminal),
    renderCoverage(answer, terminal),
  ].join('');
}
