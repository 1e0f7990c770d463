import { availableParallelism, tmpdir } from 'node:os';
import { defineConfig } from 'vitest/config';

/**
 * Layers, by file name. Unit and contract tests run on the TypeScript sources through the export condition
 * `@k8s-gpu-mcp/source`, so they need no build; integration, e2e and deployment tests run what `npm run build` made.
 */
const sources = { ssr: { resolve: { conditions: ['@k8s-gpu-mcp/source', 'node', 'import', 'default'] } } };
/** These wait much of their time, for programs and for limits of time to pass; one more of them than there are cores keeps the cores busy. */
const waiting = { maxWorkers: availableParallelism() + 1, sequence: { groupOrder: 1 } };
/** A process for each file would load the same modules hundreds of times. What a test changes for all (a clock, a variable), it puts back. */
const shared = { isolate: false };
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
    globalSetup: ['test/temporary-folder.ts'],
    // No core is left over for the runner, which has little to do.
    maxWorkers: '100%',
    projects: [
      layer(
        'unit',
        ['{packages,apps}/*/src/**/*.test.ts', 'scripts/**/*.test.ts', 'bench/harness/*.test.ts'],
        {
          ...shared,
          // The limit only ends a test that hangs: many run beside each other on few cores.
          testTimeout: 60_000,
        },
      ),
      layer('contract', ['packages/*/test/**/*.contract.test.ts'], { ...shared, testTimeout: 30_000 }),
      layer('integration', ['{packages,apps,test}/**/*.integration.test.ts'], {
        ...shared,
        ...waiting,
        testTimeout: 60_000,
        hookTimeout: 60_000,
      }),
      layer('e2e', ['{apps,test,examples}/**/*.e2e.test.ts'], {
        ...waiting,
        testTimeout: 120_000,
        hookTimeout: 60_000,
      }),
      // Needs tools that npm does not bring (helm, podman): a layer of its own, not part of `npm test`.
      layer('deployment', ['test/deployment/**/*.deployment.test.ts'], {
        ...waiting,
        // Not the folder of the run: podman and buildah put whole images where TMPDIR says, and /tmp may be memory.
        env: { TMPDIR: tmpdir() },
        testTimeout: 180_000,
        // The first one may have to build the image.
        hookTimeout: 400_000,
      }),
    ],
  },
});
