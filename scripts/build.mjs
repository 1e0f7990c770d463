// Builds every package through turbo, and shows turbo's output only when the build fails.
import { spawnSync } from 'node:child_process';
import { join, resolve } from 'node:path';

const root = resolve(import.meta.dirname, '..');
const { status, stdout, stderr, error } = spawnSync(
  join(root, 'node_modules', '.bin', 'turbo'),
  ['run', 'build', '--output-logs=errors-only', ...process.argv.slice(2)],
  { cwd: root, encoding: 'utf8', env: { TURBO_TELEMETRY_DISABLED: '1', ...process.env } },
);
if (status !== 0) {
  console.error(`${stdout ?? ''}${stderr ?? ''}${error ?? ''}`);
  process.exit(1);
}
