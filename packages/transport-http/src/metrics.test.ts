import { describe, expect, it } from 'vitest';
import { HttpMetrics } from './metrics.ts';
import { silentLogger } from './options.ts';

function create(processMetrics: boolean) {
  return new HttpMetrics({
    logger: silentLogger,
    processMetrics,
    sessionCount: () => 0,
    collectFurther: undefined,
  });
}

describe('process metrics', () => {
  it('stand beside the others, and no gauge is named like a counter', async () => {
    const metrics = create(true);
    const families = [...(await metrics.render()).matchAll(/^# TYPE (\S+) (\S+)$/gm)];
    metrics.close();
    const names = families.map(([, name]) => name);
    expect(names).toEqual(expect.arrayContaining(['process_cpu_seconds_total', 'nodejs_active_handles']));
    const misnamed = families.filter(([, name, type]) => name?.endsWith('_total') && type !== 'counter');
    expect(misnamed).toEqual([]);
  });

  it('are left out where they are not wanted', async () => {
    expect(await create(false).render()).not.toMatch(/^# TYPE (process|nodejs)_/m);
  });
});
