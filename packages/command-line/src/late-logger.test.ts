import { setImmediate } from 'node:timers/promises';
import type { Logger } from '@k8s-gpu-mcp/core';
import { describe, expect, it, vi } from 'vitest';
import { lateLogger } from './late-logger.ts';

function recording() {
  const lines: unknown[] = [];
  const log =
    (level: string) =>
    (...line: unknown[]) =>
      void lines.push([level, ...line]);
  const logger: Logger = {
    debug: log('debug'),
    info: log('info'),
    warn: log('warn'),
    error: log('error'),
  };
  return { lines, load: vi.fn(async () => logger) };
}

describe('lateLogger', () => {
  it('is not loaded while nothing is logged, not even by flush', async () => {
    const { load } = recording();
    await lateLogger(load).flush();
    expect(load).not.toHaveBeenCalled();
  });

  it('holds what is logged until the input has had its turn, then writes it in order', async () => {
    const { lines, load } = recording();
    const logger = lateLogger(load);
    logger.info('starting', { pid: 1 });
    logger.warn('simulated');
    await Promise.resolve();
    expect(load).not.toHaveBeenCalled();
    await setImmediate();
    await setImmediate();
    logger.error('later');
    expect(lines).toEqual([
      ['info', 'starting', { pid: 1 }],
      ['warn', 'simulated'],
      ['error', 'later'],
    ]);
    expect(load).toHaveBeenCalledTimes(1);
  });

  it('writes everything when flushed at once', async () => {
    const { lines, load } = recording();
    const logger = lateLogger(load);
    logger.error('last words');
    await logger.flush();
    expect(lines).toEqual([['error', 'last words']]);
  });

  it('does without a log that cannot be loaded', async () => {
    const logger = lateLogger(() => Promise.reject(new Error('no disk')));
    logger.info('starting');
    await logger.flush();
    logger.info('still here');
  });
});
