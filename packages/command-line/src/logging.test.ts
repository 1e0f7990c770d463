import { describe, expect, it } from 'vitest';
import type { logLevels } from './log-levels.ts';
import { createLogger } from './logging.ts';

function linesOf(level: (typeof logLevels)[number]): Record<string, unknown>[] {
  const lines: Record<string, unknown>[] = [];
  const logger = createLogger(level, { write: (line) => lines.push(JSON.parse(line)) });
  logger.debug('a', { error: new Error('why') });
  logger.info('b', { count: 1 });
  logger.warn('c');
  logger.error('d', { error: Object.assign(new Error('why'), { code: 'EIO' }) });
  return lines;
}

describe('createLogger', () => {
  it.each([
    ['debug', ['debug', 'info', 'warn', 'error']],
    ['info', ['info', 'warn', 'error']],
    ['warn', ['warn', 'error']],
    ['error', ['error']],
    ['silent', []],
  ] as const)('writes at level %s: %j', (level, expected) => {
    expect(linesOf(level).map((line) => line['level'])).toEqual(expected);
  });

  it('writes message, fields and an ISO time', () => {
    const [line] = linesOf('info');
    expect(line).toMatchObject({ message: 'b', count: 1 });
    expect(line?.['time']).toMatch(/^\d{4}-\d\d-\d\dT.*Z$/);
  });

  it('shows an error with its stack at debug only', () => {
    expect(linesOf('error')[0]?.['error']).toEqual({ type: 'Error', message: 'why', code: 'EIO' });
    expect(JSON.stringify(linesOf('debug')[0])).toContain('logging.test.ts');
  });
});
