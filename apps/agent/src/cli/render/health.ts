import type { Terminal } from '@k8s-gpu-mcp/command-line';
import { table } from '@k8s-gpu-mcp/command-line/layout';
import type { Action, GpuState, StructuredContent, Verdict } from '@k8s-gpu-mcp/core';
import {
  type Answer,
  paintVerdict,
  renderCoverage,
  renderFindings,
  renderHead,
  renderNextSteps,
  viewOf,
} from './answer.ts';
import { clean } from './layout.ts';

interface HealthAnswer extends Answer {
  readonly gpus: readonly {
    readonly index: number;
    readonly uuid: string | null;
    readonly verdict: Verdict;
    readonly score: number | null;
    readonly state?: GpuState;
    readonly action?: Action;
  }[];
}

export function renderHealth(content: StructuredContent, terminal: Terminal): string {
  const answer = viewOf<HealthAnswer>(content);
  const rows = answer.gpus.map(({ index, uuid, verdict, score, state = 'ok', action = 'none' }) => [
    { text: String(index) },
    { text: clean(verdict).toUpperCase(), paint: paintVerdict(verdict, terminal) },
    { text: score === null ? '-' : String(score) },
    { text: clean(state) },
    { text: action === 'none' ? '-' : clean(action) },
    { text: clean(uuid ?? '-') },
  ]);
  const columns = [
    { heading: 'GPU', align: 'right' as const },
    { heading: 'VERDICT' },
    { heading: 'SCORE', align: 'right' as const },
    { heading: 'STATE' },
    { heading: 'ACTION' },
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
