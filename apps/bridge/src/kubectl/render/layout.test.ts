import { describe, expect, it } from 'vitest';
import { tableOfFilled } from './layout.ts';

const columns = [{ heading: 'NODE' }, { heading: 'WHY' }, { heading: 'GPUS', align: 'right' as const }];

describe('tableOfFilled', () => {
  it('leaves out the columns that hold nothing in any row', () => {
    const rows = [
      [{ text: 'a' }, { text: '-' }, { text: '8' }],
      [{ text: 'b' }, { text: '' }, { text: '-' }],
    ];
    expect(tableOfFilled(columns, rows, 80)).toBe('NODE  GPUS\na        8\nb        -\n');
  });

  it('keeps a column that one row fills', () => {
    expect(tableOfFilled(columns, [[{ text: 'a' }], [{ text: 'b' }, { text: 'lost' }]], 80)).toBe(
      'NODE  WHY\na\nb     lost\n',
    );
  });

  it('is nothing without rows', () => {
    expect(tableOfFilled(columns, [], 80)).toBe('');
  });
});
