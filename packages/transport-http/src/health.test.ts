import { describe, expect, it } from 'vitest';
import { createReadinessCheck } from './health.ts';
import { silentLogger } from './options.ts';

const ready = async () => ({ ready: true, reasons: [] });

describe('createReadinessCheck', () => {
  it('is ready when nothing speaks against it', async () => {
    const check = createReadinessCheck({
      readiness: ready,
      ownReasons: async () => [],
      logger: silentLogger,
    });
    expect(await check()).toEqual({ ready: true, reasons: [] });
  });

  it('is not ready for a reason of the transport, whatever the caller says', async () => {
    const ownReasons = async () => ['shutting down'];
    const check = createReadinessCheck({ readiness: ready, ownReasons, logger: silentLogger });
    expect(await check()).toEqual({ ready: false, reasons: ['shutting down'] });
  });

  it('takes a check that hangs for not ready', async () => {
    const check = createReadinessCheck({
      readiness: () => new Promise(() => {}),
      ownReasons: async () => [],
      logger: silentLogger,
      limitMilliseconds: 5,
    });
    expect(await check()).toEqual({
      ready: false,
      reasons: ['the readiness check did not answer within 5 ms'],
    });
  });
});
