// Runs every benchmark in this folder and prints one line each: a ratio measured in one run against a peer or the limit, and whether it
// is within its goal. Absolute times mean nothing on shared machines. BENCH_SHORT=1 makes the inputs small (CI); a name runs only that.
//
// A benchmark is a file `NAME.mjs` that exports `run(): Promise<{ name, ratio, limit, pass, details }>`; `ratio` is ours / theirs.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';

const only = process.argv[2];
const files = readdirSync(import.meta.dirname).filter((file) => file.endsWith('.mjs') && file !== 'run.mjs');
let failed = 0;
for (const file of files.sort()) {
  if (only !== undefined && file !== `${only}.mjs`) continue;
  const { run } = await import(join(import.meta.dirname, file));
  const { name, ratio, limit, pass, details } = await run();
  if (!pass) failed += 1;
  console.log(`${pass ? 'ok  ' : 'FAIL'} ${name}: ${ratio.toFixed(2)} (goal: at most ${limit})  ${details}`);
}
process.exit(failed === 0 ? 0 : 1);
