import { describe, expect, it } from 'vitest';
import { fit, table } from './layout.ts';

const columns = [
  { heading: 'GPU', align: 'right' as const },
  { heading: 'NAME', canShrink: true as const },
  { heading: 'END' },
];
const rows = [
  [{ text: '0' }, { text: 'NVIDIA H100 80GB HBM3' }, { text: 'ok' }],
  [{ text: '10' }, { text: 'T4', paint: (text: string) => `\u001b[31m${text}\u001b[39m` }, { text: 'lost' }],
];

describe('table', () => {
  it('pads to the widest cell, and colour does not count as width', () => {
    expect(table(columns, rows, Number.POSITIVE_INFINITY)).toBe(
      [
        'GPU  NAME                   END',
        '  0  NVIDIA H100 80GB HBM3  ok',
        ` 10  \u001b[31mT4\u001b[39m                     lost`,
        '',
      ].join('\n'),
    );
  });

  it('cuts the shrinkable column only, to stay within a narrow terminal', () => {
    const lines = table(columns, [rows[0] ?? []], 20)
      .trimEnd()
      .split('\n');
    expect(lines[1]).toBe('  0  NVIDIA H1…  ok');
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(20);
  });

  it('keeps a heading whole, and at least six characters', () => {
    const [heading, row] = table(
      [
        { heading: 'TOP HOLDER', canShrink: true },
        { heading: 'ON', canShrink: true },
      ],
      [[{ text: 'x'.repeat(40) }, { text: 'y'.repeat(40) }]],
      1,
    )
      .trimEnd()
      .split('\n');
    expect(heading).toBe('TOP HOLDER  ON');
    expect(row).toBe(`${'x'.repeat(9)}…  ${'y'.repeat(5)}…`);
  });
});

describe('fit', () => {
  it('leaves what has room, and cuts the rest', () => {
    expect([fit('abcd', 4), fit('abcde', 4), fit('abc', 0)]).toEqual(['abcd', 'abc…', '…']);
  });

  it('leaves no half of a surrogate pair', () => {
    expect(fit('ab\u{1f600}cd', 4)).toBe('ab…');
  });
});
