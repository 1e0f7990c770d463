import { describe, expect, test } from 'vitest';
import { duration, endpointUrl } from './option-parsers.ts';
import { UsageError } from './usage-error.ts';

describe('duration', () => {
  const parse = duration(1_000, 600_000);
  test.each([
    ['1s', 1_000],
    ['1500ms', 1_500],
    [' 10m ', 600_000],
  ])('%j is %i ms', (value, milliseconds) => {
    expect(parse(value)).toBe(milliseconds);
  });
  test.each([
    '',
    '10',
    's',
    '999ms',
    '601s',
    '-1s',
    '1.5s',
    '1h',
    '10 s',
    '99999999s',
    `${'9'.repeat(500)}s`,
  ])('%j is refused, with what is valid', (value) => {
    expect(() => parse(value)).toThrow(UsageError);
    expect(() => parse(value)).toThrow('from 1s to 600s');
  });
});

describe('endpointUrl', () => {
  const parse = endpointUrl();
  test.each([
    ['http://gw:8080', 'http://gw:8080/mcp'],
    ['https://gw.example/', 'https://gw.example/mcp'],
    ['http://gw/x?y=1#z', 'http://gw/x?y=1'],
  ])('%j is %j', (value, href) => {
    expect(parse(value).href).toBe(href);
  });
  test.each(['ftp://x', 'gw:8080', 'nonsense', 'http://user:pass@x', ''])('%j is refused', (value) => {
    expect(() => parse(value)).toThrow(UsageError);
  });
});
