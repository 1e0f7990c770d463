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
const minimumShrunkWidth = 8;

/** Headings and rows in columns that stay within `room` where the shrinkable ones allow. Columns that hold nothing are left out. */
export function table(columns: readonly Column[], rows: readonly (readonly Cell[])[], room: number): string {
  if (rows.length === 0) return '';
  const used = columns.flatMap((column, index) => {
    const longest = Math.max(...rows.map((row) => row[index]?.text.length ?? 0));
    const isEmpty = rows.every((row) => ['', '-'].includes(row[index]?.text ?? ''));
    return isEmpty ? [] : [{ ...column, index, width: Math.max(column.heading.length, longest) }];
  });
  let excess = used.reduce((sum, { width }) => sum + width, 0) + gap.length * (used.length - 1) - room;
  for (const column of [...used].reverse()) {
    if (excess <= 0) break;
    if (!column.canShrink || column.width <= minimumShrunkWidth) continue;
    const width = Math.max(minimumShrunkWidth, column.heading.length, column.width - excess);
    excess -= column.width - width;
    column.width = width;
  }
  const line = (cellOf: (column: (typeof used)[number]) => Cell) =>
    used
      .map((column) => {
        const { text, paint = (same: string) => same } = cellOf(column);
        const shown = fit(text, column.width);
        const padding = ' '.repeat(column.width - shown.length);
        return column.align === 'right' ? padding + paint(shown) : paint(shown) + padding;
      })
      .join(gap)
      .trimEnd();
  const lines = [
    line(({ heading }) => ({ text: heading })),
    ...rows.map((row) => line(({ index }) => row[index] ?? { text: '' })),
  ];
  return `${lines.join('\n')}\n`;
}

export const fit = (text: string, width: number): string =>
  text.length > width ? `${text.slice(0, Math.max(0, width - 1)).replace(/[\ud800-\udbff]$/, '')}…` : text;

/** `lead` and the text behind it, broken at spaces; lines after the first stand under the text. */
export function paragraph(lead: string, text: string, room: number, style = (same: string) => same): string {
  const indent = ' '.repeat(Math.min(lead.length, 8));
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    const width = room - (lines.length === 0 ? lead.length : indent.length);
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line].map((each, at) => `${at === 0 ? style(lead) : indent}${each}\n`).join('');
}
