// Runs every benchmark of this folder, or the named ones, and prints a line for each figure: a ratio measured in one run, with its spread and
// what is wanted of it. See docs/performance.md.
//
// A benchmark is a file `NAME.mjs` that exports `run(): Promise<{ figures, tables?, notes? }>` (harness/figure.mjs, harness/report.mjs).
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { parseArgs } from 'node:util';
import { isShort } from './harness/environment.mjs';
import { runIsolated } from './harness/isolated.mjs';
import { describeMachine, machineLines } from './harness/machine.mjs';
import { peers } from './harness/peers.mjs';
import { exitCodeOf, linesOf, markdownOf, mergedRun, summaryLine, withMeasured } from './harness/report.mjs';

const usage = `usage: npm run bench -- [NAME...] [--json FILE] [--markdown FILE] [--strict]
  --json FILE      also writes the results there; with names, only theirs are exchanged
  --markdown FILE  writes the tables between the markers of this document
  --strict         ends with 1 also where a promise is not kept or could not be shown
BENCH_SHORT=1 makes inputs small and rounds few.`;
/** What hangs is ended, and fails. */
const limitMilliseconds = (isShort ? 5 : 20) * 60_000;

const known = readdirSync(import.meta.dirname)
  .filter((file) => file.endsWith('.mjs') && file !== basename(import.meta.filename))
  .map((file) => basename(file, '.mjs'))
  .sort();

function options() {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: {
        json: { type: 'string' },
        markdown: { type: 'string' },
        strict: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    });
    const unknown = positionals.filter((name) => !known.includes(name));
    if (unknown.length > 0) throw new Error(`no such benchmark: ${unknown.join(', ')}`);
    return { ...values, names: positionals };
  } catch (error) {
    console.error(`${error.message}\n${usage}\nbenchmarks: ${known.join(' ')}`);
    process.exit(64);
  }
}

const { names, json, markdown, strict, help } = options();
if (help) {
  console.log(`${usage}\nbenchmarks: ${known.join(' ')}`);
  process.exit(0);
}
// Before the machine is looked at: an installation would keep it busy.
const { reason, node24 } = peers();
const machine = await describeMachine(node24 === undefined ? [] : [node24]);
for (const line of machineLines(machine)) console.log(line);
if (reason !== undefined) console.log(reason);

const results = [];
for (const benchmark of names.length === 0 ? known : names) {
  const file = join(import.meta.dirname, `${benchmark}.mjs`);
  const result = await runIsolated(file, limitMilliseconds);
  results.push(result);
  console.log(`\n== ${benchmark} (${result.seconds} s)`);
  for (const line of linesOf(result)) console.log(line);
}
console.log(`\n${summaryLine(results)}`);

// Written and read again, as whoever reads the file would.
const measured = JSON.parse(JSON.stringify({ machine, isShort, results }));
const isPartial = names.length > 0 && json !== undefined && existsSync(json);
const all = isPartial ? mergedRun(JSON.parse(readFileSync(json, 'utf8')), measured) : measured;
if (json !== undefined) writeFileSync(json, `${JSON.stringify(all, null, 2)}\n`);
if (markdown !== undefined)
  writeFileSync(markdown, withMeasured(readFileSync(markdown, 'utf8'), markdownOf(all, machineLines)));
process.exit(exitCodeOf(results, { strict }));
