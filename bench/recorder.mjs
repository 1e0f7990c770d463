// The flight recorder: bytes for 8 GPUs x 30 series x 24 h against the stated limit, and the time to take up one sample against a plain
// recorder in the same run, which keeps an array of objects for each GPU (the last ten minutes, and one in ten seconds of the day). Ours
// also keeps the least, mean and greatest of each step, which the plain one does not: it loses what lasts for a second. Both are fed the
// same samples, in turns over several rounds. HOURS sets the length (default 24; BENCH_SHORT=1: 2).
//
// Run alone: node bench/recorder.mjs (after npm run build).
import {
  FlightRecorder,
  GpuReader,
  recordedSeries,
  recorderBytes,
  recorderOptions,
  silentLogger,
} from '@k8s-gpu-mcp/core';
import { stubProvider } from '@k8s-gpu-mcp/core/testing';
import { printAlone } from './harness/alone.mjs';
import { isShort } from './harness/environment.mjs';
import { exactFigure, fewestRounds, figure, median } from './harness/figure.mjs';

const byteLimit = 28_000_000;
const rounds = fewestRounds;
const gpuCount = 8;
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

export async function run() {
  const { HOURS } = process.env;
  const hours = Number(HOURS ?? (isShort ? 2 : 24));
  const seconds = hours * 3_600;
  const pairs = [];
  let bytes = 0;
  for (let round = 0; round < rounds; round += 1) {
    // What making the samples costs is neither side's.
    const { milliseconds: cost } = await timeOf(() => {
      let count = 0;
      for (const sample of samples(seconds)) count += sample.gpuIndex;
      return count;
    });
    const mine = await timeOf(() => ours(seconds));
    const theirs = await timeOf(() => plain(seconds));
    bytes = mine.result.memoryBytes;
    pairs.push([mine.milliseconds - cost, theirs.milliseconds - cost]);
  }
  const reckoned = recorderBytes(recorderOptions(), gpuCount);
  if (bytes !== reckoned) throw new Error(`the recorder takes ${bytes} bytes, and says ${reckoned}`);
  const microseconds = (at) => (median(pairs.map((pair) => pair[at])) * 1_000) / (seconds * gpuCount);
  return {
    figures: [
      exactFigure({
        name: `flight recorder: memory for ${gpuCount} GPUs x ${ids.length} series x 24 h / its limit`,
        ...{ ours: bytes, theirs: byteLimit, must: 1 },
        detail: `${(bytes / 1e6).toFixed(1)} of ${byteLimit / 1e6} MB`,
      }),
      figure({
        name: 'flight recorder: a sample / a plain recorder',
        pairs,
        ...{ must: 1, guard: 2 },
        detail: `${microseconds(0).toFixed(1)} / ${microseconds(1).toFixed(1)} us; ${hours} h recorded`,
      }),
    ],
  };
}

await printAlone(import.meta.filename, run);
