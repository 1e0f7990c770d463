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

/** A table without borders: headings, then rows, padded; the last shrinkable columns are cut first so that lines stay within `room` characters. */
export function table(columns: readonly Column[], rows: readonly (readonly Cell[])[], room: number): string {
  const widths = columns.map(({ heading }, index) =>
    Math.max(heading.length, ...rows.map((row) => row[index]?.text.length ?? 0)),
  );
  shrink(widths, columns, room);
  const line = (cells: readonly Cell[]) =>
    columns
      .map(({ align }, index) => {
        const { text, paint = (same: string) => same } = cells[index] ?? { text: '' };
        const width = widths[index] ?? 0;
        const shown = fit(text, width);
        const padding = ' '.repeat(width - shown.length);
        return align === 'right' ? padding + paint(shown) : paint(shown) + padding;
      })
      .join(gap)
      .trimEnd();
  return `${[line(columns.map(({ heading }) => ({ text: heading }))), ...rows.map(line)].join('\n')}\n`;
}

function shrink(widths: number[], columns: readonly Column[], room: number): void {
  let excess = widths.reduce((sum, each) => sum + each, 0) + gap.length * (columns.length - 1) - room;
  for (const [index, { canShrink, heading }] of [...columns.entries()].reverse()) {
    if (excess <= 0) return;
    const current = widths[index] ?? 0;
    const least = Math.max(minimumShrunkWidth, heading.length);
    if (!canShrink || current <= least) continue;
    const reduced = Math.max(least, current - excess);
    widths[index] = reduced;
    excess -= current - reduced;
  }
}

/** Text that is longer than `room` characters, cut with an ellipsis; half a surrogate pair is never left. */
export const fit = (text: string, room: number): string =>
  text.length > room ? `${text.slice(0, Math.max(0, room - 1)).replace(/[\ud800-\udbff]$/, '')}…` : text;
