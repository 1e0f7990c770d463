// The flight recorder is killed (SIGKILL) at a random moment, as often as the first number says (100), always on the same folder. Each
// time: what it had acknowledged is there again, but for the last interval at most; every second time the end of its newest segment is
// damaged as well, which must be counted and must not cost more than that interval. With --planted the recorder acknowledges what it has
// not written yet, and the drill must fail. Prints what failed and survived/rounds; exits 1 when they differ.
import { spawn } from 'node:child_process';
import { randomBytes, randomInt } from 'node:crypto';
import {
  appendFileSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';

const rounds = Number(process.argv.slice(2).find((word) => /^\d+$/.test(word)) ?? 100);
const isPlanted = process.argv.includes('--planted');
const packages = resolve(import.meta.dirname, '../../packages');
const { createRecorderStore } = await import(
  join(packages, 'host-linux/dist/recorder-store/recorder-store.js')
);
const { recordedSeriesIds } = await import(join(packages, 'core/dist/recorder/series.js'));

const directory = mkdtempSync(join(tmpdir(), 'recorder-kill-drill-'));
process.on('exit', () => rmSync(directory, { recursive: true, force: true }));
const startLimitMilliseconds = 30_000;

/** Starts a recorder, kills it some time after its first interval, and returns the intervals that it acknowledged. */
async function recordAndKill() {
  const program = join(import.meta.dirname, 'record-forever.mjs');
  const child = spawn(process.execPath, [program, directory, ...(isPlanted ? ['--planted'] : [])], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = new Promise((done) => child.once('close', done));
  const intervals = [];
  let begin;
  const begun = new Promise((done) => {
    begin = done;
  });
  createInterface(child.stdout).on('line', (line) => {
    intervals.push(line.split(' '));
    begin();
  });
  await Promise.race([begun, ended, sleep(startLimitMilliseconds, undefined, { ref: false })]);
  await sleep(randomInt(0, 700));
  child.kill('SIGKILL');
  await ended;
  return intervals;
}

const damages = {
  'cut off': (path, size) => truncateSync(path, size - randomInt(1, 200)),
  'garbage behind it': (path) => appendFileSync(path, randomBytes(randomInt(1, 5_000))),
  'zeros behind it': (path) => appendFileSync(path, Buffer.alloc(randomInt(1, 5_000))),
  overwritten(path, size) {
    const bytes = readFileSync(path);
    randomBytes(randomInt(8, 200)).copy(bytes, size - 200);
    writeFileSync(path, bytes);
  },
};

/** Damages the end of the newest segment; returns how. */
function damage() {
  const newest = readdirSync(directory)
    .filter((name) => name.startsWith('fine-'))
    .sort()
    .at(-1);
  // Only a planted recorder acknowledges before there is a file.
  if (newest === undefined) return 'nothing to damage';
  const names = Object.keys(damages);
  const name = names[randomInt(names.length)];
  const path = join(directory, newest);
  damages[name](path, readFileSync(path).length);
  return name;
}

async function load() {
  const store = createRecorderStore({ directory, seriesNames: recordedSeriesIds });
  const { samples, lostSampleCount } = await store.load();
  await store.close();
  const kept = new Map(samples.map((sample) => [`${sample.gpuIndex}:${sample.atMilliseconds}`, sample]));
  return { kept, lostSampleCount };
}

let survived = 0;
let intervalCount = 0;
let sampleCount = 0;
let lostBefore = 0;
let previous = [];
for (let round = 1; round <= rounds; round += 1) {
  const intervals = await recordAndKill();
  if (intervals.length === 0) {
    console.log(`round ${round}: nothing was recorded`);
    continue;
  }
  intervalCount += intervals.length;
  const damaged = round % 2 === 0 ? damage() : undefined;
  const { kept, lostSampleCount } = await load();
  sampleCount = kept.size;
  const isKept = (interval) =>
    interval.every((key) => kept.get(key)?.values.some((value) => Number.isFinite(value)));
  const missing = intervals.filter((interval) => !isKept(interval));
  // Undamaged, a segment has everything that was acknowledged; damaged, it may lack its last interval.
  const allowed = damaged === undefined ? 0 : 1;
  const wrong = [
    ...(missing.length > allowed ? [`${missing.length} of ${intervals.length} intervals are missing`] : []),
    ...(missing.length === 1 && missing[0] !== intervals.at(-1) ? ['one in the middle is missing'] : []),
    ...(previous.every(isKept) ? [] : ['what the round before had kept is missing']),
    ...(damaged !== undefined && lostSampleCount <= lostBefore ? ['the damage was not noticed'] : []),
  ];
  if (wrong.length === 0) survived += 1;
  else console.log(`round ${round} (${damaged ?? 'killed only'}): ${wrong.join('; ')}`);
  previous = intervals.filter(isKept);
  lostBefore = lostSampleCount;
}
console.log(
  `recorder kill drill: survived ${survived}/${rounds} (${intervalCount} intervals acknowledged, ${sampleCount} samples read at the end)`,
);
process.exit(survived === rounds && rounds > 0 ? 0 : 1);
