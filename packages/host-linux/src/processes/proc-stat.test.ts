import { describe, expect, it } from 'vitest';
import { isPid, parseProcStat } from './proc-stat.ts';

// Fields after the name, from the third. Source: proc(5); the flags and the start are fields 9 and 22.
const rest = (more: { state?: string; parent?: string; flags?: string; start?: string } = {}): string =>
  `${more.state ?? 'S'} ${more.parent ?? '9279'} 9279 4100 0 -1 ${more.flags ?? '4194304'} 117 0 0 0 0 0 0 0 20 0 1 0 ${more.start ?? '1150004'} 3133440 418 18446744073709551615 0\n`;
const parse = (text: string) => parseProcStat(Buffer.from(text));

describe('parseProcStat', () => {
  it('reads what names a process', () => {
    expect(parse(`9292 (python3) ${rest()}`)).toEqual({
      pid: 9292,
      name: 'python3',
      state: 'S',
      parentPid: 9279,
      isKernelThread: false,
      startTicks: 1150004,
    });
  });

  it.each(['a b', 'a) R 1 1', '(sd-pam)', ')', '((', 'a\nb) Z 1', '', ' ', 'ünï'])(
    'keeps the name %j whole',
    (name) => {
      expect(parse(`12 (${name}) ${rest()}`)).toMatchObject({ name, state: 'S', startTicks: 1150004 });
    },
  );

  it('knows kernel threads by their flag', () => {
    // kthreadd and a kworker of a real machine have 2129984 and 69238880; both hold 0x200000.
    expect(parse(`2 (kthreadd) ${rest({ parent: '0', flags: '2129984' })}`)?.isKernelThread).toBe(true);
    expect(parse(`9 (kworker/0:0) ${rest({ parent: '2', flags: '69238880' })}`)?.isKernelThread).toBe(true);
    expect(parse(`9 (bash) ${rest({ parent: '2' })}`)?.isKernelThread, 'pid 2 of a container').toBe(false);
  });

  it.each([
    '',
    '12',
    '12 (a',
    '12 (a)',
    '12 (a) ',
    '12 (a) S',
    'x (a) S 1',
    `12 (a) ${rest({ state: '7' })}`,
    `12 (a) ${rest({ parent: 'x' })}`,
    `12 (a) ${rest({ start: '-5' })}`,
    `12 (a) ${rest({ start: '9'.repeat(30) })}`,
    '\0\0\0',
  ])('is undefined for %j', (text) => {
    expect(parse(text)).toBeUndefined();
  });

  it('planted fault: a name that ends at the first parenthesis would be noticed', () => {
    const text = `12 (a) R 1) ${rest()}`;
    expect(text.indexOf(')')).not.toBe(text.lastIndexOf(')'));
    expect(parse(text)?.name).not.toBe('a');
  });
});

describe('isPid', () => {
  it('takes what Linux gives out', () => {
    expect([1, 4_194_304].every(isPid)).toBe(true);
    expect([0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 4_194_305].some(isPid)).toBe(false);
  });
});
