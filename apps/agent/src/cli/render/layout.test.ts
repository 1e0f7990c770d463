import { describe, expect, it } from 'vitest';
import { clean, wrap } from './layout.ts';

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
