import { afterEach, describe, expect, it, vi } from 'vitest';

const set = {
  NODE_EXTRA_CA_CERTS: '/ca.pem',
  GOGC: '50',
  K8S_GPU_MCP_PORT: '1',
  npm_config_a: 'b',
  BENCH_SHORT: '1',
};

/** As a process that was started with these. */
async function loaded() {
  vi.resetModules();
  for (const [name, value] of Object.entries(set)) vi.stubEnv(name, value);
  return import('./environment.mjs');
}
afterEach(() => {
  vi.unstubAllEnvs();
  vi.resetModules();
});

describe('environment', () => {
  it('of measured processes lacks what distorts, and has the rest', async () => {
    const { measuredEnvironment } = await loaded();
    for (const name of Object.keys(set)) expect(measuredEnvironment).not.toHaveProperty(name);
    expect(measuredEnvironment).toHaveProperty('PATH');
  });

  it('of what installs is the one it all was started with, also below the runner', async () => {
    const { benchmarkEnvironment, originalEnvironment } = await loaded();
    expect(originalEnvironment).toMatchObject(set);
    expect(benchmarkEnvironment).not.toHaveProperty('NODE_EXTRA_CA_CERTS');
    vi.unstubAllEnvs();
    vi.resetModules();
    vi.stubEnv('BENCH_ORIGINAL_ENVIRONMENT', benchmarkEnvironment.BENCH_ORIGINAL_ENVIRONMENT);
    expect((await import('./environment.mjs')).originalEnvironment).toMatchObject(set);
  });

  it('of a short run says so to each benchmark', async () => {
    const { isShort, benchmarkEnvironment } = await loaded();
    expect([isShort, benchmarkEnvironment.BENCH_SHORT]).toEqual([true, '1']);
  });
});
