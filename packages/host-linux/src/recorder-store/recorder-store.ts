import { join } from 'node:path';
import { type Clock, GpuError, type RecordedSample, type RecorderStore } from '@k8s-gpu-mcp/core';
import {
  listSegments,
  maximumSegmentBytes,
  maximumSegments,
  nodeFileSystem,
  type RecorderFileSystem,
  readSegmentFile,
  removeSegment,
  type SegmentFile,
  segmentBytes,
  storeError,
  type Tier,
} from './segment-files.ts';
import { encodeFrames, encodeHeader, samplesProblem, seriesNamesProblem } from './segment-format.ts';
import { estimatedSamples, readSegment } from './segment-reader.ts';
import { createSegmentWriter } from './segment-writer.ts';

export interface RecorderStoreOptions {
  /** Made when it is not there, for this user only. Files in it that are no segments are left alone. */
  readonly directory: string;
  /** Of the values of each sample, in their order. */
  readonly seriesNames: readonly string[];
  /** Of all segments together; default 256 MiB, at least 64 KiB. Every further program that writes here at the same time may add a quarter. */
  readonly maximumBytes?: number;
  /** How long thinned samples are kept; default 24 hours. */
  readonly retentionMilliseconds?: number;
  /** How long every sample is kept; default 10 minutes. */
  readonly fineRetentionMilliseconds?: number;
  /** Behind that, one interval in so much time is kept; default 10 seconds. */
  readonly coarseIntervalMilliseconds?: number;
  readonly clock?: Pick<Clock, 'now'>;
  readonly fileSystem?: RecorderFileSystem;
}

const mebibyte = 1024 * 1024;
const hour = 3_600_000;
const smallestBytes = 64 * 1024;
/** A disk that hangs: more waiting intervals than this are refused, so that they do not fill the memory. */
const maximumPendingAppends = 32;
/** What `load` gives at most, the newest: 48 GPUs for 24 hours. */
const maximumLoadedSamples = 500_000;
/** Clocks of one machine differ by less, unless one was set. */
const toleratedFutureMilliseconds = 60_000;

/**
 * Recorded samples in segment files. Every interval is appended to a `fine` segment and one in ten seconds also to a `coarse` one; whole
 * segments are deleted when their time is over, so nothing is ever rewritten. 8 GPUs of 30 series keep about 22 MB for 24 hours.
 *
 * An append is one write(2): once it resolves, the sample survives the end of this process in any way. Both files are synced with every
 * coarse interval, so that a loss of power costs at most that time. Each process writes segments of its own; there is no lock, and two
 * agents on one directory (a rolling update) lose nothing.
 * @throws GpuError INVALID_INPUT for series names or limits that cannot be.
 */
export function createRecorderStore(options: RecorderStoreOptions): RecorderStore {
  const {
    directory,
    seriesNames,
    maximumBytes = 256 * mebibyte,
    retentionMilliseconds = 24 * hour,
    fineRetentionMilliseconds = 10 * 60_000,
    coarseIntervalMilliseconds = 10_000,
    clock = Date,
    fileSystem: files = nodeFileSystem,
  } = options;
  const problem = seriesNamesProblem(seriesNames);
  if (problem !== undefined) throw new GpuError('INVALID_INPUT', `the recorded series: ${problem}`);
  if (!(maximumBytes >= smallestBytes))
    throw new GpuError(
      'INVALID_INPUT',
      `a record needs at least ${smallestBytes} bytes, not ${maximumBytes}`,
    );

  // Two segments grow at a time; whole ones are deleted, so they must be small against the bound.
  const largestSegment = Math.min(maximumSegmentBytes, Math.floor(maximumBytes / 8));
  const header = encodeHeader(seriesNames);
  const spans = {
    fine: Math.max(60_000, fineRetentionMilliseconds / 2),
    coarse: Math.max(60_000, Math.min(hour, retentionMilliseconds / 12)),
  } satisfies Record<Tier, number>;
  const retentions = {
    fine: fineRetentionMilliseconds,
    coarse: retentionMilliseconds,
  } satisfies Record<Tier, number>;
  const writerOf = (tier: Tier) =>
    createSegmentWriter({
      directory,
      tier,
      header,
      spanMilliseconds: spans[tier],
      segmentBytes: largestSegment,
      files,
    });
  const fine = writerOf('fine');
  const coarse = writerOf('coarse');
  let coarseAtMilliseconds: number | undefined;
  let pendingAppends = 0;
  let isClosed = false;
  let queue: Promise<unknown> = Promise.resolve();

  /** One after another, so that frames do not mix. */
  const inTurn = <T>(job: () => Promise<T>): Promise<T> => {
    const done = queue.then(job);
    queue = done.catch(() => undefined);
    return done;
  };

  /** Deletes what is over its time, then the oldest until there is room for two whole segments. */
  const makeRoom = async (now: number): Promise<void> => {
    const isFuture = (segment: SegmentFile) =>
      segment.startedAtMilliseconds > now + toleratedFutureMilliseconds;
    const isOver = ({ tier, startedAtMilliseconds: start }: SegmentFile) =>
      start + spans[tier] + retentions[tier] < now;
    const all = await listSegments(files, directory);
    // A clock that starts in 1970 must not delete a record; but when room is needed, what cannot be placed in time goes first.
    const byWorth = [...all.filter(isFuture), ...all.filter((segment) => !isFuture(segment))];
    const kept: { readonly segment: SegmentFile; readonly bytes: number }[] = [];
    for (const segment of byWorth) {
      const path = join(directory, segment.name);
      const isCurrent = segment.name === fine.current || segment.name === coarse.current;
      if (!isCurrent && isOver(segment) && (await removeSegment(files, path))) continue;
      kept.push({ segment, bytes: await segmentBytes(files, path) });
    }
    let total = kept.reduce((sum, { bytes }) => sum + bytes, 0);
    let count = kept.length;
    const isFull = () => total > maximumBytes - 2 * largestSegment || count > maximumSegments - 2;
    for (const { segment, bytes } of kept) {
      if (!isFull()) return;
      if (segment.name === fine.current || segment.name === coarse.current) continue;
      if (!(await removeSegment(files, join(directory, segment.name)))) continue;
      total -= bytes;
      count -= 1;
    }
    if (isFull())
      throw new GpuError(
        'UNAVAILABLE',
        `${directory} is at its bound and its oldest segments cannot be deleted`,
      );
  };

  const write = async (frame: Buffer): Promise<void> => {
    const now = clock.now();
    const isCoarse =
      coarseAtMilliseconds === undefined ||
      Math.abs(now - coarseAtMilliseconds) >= coarseIntervalMilliseconds;
    const needsRoom =
      fine.needsNewSegment(frame.length, now) || (isCoarse && coarse.needsNewSegment(frame.length, now));
    try {
      if (needsRoom) await makeRoom(now);
      await fine.append(frame, now);
      if (!isCoarse) return;
      await coarse.append(frame, now);
      coarseAtMilliseconds = now;
      await fine.sync();
      await coarse.sync();
    } catch (error) {
      throw storeError(directory, 'written', error);
    }
  };

  const load = async () => {
    const now = clock.now();
    const segments = await listSegments(files, directory);
    const found: RecordedSample[] = [];
    let lostSampleCount = 0;
    let bytesLeft = maximumBytes;
    for (const { name, tier, startedAtMilliseconds } of segments.slice(-maximumSegments).reverse()) {
      if (startedAtMilliseconds + spans[tier] + retentions[tier] < now) continue;
      const path = join(directory, name);
      let content: { readonly bytes: Buffer; readonly unreadBytes: number };
      try {
        const limit = Math.min(maximumSegmentBytes, bytesLeft);
        content = await readSegmentFile(files, path, limit);
      } catch {
        content = { bytes: Buffer.alloc(0), unreadBytes: await segmentBytes(files, path) };
      }
      bytesLeft -= content.bytes.length;
      if (content.unreadBytes > 0)
        lostSampleCount += estimatedSamples(content.unreadBytes, seriesNames.length);
      const { samples, lostSampleCount: lostHere } = readSegment(content.bytes, seriesNames);
      lostSampleCount += lostHere;
      const timely = samples.filter(
        ({ atMilliseconds }) => atMilliseconds <= now + toleratedFutureMilliseconds,
      );
      const room = Math.max(0, maximumLoadedSamples - found.length);
      const taken = timely.slice(Math.max(0, timely.length - room));
      for (const sample of taken)
        if (sample.atMilliseconds >= now - retentionMilliseconds) found.push(sample);
      lostSampleCount += samples.length - taken.length;
    }
    return { samples: inOrder(found), lostSampleCount };
  };

  return {
    load: () => inTurn(load),
    async append(samples) {
      if (isClosed) throw new GpuError('UNAVAILABLE', 'the record is closed');
      const wrong = samplesProblem(samples, seriesNames.length);
      if (wrong !== undefined) throw new GpuError('INVALID_INPUT', `not recorded: ${wrong}`);
      if (samples.length === 0) return;
      if (pendingAppends >= maximumPendingAppends)
        throw new GpuError('UNAVAILABLE', `${directory} does not keep up: ${pendingAppends} intervals wait`);
      // Encoded at once: the caller may use its arrays again.
      const frame = encodeFrames(samples);
      if (header.length + frame.length > largestSegment)
        throw new GpuError(
          'INVALID_INPUT',
          `one interval of ${frame.length} bytes is too much for the bound`,
        );
      pendingAppends += 1;
      try {
        await inTurn(() => write(frame));
      } finally {
        pendingAppends -= 1;
      }
    },
    close() {
      isClosed = true;
      return inTurn(async () => {
        await fine.close();
        await coarse.close();
      });
    },
  };
}

/**
 * The record of another program, for one that only looks: `append` keeps nothing and nothing is ever deleted, also where that program
 * keeps its samples longer.
 * @throws GpuError as `createRecorderStore`.
 */
export function createRecorderReader(options: RecorderStoreOptions): RecorderStore {
  const { load, close } = createRecorderStore(options);
  return { load, append: async () => {}, close };
}

/** Oldest first. What stands in a fine and in a coarse segment comes once. */
function inOrder(samples: RecordedSample[]): readonly RecordedSample[] {
  samples.sort(
    (a, b) => a.atMilliseconds - b.atMilliseconds || a.gpuIndex - b.gpuIndex || compare(a.gpuUuid, b.gpuUuid),
  );
  return samples.filter((sample, index) => {
    const previous = samples[index - 1];
    return (
      previous?.atMilliseconds !== sample.atMilliseconds ||
      previous.gpuIndex !== sample.gpuIndex ||
      previous.gpuUuid !== sample.gpuUuid
    );
  });
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
