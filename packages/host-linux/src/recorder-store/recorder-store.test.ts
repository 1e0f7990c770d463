import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { RecordedSample, RecorderStore } from '@k8s-gpu-mcp/core';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { failure } from '../../test/fake-clock.ts';
import { createRecorderReader, createRecorderStore, type RecorderStoreOptions } from './recorder-store.ts';
import { nodeFileSystem, type RecorderFileSystem } from './segment-files.ts';
import { encodeFrames, encodeHeader } from './segment-format.ts';

const seriesNames = ['temperatureCelsius', 'powerDrawWatts'];
const start = Date.parse('2026-03-01T00:00:00.000Z');
const root = mkdtempSync(join(tmpdir(), 'recorder-store-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

let directory = '';
let now = start;
let directories = 0;
beforeEach(() => {
  directories += 1;
  directory = join(root, String(directories));
  now = start;
});

/** A file system in which some calls fail. Syncing does nothing: no test cuts the power, and hundreds of syncs take their time. */
function failing() {
  const faults = {
    /** An errno; `lost` for a write that says it succeeded and did nothing. */
    write: undefined as string | undefined,
    /** Bytes taken before a write fails. */
    room: 0,
    datasync: undefined as string | undefined,
    truncate: undefined as string | undefined,
    mkdir: undefined as string | undefined,
    unlink: undefined as string | undefined,
    hold: undefined as Promise<void> | undefined,
  };
  const refuse = (name: 'datasync' | 'truncate' | 'mkdir' | 'unlink') => {
    const code = faults[name];
    if (code !== undefined) throw failure(code);
  };
  const wrap = (handle: FileHandle): FileHandle =>
    new Proxy(handle, {
      get(target, key) {
        const value = Reflect.get(target, key, target);
        if (typeof value !== 'function') return value;
        return async (...rest: unknown[]) => {
          if (key === 'datasync' || key === 'truncate') refuse(key);
          if (key === 'datasync' || key === 'sync') return undefined;
          if (key === 'write') {
            await faults.hold;
            const [bytes, offset, length] = rest;
            if (faults.write === 'lost') return { bytesWritten: Number(length), buffer: bytes };
            if (faults.write !== undefined) {
              const taken = Math.min(faults.room, Number(length));
              faults.room -= taken;
              if (taken === 0) throw failure(faults.write);
              return target.write(bytes as Buffer, Number(offset), taken, null);
            }
          }
          return Reflect.apply(value, target, rest);
        };
      },
    });
  const fileSystem: RecorderFileSystem = {
    ...nodeFileSystem,
    mkdir: (async (...rest: Parameters<typeof nodeFileSystem.mkdir>) => {
      refuse('mkdir');
      return nodeFileSystem.mkdir(...rest);
    }) as typeof nodeFileSystem.mkdir,
    unlink: async (path) => {
      refuse('unlink');
      return nodeFileSystem.unlink(path);
    },
    open: async (...rest) => wrap(await open(...rest)),
  };
  return { faults, fileSystem };
}

const stores: RecorderStore[] = [];
afterEach(async () => {
  await Promise.all(stores.splice(0).map((store) => store.close()));
});

const storeOf = (more: Partial<RecorderStoreOptions> = {}): RecorderStore => {
  const { fileSystem } = failing();
  const store = createRecorderStore({
    directory,
    seriesNames,
    clock: { now: () => now },
    fileSystem,
    ...more,
  });
  stores.push(store);
  return store;
};
const interval = (at = now, gpuCount = 1): RecordedSample[] =>
  Array.from({ length: gpuCount }, (_, gpuIndex) => ({
    gpuUuid: `GPU-${gpuIndex}`,
    gpuIndex,
    atMilliseconds: at,
    values: Float64Array.of(40 + gpuIndex, Number.NaN),
  }));
/** One interval a second. */
async function record(store: RecorderStore, seconds: number, gpuCount = 1): Promise<void> {
  for (let second = 0; second < seconds; second += 1) {
    await store.append(interval(now, gpuCount));
    now += 1000;
  }
}
const timesOf = async (store: RecorderStore) =>
  (await store.load()).samples.map(({ atMilliseconds }) => (atMilliseconds - start) / 1000);
const seconds = (from: number, to: number, step = 1) =>
  Array.from({ length: Math.floor((to - from) / step) + 1 }, (_, index) => from + index * step);
const nameOf = (tier: string, startedAt: number, count: number) =>
  `${tier}-${String(startedAt).padStart(16, '0')}-${String(count).padStart(12, '0')}.gpurec`;
const segments = (tier = '') => readdirSync(directory).filter((name) => name.startsWith(tier));
const bytesOf = (names: readonly string[]) =>
  names.reduce((sum, name) => sum + statSync(join(directory, name)).size, 0);

describe('what was appended', () => {
  it('is there for the next process, also when this one never closed', async () => {
    await record(storeOf({ fileSystem: nodeFileSystem }), 25, 2);
    const { samples, lostSampleCount } = await storeOf({ fileSystem: nodeFileSystem }).load();
    expect(lostSampleCount).toBe(0);
    expect(samples).toEqual(seconds(0, 24).flatMap((second) => interval(start + second * 1000, 2)));
  });

  it('is the values of that moment, though the caller uses its arrays again', async () => {
    const store = storeOf();
    const samples = interval();
    const written = store.append(samples);
    samples[0]?.values.fill(0);
    await written;
    expect((await store.load()).samples[0]?.values[0]).toBe(40);
  });

  it('is there of a GPU that never told its UUID, and of more samples than fit into one frame', async () => {
    const many = Array.from({ length: 10_000 }, (_, index): RecordedSample => {
      const [sample] = interval(start + index);
      if (!sample) throw new Error('no sample');
      return { ...sample, gpuUuid: '' };
    });
    now += 10_000;
    await storeOf().append(many);
    expect(await storeOf().load()).toEqual({ samples: many, lostSampleCount: 0 });
  });

  it('of two agents on one directory is there of both', async () => {
    const [first, second] = [storeOf(), storeOf()];
    for (let count = 0; count < 5; count += 1) {
      await first.append(interval());
      now += 500;
      await second.append(interval());
      now += 500;
    }
    expect(await timesOf(storeOf())).toEqual(seconds(0, 4.5, 0.5));
  });

  it('keeps the order of calls that nobody waited for', async () => {
    const store = storeOf();
    await Promise.all(seconds(0, 9).map((second) => store.append(interval(start + second))));
    await store.close();
    now += 10;
    expect((await storeOf().load()).samples.map(({ atMilliseconds }) => atMilliseconds - start)).toEqual(
      seconds(0, 9),
    );
  });

  it('can be read by nobody else', async () => {
    await record(storeOf({ directory: join(directory, 'inner') }), 1);
    expect(statSync(join(directory, 'inner')).mode & 0o777).toBe(0o700);
    for (const name of readdirSync(join(directory, 'inner')))
      expect(statSync(join(directory, 'inner', name)).mode & 0o777).toBe(0o600);
  });
});

describe('retention', () => {
  it('keeps every second for ten minutes, one in ten seconds for a day, and deletes the rest', async () => {
    const store = storeOf();
    await record(store, 3600);
    const hourOfTimes = await timesOf(store);
    const recent = hourOfTimes.filter((second) => second >= 3000);
    expect(recent).toEqual(seconds(3000, 3599));
    const old = hourOfTimes.filter((second) => second < 3000 - 600);
    expect(old).toEqual(seconds(0, 2390, 10));
    expect(segments('fine').length).toBeLessThanOrEqual(4);
  });

  it('forgets after a day', async () => {
    const store = storeOf();
    await store.append(interval());
    now += 12 * 3_600_000;
    await store.append(interval());
    expect(await timesOf(store)).toEqual([0, 43_200]);
    now += 14 * 3_600_000;
    await store.append(interval());
    expect(await timesOf(store)).toEqual([43_200, 93_600]);
    expect(segments('coarse').length).toBe(2);
  });

  it('stays within its bound at every moment, the newest kept', async () => {
    const store = storeOf({ maximumBytes: 64 * 1024 });
    let largest = 0;
    for (let minute = 0; minute < 30; minute += 1) {
      await record(store, 60, 8);
      largest = Math.max(largest, bytesOf(segments()));
    }
    expect(largest).toBeLessThanOrEqual(64 * 1024);
    expect((await timesOf(store)).at(-1)).toBe(1799);
  });

  it('comes back within its bound when hundreds of restarts left their segments', async () => {
    mkdirSync(directory);
    for (let restart = 0; restart < 400; restart += 1)
      writeFileSync(
        join(directory, nameOf('coarse', start + restart * 1000, restart)),
        Buffer.concat([encodeHeader(seriesNames), encodeFrames(interval(start + restart * 1000, 4))]),
      );
    expect(bytesOf(segments())).toBeGreaterThan(64 * 1024);
    now = start + 400_000;
    const store = storeOf({ maximumBytes: 64 * 1024 });
    await record(store, 1);
    expect(bytesOf(segments())).toBeLessThanOrEqual(64 * 1024);
    expect((await timesOf(store)).slice(-9)).toEqual([398, 398, 398, 398, 399, 399, 399, 399, 400]);
  });

  it('survives a clock that starts in 1970 and jumps', async () => {
    await record(storeOf(), 5);
    now = 0;
    const store = storeOf();
    await record(store, 5);
    now = start + 60_000;
    await record(store, 5);
    expect(await timesOf(storeOf())).toEqual([...seconds(0, 4), ...seconds(60, 64)]);
  });
});

it('a reader leaves a record as it is, also one that is kept longer than its own', async () => {
  const week = 7 * 24 * 3_600_000;
  await record(storeOf({ retentionMilliseconds: week }), 3);
  now += 3 * 24 * 3_600_000;
  const before = segments();
  const reader = createRecorderReader({ directory, seriesNames, clock: { now: () => now } });
  await reader.append(interval());
  expect((await reader.load()).samples).toEqual([]);
  await reader.close();
  expect(segments()).toEqual(before);
  expect((await storeOf({ retentionMilliseconds: week }).load()).samples.length).toBe(1);
});

describe('damage', () => {
  it('in the tail costs the last interval, and the next process goes on', async () => {
    await record(storeOf(), 5);
    const [fine = ''] = segments('fine');
    truncateSync(join(directory, fine), statSync(join(directory, fine)).size - 3);
    const store = storeOf();
    expect(await store.load()).toMatchObject({ lostSampleCount: 1 });
    await record(store, 2);
    expect(await timesOf(store)).toEqual([0, 1, 2, 3, 5, 6]);
  });

  it('of any file is left out and counted', async () => {
    await record(storeOf(), 3);
    writeFileSync(join(directory, nameOf('coarse', start, 1)), '');
    writeFileSync(join(directory, nameOf('coarse', start, 2)), 'no segment at all');
    writeFileSync(join(directory, nameOf('fine', start, 3)), encodeHeader(seriesNames));
    mkdirSync(join(directory, nameOf('fine', start, 4)));
    writeFileSync(join(directory, 'notes.txt'), 'of another program');
    const { samples, lostSampleCount } = await storeOf().load();
    expect(samples.length).toBe(3);
    expect(lostSampleCount).toBe(1);
    await record(storeOf(), 1);
    expect(readFileSync(join(directory, 'notes.txt'), 'utf8')).toBe('of another program');
  });

  it('a link under the name of a segment is not followed', async () => {
    const elsewhere = join(root, `elsewhere-${directories}`);
    writeFileSync(elsewhere, Buffer.concat([encodeHeader(seriesNames), encodeFrames(interval())]));
    mkdirSync(directory);
    symlinkSync(elsewhere, join(directory, nameOf('fine', start, 0)));
    expect((await storeOf().load()).samples).toEqual([]);
    now += 48 * 3_600_000;
    await record(storeOf(), 1);
    expect(existsSync(elsewhere)).toBe(true);
  });

  it('samples of the future are left out and counted', async () => {
    await record(storeOf(), 2);
    await storeOf().append(interval(start + 3_600_000));
    const { samples, lostSampleCount } = await storeOf().load();
    expect(samples.length).toBe(2);
    expect(lostSampleCount).toBeGreaterThan(0);
  });

  it('a directory that is not there is an empty record', async () => {
    expect(await storeOf().load()).toEqual({ samples: [], lostSampleCount: 0 });
  });
});

describe('a file system that fails', () => {
  it.each([0, 1, 40])(
    'full after %i bytes: that append rejects, the next works, nothing else is lost',
    async (room) => {
      const { faults, fileSystem } = failing();
      const store = storeOf({ fileSystem });
      await record(store, 3);
      Object.assign(faults, { write: 'ENOSPC', room });
      await expect(store.append(interval())).rejects.toMatchObject({ code: 'UNAVAILABLE', retryable: true });
      faults.write = undefined;
      now += 1000;
      await record(store, 2);
      expect(await timesOf(store)).toEqual([0, 1, 2, 4, 5]);
      expect((await store.load()).lostSampleCount).toBe(0);
    },
  );

  it('full, and the part cannot be cut off again: the next goes into a segment of its own', async () => {
    const { faults, fileSystem } = failing();
    const store = storeOf({ fileSystem });
    await record(store, 3);
    Object.assign(faults, { write: 'ENOSPC', room: 40, truncate: 'EIO' });
    await expect(store.append(interval())).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    Object.assign(faults, { write: undefined, truncate: undefined });
    now += 1000;
    await record(store, 2);
    expect(segments('fine').length).toBe(2);
    expect(await timesOf(store)).toEqual([0, 1, 2, 4, 5]);
    expect((await store.load()).lostSampleCount).toBe(1);
  });

  it('full from the first byte leaves no empty files behind', async () => {
    const { faults, fileSystem } = failing();
    const store = storeOf({ fileSystem });
    faults.write = 'ENOSPC';
    for (let attempt = 0; attempt < 5; attempt += 1) await expect(store.append(interval())).rejects.toThrow();
    expect(segments()).toEqual([]);
  });

  it('that loses what it says it has written is found out by these checks', async () => {
    const { faults, fileSystem } = failing();
    const store = storeOf({ fileSystem });
    await record(store, 3);
    faults.write = 'lost';
    await record(store, 3);
    expect(await timesOf(store)).not.toEqual(seconds(0, 5));
  });

  it('not writable: says so and how to help', async () => {
    const { faults, fileSystem } = failing();
    faults.mkdir = 'EACCES';
    await expect(storeOf({ fileSystem }).append(interval())).rejects.toMatchObject({
      code: 'NO_PERMISSION',
      hint: 'Give this program a record directory that it may read and write.',
    });
  });

  it('below directories that are not there: they are made, for this user only', async () => {
    const deep = join(directory, 'a', 'b');
    await storeOf({ directory: deep }).append(interval());
    expect(readdirSync(deep)).toHaveLength(2);
    for (const made of [directory, join(directory, 'a'), deep])
      expect(statSync(made).mode & 0o777).toBe(0o700);
  });

  it('below a directory that is there and takes none, as /proc: rejects, and does not try for ever', async () => {
    mkdirSync(directory);
    let tries = 0;
    const mkdir = (async (path: string, options: object) => {
      tries += 1;
      if (path.startsWith(`${directory}/`)) throw failure('ENOENT');
      return nodeFileSystem.mkdir(path, options);
    }) as typeof nodeFileSystem.mkdir;
    const store = storeOf({ directory: join(directory, 'a', 'b'), fileSystem: { ...nodeFileSystem, mkdir } });
    await expect(store.append(interval())).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    expect(tries).toBeLessThan(10);
  });

  it('a file where the directory should be', async () => {
    writeFileSync(directory, '');
    await expect(storeOf().append(interval())).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    await expect(storeOf().load()).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  });

  it('a disk that cannot take what it was given: the append rejects, and nothing rests on that file any more', async () => {
    const { faults, fileSystem } = failing();
    const store = storeOf({ fileSystem });
    faults.datasync = 'EIO';
    await expect(store.append(interval())).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    faults.datasync = undefined;
    now += 1000;
    await record(store, 1);
    expect(segments('fine').length).toBe(2);
  });

  it('will not grow beyond its bound when nothing can be deleted', async () => {
    const { faults, fileSystem } = failing();
    faults.unlink = 'EPERM';
    const store = storeOf({ fileSystem, maximumBytes: 64 * 1024 });
    const recording = record(store, 3600, 8);
    await expect(recording).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    expect(bytesOf(segments())).toBeLessThanOrEqual(64 * 1024);
  });

  it('that hangs does not collect intervals without end', async () => {
    const { faults, fileSystem } = failing();
    const store = storeOf({ fileSystem });
    let release = () => {};
    faults.hold = new Promise((resolve) => {
      release = resolve;
    });
    const waiting = seconds(1, 32).map(() => store.append(interval()));
    await expect(store.append(interval())).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    release();
    await Promise.all(waiting);
    await store.append(interval());
  });

  it('whose directory is removed under it: it begins anew within a coarse interval', async () => {
    const store = storeOf();
    await record(store, 5);
    rmSync(directory, { recursive: true });
    await record(store, 20);
    expect((await timesOf(store)).at(-1)).toBe(24);
  });
});

describe('bad input', () => {
  const [sample] = interval(start);
  it.each([
    ['values', { ...sample, values: new Float64Array(3) }],
    ['UUID', { ...sample, gpuUuid: 'a b' }],
    ['index', { ...sample, gpuIndex: -1 }],
    ['time', { ...sample, atMilliseconds: Number.NaN }],
  ])('%s', async (_, wrong) => {
    await expect(storeOf().append([wrong as RecordedSample])).rejects.toMatchObject({
      code: 'INVALID_INPUT',
    });
  });

  it('series or bounds that cannot be are refused at once', () => {
    for (const names of [[], ['a', 'a'], ['a\nb'], ['']])
      expect(() => storeOf({ seriesNames: names })).toThrow();
    expect(() => storeOf({ maximumBytes: 1 })).toThrow();
    expect(() => storeOf({ maximumBytes: Number.NaN })).toThrow();
  });

  it('nothing to append touches nothing, and after the closing nothing is taken', async () => {
    const store = storeOf();
    await store.append([]);
    expect(existsSync(directory)).toBe(false);
    await record(store, 1);
    await store.close();
    await store.close();
    await expect(store.append(interval())).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  });
});
