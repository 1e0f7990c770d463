/**
 * Who may import whom (docs/architecture.md). Run by scripts/check-layers.mjs, which also asserts how many modules were seen: with
 * TypeScript 7 a parser other than swc sees none and calls that a pass.
 */
const adapters = '^packages/(nvml|nvml-mock|host-linux|replay|kubernetes|kubelet|command-line)/';
const transports = '^packages/(transport-stdio|transport-http)/';
const coreRoom = (rooms) => `^packages/core/src/(${rooms})/`;
const tests = '\\.test\\.ts$';

/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    {
      name: 'no-cycles',
      severity: 'error',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    {
      name: 'core-is-pure',
      comment: 'core runs anywhere: zod and nothing else.',
      severity: 'error',
      from: { path: '^packages/core/src/', pathNot: tests },
      to: { pathNot: ['^packages/core/src/', '(^|node_modules/)zod(/|$)'] },
    },
    {
      name: 'core-domain-is-the-ground',
      severity: 'error',
      from: { path: coreRoom('domain'), pathNot: tests },
      // The codes of errors.ts are words of the domain; it imports nothing.
      to: { pathNot: [coreRoom('domain'), '^packages/core/src/errors\\.ts$'] },
    },
    {
      name: 'core-ports-stand-on-domain',
      severity: 'error',
      from: { path: coreRoom('ports'), pathNot: tests },
      to: {
        path: '^packages/core/src/',
        pathNot: [coreRoom('domain|ports'), '^packages/core/src/errors\\.ts$'],
      },
    },
    {
      name: 'core-reasoning-below-tools',
      severity: 'error',
      from: { path: coreRoom('xid|health|diagnosis|events|recorder|cluster'), pathNot: tests },
      to: { path: coreRoom('tools|resources|prompts') },
    },
    {
      name: 'adapters-know-core-only',
      severity: 'error',
      from: { path: `${adapters}src/`, pathNot: tests },
      to: {
        path: '^(packages|apps|examples)/',
        pathNot: ['^packages/core/src/(index|testing)\\.ts$', '^packages/$1/'],
      },
    },
    {
      name: 'adapters-know-no-protocol',
      severity: 'error',
      from: { path: `${adapters}|^packages/(core|contract-tests)/src/`, pathNot: [tests, '/test/'] },
      to: { path: '@modelcontextprotocol|inversify|hono' },
    },
    {
      name: 'transports-know-no-gpus',
      severity: 'error',
      from: { path: `${transports}src/`, pathNot: tests },
      to: { path: '^(packages|apps|examples)/', pathNot: '^packages/$1/' },
    },
    {
      name: 'contract-tests-need-no-runner',
      severity: 'error',
      from: { path: '^packages/contract-tests/src/', pathNot: tests },
      to: {
        pathNot: [
          '^packages/contract-tests/src/',
          '^packages/core/src/(index|testing)\\.ts$',
          '^(node:)?assert(/strict)?$',
        ],
      },
    },
    {
      name: 'inversify-only-in-composition',
      severity: 'error',
      from: { pathNot: '^apps/[^/]+/src/composition/' },
      to: { path: 'node_modules/(inversify|reflect-metadata)/' },
    },
    {
      name: 'examples-use-published-entry-points',
      severity: 'error',
      from: { path: '^examples/' },
      to: { path: '^(packages|apps)/[^/]+/src/', pathNot: '^packages/[^/]+/src/(index|testing)\\.ts$' },
    },
    {
      name: 'nothing-imports-an-app',
      severity: 'error',
      from: { pathNot: '^(apps|test)/' },
      to: { path: '^apps/' },
    },
  ],
  options: {
    parser: 'swc',
    tsPreCompilationDeps: true,
    doNotFollow: { path: 'node_modules' },
    exclude: { path: ['/dist/', '/fixtures/'] },
    enhancedResolveOptions: {
      conditionNames: ['@k8s-gpu-mcp/source', 'import', 'node', 'default'],
      exportsFields: ['exports'],
    },
  },
};
