#!/usr/bin/env node
// Scores the diagnosis against golden incidents: one line each, then totals. Exit 1 when anything is wrong, 64 for a wrong call.
//   node test/golden-incidents/score.mjs [DIR] [--only NAME] [--json FILE] [--planted]
import { statSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { plantFault, readIncidents, score } from './scorer.js';

const atOnce = 2;

function usage(message) {
  process.stderr.write(`${message}\n`);
  process.exit(64);
}

function optionsOf(argv) {
  try {
    return parseArgs({
      args: argv,
      allowPositionals: true,
      options: {
        only: { type: 'string' },
        json: { type: 'string' },
        planted: { type: 'boolean', default: false },
      },
    });
  } catch (error) {
    return usage(error.message);
  }
}

const { values, positionals } = optionsOf(process.argv.slice(2));
const folder = positionals[0] ?? fileURLToPath(new URL('.', import.meta.url));
if (!statSync(folder, { throwIfNoEntry: false })?.isDirectory()) usage(`${folder} is no folder`);
const incidents = readIncidents(folder, values.only);
if (incidents.length === 0) usage(`no incident${values.only ? ` ${values.only}` : ''} in ${folder}`);
if (values.planted) incidents[0] = plantFault(incidents[0]);

const scores = [];
const waiting = incidents.entries();
async function work() {
  for (const [position, incident] of waiting) {
    scores[position] = await score(incident);
    print(scores[position]);
  }
}
await Promise.all(Array.from({ length: atOnce }, work));

function print({ name, ok, failure, given, wrong = [], forbiddenConclusions = [], contract = [], tokens }) {
  const conclusion = given
    ? `${given.verdict}, ${given.cause}, ${given.action}, not your code: ${given.notYourCode}; ${tokens} tokens`
    : '';
  process.stdout.write(`${ok ? 'ok  ' : 'FAIL'} ${name}  ${conclusion}\n`);
  for (const line of [...(failure ? [failure] : []), ...wrong, ...forbiddenConclusions, ...contract])
    process.stdout.write(`       ${line}\n`);
}

const count = (test) => scores.filter(test).length;
const forbiddenCount = scores.reduce((sum, each) => sum + (each.forbiddenConclusions?.length ?? 0), 0);
process.stdout.write(
  [
    '',
    `${count(({ ok }) => ok)} of ${scores.length} incidents right`,
    ...['verdict', 'cause', 'action', 'notYourCode'].map(
      (what) => `  right ${what}: ${count(({ right }) => right?.[what] === true)} of ${scores.length}`,
    ),
    `  forbidden conclusions: ${forbiddenCount}`,
    `  other faults of answers: ${count(({ contract = [], failure }) => contract.length > 0 || failure !== undefined)}`,
    `  largest answer: ${Math.max(0, ...scores.map(({ tokens = 0 }) => tokens))} tokens`,
    '',
  ].join('\n'),
);
if (values.json) writeFileSync(values.json, `${JSON.stringify(scores, null, 2)}\n`);
process.exitCode = scores.every(({ ok }) => ok) ? 0 : 1;
