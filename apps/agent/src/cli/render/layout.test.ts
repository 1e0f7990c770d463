import { describe, expect, it } from 'vitest';
import { clean, table, wrap } from './layout.ts';

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
});

describe('wrap', () => {
  it('breaks at blanks and keeps every word', () => {
    const wrapped = wrap('one two three four', 9, '  ');
    expect(wrapped).toBe('one two\n  three\n  four');
  });

  it('leaves a word alone that is longer than the line', () => {
    expect(wrap(`a ${'x'.repeat(30)} b`, 10)).toContain('x'.repeat(30));
  });
});

describe('clean', () => {
  it('removes what a terminal would obey', () => {
    expect(clean('a\u001b[2Jb\u0007c\u202ed\u009b31me')).not.toMatch(/[\u001b\u0007\u202e\u009b]/);
  });
});
