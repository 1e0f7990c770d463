// Checks the layer rules of .dependency-cruiser.cjs, and that the checker sees the code at all: it must count every source file that
// git knows, and a planted violation of each kind must turn it red.
import { execFileSync } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { cruise } from 'dependency-cruiser';

const { forbidden, options } = createRequire(import.meta.url)('../.dependency-cruiser.cjs');
const roots = ['packages', 'apps', 'examples'];

const planted = [
  {
    file: 'packages/core/src/domain/planted.ts',
    code: "import '../tools/tool.ts';\n",
    rule: 'core-domain-is-the-ground',
  },
  { file: 'packages/core/src/xid/planted.ts', code: "import 'node:fs';\n", rule: 'core-is-pure' },
  {
    file: 'packages/nvml/src/planted.ts',
    code: "import type { mockScenarios } from '@k8s-gpu-mcp/nvml-mock';\nexport type P = typeof mockScenarios;\n",
    rule: 'adapters-know-core-only',
  },
  {
    file: 'packages/transport-http/src/planted.ts',
    code: "import '@k8s-gpu-mcp/core';\n",
    rule: 'transports-know-no-gpus',
  },
  {
    file: 'apps/agent/src/cli/planted.ts',
    code: "import 'inversify';\n",
    rule: 'inversify-only-in-composition',
  },
];

async function check() {
  const { output } = await cruise(roots, { ...options, ruleSet: { forbidden }, validate: true });
  return output;
}

const clean = await check();
for (const { rule, from, to } of clean.summary.violations) console.error(`${rule.name}: ${from} -> ${to}`);
if (clean.summary.violations.length > 0) process.exit(1);

const tracked = execFileSync('git', ['ls-files', '-co', '--exclude-standard', '--', ...roots], {
  encoding: 'utf8',
})
  .split('\n')
  .filter((file) => /\.ts$/.test(file) && !/\.d\.ts$|\/fixtures\//.test(file));
const seen = new Set(clean.modules.map(({ source }) => source));
const unseen = tracked.filter((file) => !seen.has(file));
if (unseen.length > 0) {
  console.error(
    `the checker did not see ${unseen.length} of ${tracked.length} files, for example ${unseen[0]}`,
  );
  process.exit(1);
}

try {
  for (const { file, code } of planted) writeFileSync(file, code, { flag: 'wx' });
  const { summary } = await check();
  for (const { file, rule } of planted) {
    if (summary.violations.some((violation) => violation.rule.name === rule && violation.from === file))
      continue;
    console.error(`a planted violation of ${rule} in ${file} was not found`);
    process.exitCode = 1;
  }
} finally {
  for (const { file } of planted) rmSync(file, { force: true });
}
if (!process.exitCode)
  console.log(
    `layers: ${tracked.length} files, ${forbidden.length} rules, ${planted.length} planted violations found`,
  );
