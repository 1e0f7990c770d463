import { type Cell, type Column, table } from '@k8s-gpu-mcp/command-line/layout';

/** A table without the columns that hold nothing; empty without rows. */
export function tableOfFilled(
  columns: readonly Column[],
  rows: readonly (readonly Cell[])[],
  room: number,
): string {
  if (rows.length === 0) return '';
  const isFilled = (_: unknown, index: number) =>
    rows.some((row) => !['', '-'].includes(row[index]?.text ?? ''));
  // A row that is short lacks its last cells, so that the ones it has keep their columns.
  return table(
    columns.filter(isFilled),
    rows.map((row) => row.filter(isFilled)),
    room,
  );
}

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
