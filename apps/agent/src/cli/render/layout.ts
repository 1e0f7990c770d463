import { quarantine } from '@k8s-gpu-mcp/core';

/** Longest text of one field on a terminal; `--json` has it whole. */
const maximumFieldLength = 600;

/** Any field of an answer as text that is safe on a terminal: log text can hold escape sequences. */
export function clean(value: unknown): string {
  return quarantine(String(value ?? ''), maximumFieldLength);
}

export interface Column {
  readonly heading: string;
  readonly align?: 'right';
  /** May be cut when the terminal is narrow; the others keep their width. */
  readonly canShrink?: true;
}

export interface Cell {
  readonly text: string;
  /** Applied after padding, so that colour does not count as width. */
  readonly paint?: (text: string) => string;
}

const gap = '  ';
const minimumShrunkWidth = 6;

/** A table without borders: headings, then rows, padded; shrinkable columns are cut so that lines stay within `columns`. */
export function table(columns: readonly Column[], rows: readonly (readonly Cell[])[], width: number): string {
  const widths = columns.map(({ heading }, index) =>
    Math.max(heading.length, ...rows.map((row) => row[index]?.text.length ?? 0)),
  );
  shrink(widths, columns, width);
  const line = (cells: readonly Cell[]) =>
    columns
      .map(({ align }, index) => {
        const { text, paint = (same: string) => same } = cells[index] ?? { text: '' };
        const columnWidth = widths[index] ?? 0;
        const cut = text.length > columnWidth ? `${text.slice(0, columnWidth - 1)}…` : text;
        const isLast = index === columns.length - 1;
        const padding = ' '.repeat(isLast && align !== 'right' ? 0 : columnWidth - cut.length);
        return align === 'right' ? padding + paint(cut) : paint(cut) + padding;
      })
      .join(gap)
      .trimEnd();
  return `${[line(columns.map(({ heading }) => ({ text: heading }))), ...rows.map(line)].join('\n')}\n`;
}

function shrink(widths: number[], columns: readonly Column[], width: number): void {
  let excess = widths.reduce((sum, each) => sum + each, 0) + gap.length * (columns.length - 1) - width;
  for (let index = columns.length - 1; index >= 0 && excess > 0; index -= 1) {
    const current = widths[index] ?? 0;
    if (!columns[index]?.canShrink || current <= minimumShrunkWidth) continue;
    const reduced = Math.max(minimumShrunkWidth, current - excess);
    widths[index] = reduced;
    excess -= current - reduced;
  }
}

/** Breaks at spaces so that lines stay within `width`; later lines are indented by `indent` more. */
export function wrap(text: string, width: number, indent = ''): string {
  if (text.length <= width) return text;
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    const candidate = line === '' ? word : `${line} ${word}`;
    if (candidate.length <= width || line.trim() === '') line = candidate;
    else {
      lines.push(line);
      line = indent + word;
    }
  }
  return [...lines, line].join('\n');
}
