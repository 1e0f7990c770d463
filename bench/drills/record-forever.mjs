// What recorder-kill-drill.mjs kills: the flight recorder over simulated GPUs, writing to the folder named first. After each interval that
// the store says it has, one line: `GPU-INDEX:MILLISECONDS` of its samples. With --planted an interval is said to be kept as soon as it is
// handed over, and is written much later: a store that would lose data.
import { writeSync } from 'node:fs';
import { join, resolve } from 'node:path';

const [directory = ''] = process.argv.slice(2);
const isPlanted = process.argv.includes('--planted');
/** Shorter than an agent may be asked for: more appends for a kill to hit. */
const intervalMilliseconds = 20;
const plantedDelay = 5;

const packages = resolve(import.meta.dirname, '../../packages');
const built = (path) => import(join(packages, path));
const { GpuReader, silentLogger, systemClock } = await built('core/dist/index.js');
const { FlightRecorder } = await built('core/dist/recorder/flight-recorder.js');
const { recorderOptions } = await built('core/dist/recorder/options.js');
const { recordedSeriesIds } = await built('core/dist/recorder/series.js');
const { createRecorderStore } = await built('host-linux/dist/recorder-store/recorder-store.js');
const { createMockProvider } = await built('nvml-mock/dist/index.js');

const store = createRecorderStore({ directory, seriesNames: recordedSeriesIds });
const waiting = [];
const told = {
  ...store,
  async append(samples) {
    if (isPlanted) {
      waiting.push(samples);
      if (waiting.length > plantedDelay) await store.append(waiting.shift());
    } else await store.append(samples);
    // At once, not when the event loop has time: a kill must not take what was acknowledged with it.
    writeSync(
      1,
      `${samples.map(({ gpuIndex, atMilliseconds }) => `${gpuIndex}:${atMilliseconds}`).join(' ')}\n`,
    );
  },
};
const options = { ...recorderOptions(), intervalMilliseconds };
const reader = new GpuReader(
  createMockProvider({ scenario: 'healthy-8xh100', clock: systemClock }),
  systemClock,
  silentLogger,
);
await new FlightRecorder(reader, systemClock, silentLogger, options, told).start(true);
