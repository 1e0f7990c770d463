import { defineConfig } from 'vitest/config';

/**
 * Layers, by file name. Unit and contract tests run on the TypeScript sources through the export condition
 * `@k8s-gpu-mcp/source`, so they need no build; integration, e2e and deployment tests run what `npm run build` made.
 */
const sources = { ssr: { resolve: { conditions: ['@k8s-gpu-mcp/source', 'node', 'import', 'default'] } } };
const layer = (name: string, include: string[], more = {}) => ({
  ...sources,
  test: {
    name,
    include,
    exclude: ['**/node_modules/**', '**/dist/**'],
    // What is waited for may take its time on a busy machine; the limit of the test ends what never comes.
    expect: { poll: { timeout: 50_000 } },
    ...more,
  },
});

export default defineConfig({
  test: {
    // Much of the time is spent on waiting for programs, so no core is left over for the runner.
    maxWorkers: '100%',
    projects: [
      // The limit only ends a test that hangs: many run beside each other on few cores.
      layer('unit', ['{packages,apps}/*/src/**/*.test.ts', 'scripts/**/*.test.ts'], { testTimeout: 60_000 }),
      layer('contract', ['packages/*/test/**/*.contract.test.ts'], { testTimeout: 30_000 }),
      layer('integration', ['{packages,apps,test}/**/*.integration.test.ts'], {
        testTimeout: 60_000,
        hookTimeout: 60_000,
      }),
      layer('e2e', ['{apps,test,examples}/**/*.e2e.test.ts'], { testTimeout: 120_000, hookTimeout: 60_000 }),
      // Needs tools that npm does not bring (helm, podman): a layer of its own, not part of `npm test`.
      layer('deployment', ['test/deployment/**/*.deployment.test.ts'], {
        testTimeout: 300_000,
        hookTimeout: 600_000,
      }),
    ],
  },
});
