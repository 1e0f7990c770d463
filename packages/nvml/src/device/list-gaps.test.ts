import { describe, expect, it } from 'vitest';
import { missing } from '../decode/values.ts';
import { formatRanges, ListGaps } from './list-gaps.ts';

describe('formatRanges', () => {
  it.each([
    [[], ''],
    [[5], '5'],
    [[3, 1, 2], '1-3'],
    [[0, 1, 64, 65, 65, 67], '0-1,64-65,67'],
  ])('%j is "%s"', (numbers, text) => {
    expect(formatRanges(numbers)).toBe(text);
  });
});

describe('ListGaps', () => {
  it('says once what members have in common, and apart what they have not', () => {
    const gaps = new ListGaps('nvlink.links', 'link');
    const unsupported = missing('unsupported', 'call: no');
    expect([0, 1, 2].map((link) => gaps.taker(link)('speed', unsupported))).toEqual([null, null, null]);
    expect(gaps.taker(1)('speed', missing('error', 'call: 999'))).toBeNull();
    expect(gaps.taker(1)('version', { value: '4' })).toBe('4');
    gaps.taker(5)('speed', missing('unsupported', 'other: no'));
    gaps.noteIncomplete(7, missing('no-permission', 'open: 4'));
    expect(gaps.all()).toEqual([
      { field: 'nvlink.links.speed', reason: 'unsupported', detail: 'link 0-2: call: no; link 5: other: no' },
      { field: 'nvlink.links.speed', reason: 'error', detail: 'link 1: call: 999' },
      { field: 'nvlink.links', reason: 'no-permission', detail: 'link 7: open: 4' },
    ]);
  });
});
