// The flight recorder: bytes for 8 GPUs x 30 series x 24 h against the stated limit, and the time to take up one sample against a plain
// recorder in the same run, which keeps an array of objects for each GPU (the last ten minutes, and one in ten seconds of the day). Ours
// also keeps the least, mean and greatest of each step, which the plain one does not: it loses what lasts for a second. Both are fed the
// same samples, in turns over several rounds; the ratio is of the medians. HOURS sets the length (default 24; BENCH_SHORT=1: 2).
//
// Run alone: node bench/recorder.mjs (after npm run build).
import { fileURLToPath } from 'node:url';
import {
  FlightRecorder,
  GpuReader,
  recordedSeries,
  recorderBytes,
  recorderOptions,
  silentLogger,
} from '@k8s-gpu-mcp/core';
import { stubProvider } from '@k8s-gpu-mcp/core/testing';

const byteLimit = 28_000_000;
const pushLimit = 1;
const gpuCount = 8;
const here = fileURLToPath(import.meta.url);
const start = Date.parse('2026-03-01T00:00:00.000Z');

/** A second of a busy GPU; the same buffer again and again, so that neither side pays for making it. */
const values = new Float64Array(recordedSeries.length);
function valuesAt(gpu, second) {
  for (const [index, { kind }] of recordedSeries.entries()) {
    if (kind === 'gauge') values[index] = 40 + ((second * (index + 3) + gpu) % 61);
    else if (kind === 'counter') values[index] = second * (index + 1);
    else values[index] = kind === 'flags' && second % 3 === 0 ? 4 : 0;
  }
  return values;
}

/** Every sample in the order in which a node gives them. */
function* samples(seconds) {
  for (let second = 0; second < seconds; second += 1) {
    for (let gpu = 0; gpu < gpuCount; gpu += 1) {
      yield {
        gpuUuid: `GPU-${gpu}`,
        gpuIndex: gpu,
        atMilliseconds: start + second * 1_000,
        values: valuesAt(gpu, second),
      };
    }
  }
}

async function ours(seconds) {
  // Where it makes way for others while it loads, nobody waits here.
  const clock = { now: () => start + seconds * 1_000, after: (_, callback) => void queueMicrotask(callback) };
  const reader = new GpuReader(stubProvider(), clock, silentLogger);
  const store = {
    load: async () => ({ samples: samples(seconds), lostSampleCount: 0 }),
    append: async () => {},
    close: async () => {},
  };
  const recorder = new FlightRecorder(reader, clock, silentLogger, recorderOptions(), store);
  await recorder.start(false);
  if (recorder.status.sampleCount !== seconds * gpuCount) throw new Error('samples were lost');
  return recorder;
}

const ids = recordedSeries.map(({ id }) => id);

function plain(seconds) {
  const gpus = new Map();
  for (const { gpuUuid, atMilliseconds, values } of samples(seconds)) {
    const kept = gpus.get(gpuUuid) ?? { fine: [], coarse: [] };
    gpus.set(gpuUuid, kept);
    const sample = { atMilliseconds };
    for (let index = 0; index < ids.length; index += 1) sample[ids[index]] = values[index];
    kept.fine.push(sample);
    if (kept.fine.length > 600) kept.fine.shift();
    if (atMilliseconds % 10_000 === 0) {
      kept.coarse.push(sample);
      if (kept.coarse.length > 8_640) kept.coarse.shift();
    }
  }
  return gpus;
}

async function timeOf(work) {
  const before = performance.now();
  const result = await work();
  return { milliseconds: performance.now() - before, result };
}
const median = (list) => list.toSorted((a, b) => a - b)[Math.floor(list.length / 2)];

export async function run() {
  const { BENCH_SHORT, HOURS } = process.env;
  const hours = Number(HOURS ?? (BENCH_SHORT === '1' ? 2 : 24));
  const seconds = hours * 3_600;
  const times = { ours: [], plain: [], samples: [] };
  let bytes = 0;
  for (let round = 0; round < 3; round += 1) {
    const made = await timeOf(() => {
      let count = 0;
      for (const sample of samples(seconds)) count += sample.gpuIndex;
      return count;
    });
    const mine = await timeOf(() => ours(seconds));
    const theirs = await timeOf(() => plain(seconds));
    bytes = mine.result.memoryBytes;
    times.samples.push(made.milliseconds);
    times.ours.push(mine.milliseconds);
    times.plain.push(theirs.milliseconds);
  }
  const reckoned = recorderBytes(recorderOptions(), gpuCount);
  // What making the samples costs is neither side's.
  const cost = median(times.samples);
  const push = (median(times.ours) - cost) / Math.max(1, median(times.plain) - cost);
  const each = ((median(times.ours) - cost) * 1_000) / (seconds * gpuCount);
  const ratio = Math.max(bytes / byteLimit, push / pushLimit);
  const details = [
    `${(bytes / 1e6).toFixed(1)} of ${byteLimit / 1e6} MB for ${gpuCount} GPUs x ${ids.length} series x 24 h (reckoned ${(reckoned / 1e6).toFixed(1)})`,
    `a sample ${push.toFixed(2)} times the plain recorder's (at most ${pushLimit}), ${each.toFixed(1)} us`,
    `${hours} h recorded`,
  ].join('; ');
  return {
    name: 'flight recorder, memory and cost of a sample / limit',
    ratio,
    limit: 1,
    pass: ratio <= 1 && bytes === reckoned,
    details,
  };
}

if (process.argv[1] === here) {
  const { pass, details } = await run();
  console.log(`${pass ? 'ok  ' : 'FAIL'} ${details}`);
  process.exitCode = pass ? 0 : 1;
}
