import { describe, expect, test } from 'vitest';
import { h100Node, h100Ref, h100Sample } from '../../test/h100.ts';
import { recordedStart, sampleValues } from '../../test/recorded.ts';
import { turn } from '../../test/rig.ts';
import type { GpuRef, GpuSample } from '../domain/gpu.ts';
import { GpuError } from '../errors.ts';
import { GpuReader } from '../gpu-reader.ts';
import type { GpuProvider } from '../ports/gpu-provider.ts';
import type { RecordedSample, RecorderStore } from '../ports/recorder-store.ts';
import type { Logger } from '../ports/runtime.ts';
import { fixedClock, stubProvider } from '../testing.ts';
import { FlightRecorder, wakeMilliseconds } from './flight-recorder.ts';
import { type RecorderOptions, recorderBytes, recorderOptions } from './options.ts';
import { recordedSeriesIds, seriesIndex, seriesOf } from './series.ts';
import { gapsIn } from './timeline.ts';

type Told = GpuSample | GpuError | 'hang';

interface RigOptions {
  readonly options?: Partial<RecorderOptions>;
  readonly gpuCount?: number;
  /** What a GPU tells now. */
  readonly tells?: (gpu: number, now: number) => Told;
  readonly refs?: () => readonly GpuRef[];
  readonly store?: RecorderStore;
}

/** A recorder on a node that changes, and a clock that can be set back; timers are counted. */
function rig({ options = {}, gpuCount = 8, tells = (gpu) => h100Sample(gpu), refs, store }: RigOptions = {}) {
  const time = fixedClock('2026-03-01T00:00:00.000Z');
  let setBack = 0;
  let timers = 0;
  const clock = {
    now: () => time.now() - setBack,
    after(milliseconds: number, callback: () => void) {
      let over = false;
      timers += 1;
      const end = () => {
        if (!over) timers -= 1;
        over = true;
      };
      const cancel = time.after(milliseconds, () => {
        end();
        callback();
      });
      return () => {
        end();
        cancel();
      };
    },
  };
  const logged: string[] = [];
  const logger: Logger = {
    debug() {},
    info() {},
    warn: (message) => logged.push(message),
    error: (message) => logged.push(message),
  };
  const plain = stubProvider({ gpus: h100Node({}, gpuCount) });
  const calls = { describe: 0, read: 0 };
  const inFlight = new Map<number, number>();
  const faults: string[] = [];
  const provider: GpuProvider = {
    ...plain,
    async describeNode(signal) {
      calls.describe += 1;
      const node = await plain.describeNode(signal);
      return refs ? { ...node, gpus: refs() } : node;
    },
    async readGpu(gpu, sections, signal) {
      calls.read += 1;
      const running = (inFlight.get(gpu.index) ?? 0) + 1;
      inFlight.set(gpu.index, running);
      if (running > 1) faults.push(`GPU ${gpu.index} is read twice at once`);
      try {
        const told = { ref: gpu, sample: tells(gpu.index, clock.now()) };
        const only = stubProvider({ gpus: Array.from({ length: gpu.index + 1 }, () => told) });
        return await only.readGpu(gpu, sections, signal);
      } finally {
        inFlight.set(gpu.index, running - 1);
      }
    },
  };
  const recorder = new FlightRecorder(
    new GpuReader(provider, clock, logger),
    clock,
    logger,
    recorderOptions(options),
    store ?? null,
  );
  return {
    recorder,
    calls,
    logged,
    faults,
    now: clock.now,
    timers: () => timers,
    setBack: (milliseconds: number) => {
      setBack += milliseconds;
    },
    async advance(milliseconds: number, step = 1_000) {
      await turn();
      for (let passed = 0; passed < milliseconds; passed += step) {
        time.advance(Math.min(step, milliseconds - passed));
        await turn();
      }
    },
    rows: (index: number) => {
      const rows = recorder.series(h100Ref(index), recordedSeriesIds, 0, Number.POSITIVE_INFINITY);
      if (!rows) throw new Error(`nothing of GPU ${index}`);
      return rows;
    },
    count: (index: number) =>
      recorder
        .series(h100Ref(index), [], 0, Number.POSITIVE_INFINITY)
        ?.sampleCounts.reduce((sum, each) => sum + each, 0) ?? 0,
  };
}

/** A store in memory. */
function memoryStore(loaded: readonly RecordedSample[] = [], changes: Partial<RecorderStore> = {}) {
  const appended: (readonly RecordedSample[])[] = [];
  let closed = 0;
  return {
    appended,
    closed: () => closed,
    async load() {
      return { samples: loaded, lostSampleCount: 0 };
    },
    async append(samples: readonly RecordedSample[]) {
      appended.push(samples);
    },
    async close() {
      closed += 1;
    },
    ...changes,
  };
}

const sampleAt = (atMilliseconds: number, gpuIndex = 0, temperatureCelsius = 50): RecordedSample => ({
  gpuUuid: h100Ref(gpuIndex).uuid ?? '',
  gpuIndex,
  atMilliseconds,
  values: sampleValues({ temperatureCelsius, state: 0 }),
});

describe('recording', () => {
  test('takes a sample of every GPU at once and then each interval', async () => {
    const { recorder, advance, rows, count, faults } = rig();
    await recorder.start(true);
    await advance(60_000);
    for (let gpu = 0; gpu < 8; gpu += 1) expect(count(gpu)).toBe(61);
    expect([...rows(0).firstAtMilliseconds.slice(0, 3)]).toEqual([
      recordedStart,
      recordedStart + 1_000,
      recordedStart + 2_000,
    ]);
    expect(rows(2).series.temperatureCelsius?.mean[0]).toBe(33);
    expect(recorder.status).toMatchObject({
      recording: true,
      always: true,
      since: '2026-03-01T00:00:00.000Z',
      from: '2026-03-01T00:00:00.000Z',
      to: '2026-03-01T00:01:00.000Z',
      intervalMilliseconds: 1_000,
      sampleCount: 8 * 61,
      gpuCount: 8,
      gaps: [],
    });
    expect(faults).toEqual([]);
    await recorder.stop();
  });

  test('memory is what was reckoned, and nothing before the first sample', async () => {
    const { recorder, advance } = rig();
    expect(recorder.memoryBytes).toBe(0);
    await recorder.start(true);
    await advance(5_000);
    expect(recorder.memoryBytes).toBe(recorderBytes(recorderOptions(), 8));
    await recorder.stop();
  });

  test('the interval is the one that was asked for', async () => {
    const { recorder, advance, count } = rig({ options: { intervalMilliseconds: 200 }, gpuCount: 1 });
    await recorder.start(true);
    await advance(10_000, 200);
    expect(count(0)).toBe(51);
    await recorder.stop();
  });

  test('stop ends everything: no timer, no reading, and it may be called twice', async () => {
    const { recorder, advance, timers, calls } = rig({
      tells: (gpu) => (gpu === 2 ? 'hang' : h100Sample(gpu)),
    });
    await recorder.start(true);
    await advance(3_000);
    await recorder.stop();
    await recorder.stop();
    const reads = calls.read;
    expect(timers()).toBe(0);
    await advance(60_000);
    recorder.touch();
    await recorder.start(true);
    await advance(60_000);
    expect(calls.read).toBe(reads);
    expect(recorder.status.recording).toBe(false);
  });

  test('a reading that is cut off by the end is no sample', async () => {
    const { recorder, advance, count } = rig({ tells: (gpu) => (gpu === 2 ? 'hang' : h100Sample(gpu)) });
    await recorder.start(true);
    await advance(2_000);
    await recorder.stop();
    expect(count(2)).toBe(0);
    expect(count(1)).toBe(3);
  });
});

describe('asleep unless asked', () => {
  test('nothing is read and no timer stands until somebody asks', async () => {
    const { recorder, advance, calls, timers } = rig();
    await recorder.start(false);
    await advance(3_600_000, 60_000);
    expect(calls).toEqual({ describe: 0, read: 0 });
    expect(timers()).toBe(0);
    expect(recorder.status).toMatchObject({ recording: false, since: null, from: null, sampleCount: 0 });
  });

  test('15 minutes after the last call it sleeps again, and says so when it wakes', async () => {
    const { recorder, advance, calls, timers, count } = rig({ gpuCount: 1 });
    await recorder.start(false);
    recorder.touch();
    await advance(600_000);
    recorder.touch();
    await advance(wakeMilliseconds - 2_000);
    expect(recorder.status.recording).toBe(true);
    await advance(3_000);
    expect(recorder.status.recording).toBe(false);
    expect(timers()).toBe(0);
    expect(count(0)).toBe(1_501);
    const reads = calls.read;
    await advance(600_000, 60_000);
    expect(calls.read).toBe(reads);
    recorder.touch();
    await turn();
    const [gap] = recorder.status.gaps;
    expect(recorder.status.gaps).toHaveLength(1);
    expect(gap?.reason).toBe('asleep');
    expect((gap?.toMilliseconds ?? 0) - (gap?.fromMilliseconds ?? 0)).toBe(601_000);
    await recorder.stop();
  });

  test('a call before the start counts', async () => {
    const { recorder, advance, count } = rig({ gpuCount: 1 });
    recorder.touch();
    expect(recorder.status.recording).toBe(false);
    await recorder.start(false);
    await advance(1_000);
    expect(count(0)).toBe(2);
    await recorder.stop();
  });

  test('planted fault: with `always` it does not sleep, so the check above can tell', async () => {
    const { recorder, advance } = rig({ gpuCount: 1 });
    await recorder.start(true);
    await advance(wakeMilliseconds + 60_000, 1_000);
    expect(recorder.status.recording).toBe(true);
    await recorder.stop();
  });
});

describe('GPUs that do not answer', () => {
  test('a hung one stands as hung, is never read twice at once, and holds no other up', async () => {
    const { recorder, advance, rows, count, faults } = rig({
      tells: (gpu, now) => (gpu === 3 && now >= recordedStart + 10_000 ? 'hang' : h100Sample(gpu)),
    });
    await recorder.start(true);
    await advance(60_000);
    for (const gpu of [0, 1, 2, 4, 5, 6, 7]) expect(count(gpu)).toBe(61);
    const { state, temperatureCelsius } = rows(3).series;
    const hung = seriesOf('state').labels?.indexOf('hung');
    expect([...(state?.mean ?? [])].slice(0, 10).every((value) => value === 0)).toBe(true);
    expect([...(state?.mean ?? [])].slice(10).every((value) => value === hung)).toBe(true);
    expect([...(temperatureCelsius?.mean ?? [])].slice(10).every(Number.isNaN)).toBe(true);
    // One each five seconds, the deadline of a reading.
    expect(count(3)).toBeGreaterThanOrEqual(10 + 8);
    expect(faults).toEqual([]);
    await recorder.stop();
  });

  test('a lost one is recorded as lost, also when the driver no longer tells its UUID', async () => {
    const isLost = (now: number) => now >= recordedStart + 40_000;
    let time = () => recordedStart;
    const node = rig({
      tells: (gpu, now) =>
        gpu === 3 && isLost(now) ? new GpuError('GPU_LOST', 'GPU is lost') : h100Sample(gpu),
      refs: () =>
        Array.from({ length: 8 }, (_, index) =>
          index === 3 && isLost(time())
            ? { index, uuid: null, pciAddress: null, name: null }
            : h100Ref(index),
        ),
    });
    time = node.now;
    await node.recorder.start(true);
    await node.advance(120_000);
    expect(node.count(3)).toBe(121);
    expect(node.rows(3).series.state?.mean.at(-1)).toBe(seriesOf('state').labels?.indexOf('lost'));
    expect(node.recorder.gpus).toHaveLength(8);
    expect(node.recorder.gpus[3]).toEqual(h100Ref(3));
    await node.recorder.stop();
  });

  test('a GPU whose UUID was never read is recorded under its index, and keeps its past when it is read', async () => {
    let knows = false;
    const { recorder, advance } = rig({
      gpuCount: 1,
      tells: () => (knows ? h100Sample(0) : new GpuError('NO_PERMISSION', 'denied')),
      refs: () => [{ index: 0, uuid: knows ? h100Ref(0).uuid : null, pciAddress: null, name: null }],
    });
    await recorder.start(true);
    await advance(10_000);
    expect(
      recorder.series({ index: 0, uuid: null }, ['state'], 0, Number.POSITIVE_INFINITY)?.firstAtMilliseconds,
    ).toHaveLength(11);
    knows = true;
    await advance(60_000);
    expect(recorder.gpus).toHaveLength(1);
    expect(recorder.gpus[0]?.uuid).toBe(h100Ref(0).uuid);
    expect(
      recorder.series(h100Ref(0), ['state'], 0, Number.POSITIVE_INFINITY)?.firstAtMilliseconds,
    ).toHaveLength(71);
    await recorder.stop();
  });

  test('a GPU that appears later is recorded from then on', async () => {
    let gpuCount = 1;
    const { recorder, advance, count } = rig({
      refs: () => Array.from({ length: gpuCount }, (_, index) => h100Ref(index)),
    });
    await recorder.start(true);
    await advance(60_000);
    expect(recorder.memoryBytes).toBe(recorderBytes(recorderOptions(), 1));
    gpuCount = 2;
    await advance(60_000);
    expect(count(0)).toBe(121);
    expect(count(1)).toBeGreaterThan(25);
    expect(count(1)).toBeLessThan(61);
    expect(recorder.memoryBytes).toBe(recorderBytes(recorderOptions(), 2));
    await recorder.stop();
  });

  test('more GPUs than there is room for: the first are recorded, and how many are not is told', async () => {
    const { recorder, advance } = rig({ options: { maximumGpus: 3 } });
    await recorder.start(true);
    await advance(10_000);
    expect(recorder.status).toMatchObject({ gpuCount: 3, refusedGpuCount: 5 });
    expect(recorder.memoryBytes).toBe(recorderBytes(recorderOptions(), 3));
    await recorder.stop();
  });

  test('one that is gone makes room for one that came', async () => {
    let first = 0;
    const { recorder, advance } = rig({
      options: { maximumGpus: 2 },
      refs: () => [first, first + 1].map((index) => ({ ...h100Ref(index), index: index - first })),
      tells: (gpu) => h100Sample(gpu + first),
    });
    await recorder.start(true);
    await advance(5_000);
    first = 2;
    await advance(60_000);
    expect(recorder.gpus.map(({ uuid }) => uuid)).toEqual([h100Ref(2).uuid, h100Ref(3).uuid]);
    expect(recorder.memoryBytes).toBe(recorderBytes(recorderOptions(), 2));
    await recorder.stop();
  });

  test('without a driver it goes on asking, and says why there is nothing', async () => {
    const { recorder, advance, calls } = rig({
      refs: () => {
        throw new GpuError('DRIVER_NOT_LOADED', 'no driver');
      },
    });
    await recorder.start(true);
    await advance(120_000);
    expect(recorder.status).toMatchObject({
      recording: true,
      sampleCount: 0,
      detail: 'DRIVER_NOT_LOADED: no driver',
    });
    // At once, and then every ten seconds.
    expect(calls.describe).toBe(13);
    await recorder.stop();
  });
});

describe('a clock that is set back', () => {
  test('leaves times growing and their distances as they were, and is told', async () => {
    const { recorder, advance, rows, count, setBack, now } = rig({ gpuCount: 2 });
    await recorder.start(true);
    await advance(900_000);
    setBack(3_600_000);
    await advance(60_000);
    expect(count(0)).toBe(961);
    const { firstAtMilliseconds, lastAtMilliseconds } = rows(0);
    for (let row = 1; row < firstAtMilliseconds.length; row += 1) {
      expect((firstAtMilliseconds[row] ?? 0) - (lastAtMilliseconds[row - 1] ?? 0)).toBe(1_000);
    }
    expect(lastAtMilliseconds.at(-1)).toBe(now());
    expect(recorder.status.gaps).toMatchObject([{ reason: 'clock-set-back' }]);
    await recorder.stop();
  });

  test('also while a GPU hangs', async () => {
    const { recorder, advance, rows, setBack, now } = rig({
      gpuCount: 4,
      tells: (gpu) => (gpu === 3 ? 'hang' : h100Sample(gpu)),
    });
    await recorder.start(true);
    await advance(30_000);
    setBack(600_000);
    await advance(30_000);
    for (const gpu of [0, 3]) {
      const times = [...rows(gpu).firstAtMilliseconds];
      expect(times).toEqual(times.toSorted((a, b) => a - b));
      expect(new Set(times).size).toBe(times.length);
      expect(times.at(-1)).toBeLessThanOrEqual(now());
    }
    await recorder.stop();
  });
});

describe('the store', () => {
  test('what it kept is there after a restart, with the time between as a gap', async () => {
    const kept = Array.from({ length: 100 }, (_, second) => [
      sampleAt(recordedStart - 200_000 + second * 1_000),
      sampleAt(recordedStart - 200_000 + second * 1_000, 1),
    ]).flat();
    const { recorder, advance, rows } = rig({ store: memoryStore(kept) });
    await recorder.start(true);
    await advance(10_000);
    expect(rows(0).firstAtMilliseconds[0]).toBe(recordedStart - 200_000);
    expect(rows(1).sampleCounts.length).toBe(111);
    expect(recorder.status).toMatchObject({
      from: '2026-02-28T23:56:40.000Z',
      store: { loadedSampleCount: 200, lostSampleCount: 0, failedAppendCount: 0 },
      gaps: [
        { reason: 'not-running', fromMilliseconds: recordedStart - 101_000, toMilliseconds: recordedStart },
      ],
    });
    await recorder.stop();
  });

  test('may have thinned what it gave back: that is no gap, what is missing after the restart is', async () => {
    const kept = Array.from({ length: 60 }, (_, step) => sampleAt(recordedStart - 600_000 + step * 10_000));
    const { recorder, advance, rows, now } = rig({ gpuCount: 1, store: memoryStore(kept) });
    await advance(60_000);
    await recorder.start(true);
    await advance(10_000);
    expect(gapsIn(rows(0), recordedStart - 600_000, now(), recorder.cadence)).toEqual([
      { fromMilliseconds: recordedStart - 10_000, toMilliseconds: recordedStart + 60_000 },
    ]);
    await recorder.stop();
  });

  test('gets the samples of every interval in that interval, and is closed at the end', async () => {
    const store = memoryStore();
    const { recorder, advance } = rig({ store });
    await recorder.start(true);
    await advance(9_000);
    expect(store.appended).toHaveLength(10);
    expect(store.appended.every((batch) => batch.length === 8)).toBe(true);
    expect(store.appended[9]?.[7]).toMatchObject({
      gpuUuid: h100Ref(7).uuid,
      gpuIndex: 7,
      atMilliseconds: recordedStart + 9_000,
    });
    expect(store.appended[9]?.[7]?.values[seriesIndex('powerDrawWatts')]).toBe(71.42);
    await recorder.stop();
    expect(store.closed()).toBe(1);
  });

  test('a hung GPU keeps the samples of the others from it for an interval at most', async () => {
    const store = memoryStore();
    const { recorder, advance, now } = rig({ store, tells: (gpu) => (gpu === 3 ? 'hang' : h100Sample(gpu)) });
    await recorder.start(true);
    for (let second = 0; second < 30; second += 1) {
      await advance(1_000);
      const newest = store.appended
        .flat()
        .filter(({ gpuIndex }) => gpuIndex === 0)
        .at(-1);
      expect(newest?.atMilliseconds).toBeGreaterThanOrEqual(now() - 1_000);
    }
    await recorder.stop();
    const samples = store.appended.flat();
    expect(samples.filter(({ gpuIndex }) => gpuIndex === 0)).toHaveLength(31);
  });

  test('one that cannot be written is logged once, told, and stops nothing', async () => {
    let isFull = true;
    const good = memoryStore();
    const store = {
      ...good,
      async append(samples: readonly RecordedSample[]) {
        if (isFull) throw new GpuError('UNAVAILABLE', 'no space left on the device');
        return good.append(samples);
      },
    };
    const { recorder, advance, logged, count } = rig({ store });
    await recorder.start(true);
    await advance(30_000);
    expect(logged).toHaveLength(1);
    expect(count(0)).toBe(31);
    expect(recorder.status.store).toMatchObject({
      failedAppendCount: 31,
      detail: 'no space left on the device',
    });
    isFull = false;
    expect(recorder.status.store?.failing).toBe(true);
    await advance(5_000);
    expect(recorder.status.store?.failing).toBe(false);
    expect(good.appended).toHaveLength(5);
    isFull = true;
    await advance(5_000);
    expect(logged).toHaveLength(2);
    await recorder.stop();
  });

  test('one that never answers takes no memory without end', async () => {
    const store = memoryStore([], { append: () => new Promise(() => {}) });
    const { recorder, advance, count, timers } = rig({ store });
    await recorder.start(true);
    await advance(700_000);
    expect(count(0)).toBe(701);
    expect(recorder.status.store?.lostSampleCount).toBe(700 * 8 - 4_096);
    let isOver = false;
    void recorder.stop().then(() => {
      isOver = true;
    });
    await advance(2_000);
    expect(isOver).toBe(true);
    expect(timers()).toBe(0);
  });

  test('one that cannot be read is logged and told; recording begins all the same', async () => {
    const store = memoryStore([], { load: () => Promise.reject(new GpuError('NO_PERMISSION', 'EACCES')) });
    const { recorder, advance, logged, count } = rig({ store });
    await recorder.start(true);
    await advance(5_000);
    expect(logged).toEqual(['the store of the flight recorder could not be read']);
    expect(recorder.status.store).toMatchObject({ loadedSampleCount: 0, detail: 'EACCES' });
    expect(count(0)).toBe(6);
    await recorder.stop();
  });

  test('is taken up in parts: whoever waits has a turn between them, and is told that it is not there yet', async () => {
    const kept = Array.from({ length: 10_000 }, (_, index) =>
      sampleAt(recordedStart - 1_000 * (10_000 - index)),
    );
    const { recorder, advance, rows } = rig({ gpuCount: 1, store: memoryStore(kept) });
    const started = recorder.start(true);
    await turn();
    expect(recorder.status).toMatchObject({ loading: true, recording: false, sampleCount: 4_096 });
    let isLoaded = false;
    void recorder.loaded(new AbortController().signal).then(() => {
      isLoaded = true;
    });
    await turn();
    expect(isLoaded).toBe(false);
    await advance(2, 1);
    await started;
    expect([isLoaded, recorder.status.loading, recorder.status.recording]).toEqual([true, false, true]);
    expect(rows(0).sampleCounts.reduce((sum, count) => sum + count, 0)).toBe(10_001);
    await recorder.stop();
  });

  test('is waited for no longer than the asker wants, and not at all once the recorder was stopped', async () => {
    const { recorder } = rig({ store: memoryStore([], { load: () => new Promise(() => {}) }) });
    void recorder.start(false);
    const patience = new AbortController();
    const waited = recorder.loaded(patience.signal);
    patience.abort();
    await waited;
    expect(recorder.status.loading).toBe(true);
  });

  test('one that can neither be read nor written is logged once when it is for the same reason', async () => {
    const refuse = () => Promise.reject(new GpuError('NO_PERMISSION', '/record cannot be read: EACCES'));
    const store = memoryStore([], { load: refuse, append: refuse });
    const { recorder, advance, logged } = rig({ store });
    await recorder.start(true);
    await advance(5_000);
    expect(logged).toEqual(['the store of the flight recorder could not be read']);
    expect(recorder.status.store).toMatchObject({ failing: true, failedAppendCount: 6 });
    await recorder.stop();
  });

  test('samples that make no sense are left out and counted', async () => {
    const odd = [
      sampleAt(Number.NaN),
      sampleAt(1e300),
      { ...sampleAt(recordedStart - 5_000), gpuIndex: -1 },
      { ...sampleAt(recordedStart - 5_000), gpuIndex: 1.5 },
    ];
    const short = { ...sampleAt(recordedStart - 4_000), values: new Float64Array(2) };
    const { recorder, rows } = rig({ store: memoryStore([...odd, short]) });
    await recorder.start(false);
    expect(recorder.status.store).toMatchObject({ loadedSampleCount: 1, lostSampleCount: 4 });
    expect(rows(0).series.powerDrawWatts?.mean[0]).toBeNaN();
  });

  test('a store that was tampered with does not take the time of thousands of set-backs, nor more memory', async () => {
    const hostile = Array.from({ length: 20_000 }, (_, index) => ({
      ...sampleAt(recordedStart - (index % 2) * 1e9 - index),
      gpuUuid: `GPU-${index % 300}`,
    }));
    const { recorder, advance } = rig({ store: memoryStore(hostile) });
    const started = recorder.start(false);
    await advance(10, 1);
    await started;
    const { store, gaps, memoryBytes } = recorder.status;
    expect((store?.loadedSampleCount ?? 0) + (store?.lostSampleCount ?? 0)).toBe(20_000);
    expect(gaps.length).toBeLessThanOrEqual(64);
    expect(memoryBytes).toBeLessThanOrEqual(recorderBytes(recorderOptions(), 16));
  });

  test('what it kept stands in the future when the clock was set back meanwhile: it moves', async () => {
    const { recorder, advance, rows, now } = rig({
      gpuCount: 1,
      store: memoryStore([sampleAt(recordedStart + 3_600_000)]),
    });
    await recorder.start(true);
    await advance(5_000);
    const times = [...rows(0).firstAtMilliseconds];
    expect(times).toHaveLength(7);
    expect(times).toEqual(times.toSorted((a, b) => a - b));
    expect(times.at(-1)).toBe(now());
    await recorder.stop();
  });
});

test('what was recorded for a day takes what was reckoned, on every GPU', async () => {
  const { recorder, advance, count } = rig({ gpuCount: 2, options: { intervalMilliseconds: 10_000 } });
  await recorder.start(true);
  await advance(24 * 3_600_000, 10_000);
  expect(count(1)).toBe(8_641);
  expect(recorder.memoryBytes).toBe(recorderBytes(recorderOptions({ intervalMilliseconds: 10_000 }), 2));
  await recorder.stop();
}, 30_000);
