import { describe, expect, test } from 'vitest';
import { isGpuError } from '../errors.ts';
import { detailArgument, gpuArgument, parseTime } from './arguments.ts';

const now = Date.UTC(2026, 10, 21, 12, 0, 0);

describe('parseTime', () => {
  test.each([
    // Back from now.
    ['30m', '2026-11-21T11:30:00.000Z'],
    ['2h', '2026-11-21T10:00:00.000Z'],
    ['1d', '2026-11-20T12:00:00.000Z'],
    ['90s', '2026-11-21T11:58:30.000Z'],
    ['0s', '2026-11-21T12:00:00.000Z'],
    ['366d', '2025-11-20T12:00:00.000Z'],
    [' 1h ', '2026-11-21T11:00:00.000Z'],
    // ISO 8601.
    ['2026-11-20', '2026-11-20T00:00:00.000Z'],
    ['2026-11-20T10:15', '2026-11-20T10:15:00.000Z'],
    ['2026-11-20T10:15:30', '2026-11-20T10:15:30.000Z'],
    ['2026-11-20 10:15:30', '2026-11-20T10:15:30.000Z'],
    ['2026-11-20T10:15:30Z', '2026-11-20T10:15:30.000Z'],
    ['2026-11-20t10:15:30z', '2026-11-20T10:15:30.000Z'],
    ['2026-11-20T10:15:30.123Z', '2026-11-20T10:15:30.123Z'],
    ['2026-11-20T10:15:30,123456Z', '2026-11-20T10:15:30.123Z'],
    ['2026-11-20T10:15:30+02:00', '2026-11-20T08:15:30.000Z'],
    ['2026-11-20T10:15:30-0730', '2026-11-20T17:45:30.000Z'],
    ['2024-02-29', '2024-02-29T00:00:00.000Z'],
  ])('%j is %s', (text, time) => {
    expect(parseTime('since', text, now)).toBe(time);
  });

  test.each([
    '',
    'yesterday',
    '1',
    '1w',
    '-1h',
    '1.5h',
    '1h30m',
    '367d',
    '999999d',
    '9999999s',
    '2026',
    '2026-11',
    '2026-13-01',
    '2026-02-29',
    '2026-02-31T10:00:00Z',
    '2026-04-31',
    '2026-11-20T25:00:00Z',
    '2026-11-20T10:61:00Z',
    '2026-11-20T10:15:30+99:00',
    '20/11/2026',
    'Fri, 20 Nov 2026 10:15:30 GMT',
    '1763632800',
    '2026-11-20T10:15:30Z; rm -rf /',
    '\u0000',
  ])('%j is refused: the error names argument, value and what is allowed', (text) => {
    let error: unknown;
    try {
      parseTime('until', text, now);
    } catch (thrown) {
      error = thrown;
    }
    if (!isGpuError(error)) expect.fail(`accepted, or threw ${String(error)}`);
    expect(error.code).toBe('INVALID_INPUT');
    expect(error.message).toContain(`until = ${JSON.stringify(text)}`);
    expect(error.message).toContain('2026-01-31T12:00:00Z');
    expect(error.message).toContain('30m');
    expect(error.hint).toContain('until');
  });

  test("does not depend on the machine's time zone", () => {
    const zone = process.env['TZ'];
    process.env['TZ'] = 'Asia/Kolkata';
    try {
      expect(new Date(2026, 0, 1).toISOString()).toBe('2025-12-31T18:30:00.000Z');
      expect(parseTime('since', '2026-11-20T10:15:30', now)).toBe('2026-11-20T10:15:30.000Z');
    } finally {
      if (zone === undefined) delete process.env['TZ'];
      else process.env['TZ'] = zone;
    }
  });
});

describe('gpu', () => {
  test.each([0, 7, 1023, '0', 'GPU-1a2b', '0000:3b:00.0'])('%j is taken as it is', (value) => {
    expect(gpuArgument.parse(value)).toBe(value);
  });

  test.each([-1, 1024, 1.5, Number.NaN, '', 'x'.repeat(129), null, true, [0], {}])(
    '%j is refused',
    (value) => {
      const { error } = gpuArgument.safeParse(value);
      expect(error?.issues[0]?.message).toMatch(/index \(0 to 1023\).*UUID.*PCI address.*MIG UUID/);
    },
  );
});

test('detail is summary unless asked', () => {
  expect(detailArgument.parse(undefined)).toBe('summary');
  expect(detailArgument.safeParse('all').error?.issues[0]?.message).toContain('"full"');
});
