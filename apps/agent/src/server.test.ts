import { GpuError } from '@k8s-gpu-mcp/core';
import { stubProvider } from '@k8s-gpu-mcp/core/testing';
import { describe, expect, it } from 'vitest';
import { createReadiness } from './server.ts';

describe('createReadiness', () => {
  it('is ready when the backend can be described', async () => {
    expect(await createReadiness(stubProvider())()).toEqual({ ready: true, reasons: [] });
  });

  it('names the backend and the reason when it cannot', async () => {
    const broken = stubProvider({ describe: new GpuError('DRIVER_NOT_LOADED', 'no driver.') });
    const { ready, reasons } = await createReadiness(broken)();
    expect(ready).toBe(false);
    expect(reasons[0]).toMatch(/stub.*DRIVER_NOT_LOADED: no driver\./);
  });

  it('asks the driver at most once in five seconds, also for probes at the same time', async () => {
    let now = 0;
    const provider = stubProvider();
    const readiness = createReadiness(provider, () => now);
    await Promise.all([readiness(), readiness()]);
    now = 4_999;
    await readiness();
    expect(provider.calls.describeNode).toBe(1);
    now = 5_000;
    await readiness();
    expect(provider.calls.describeNode).toBe(2);
  });
});
