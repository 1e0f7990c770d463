import { constants } from 'node:fs';
import { access, stat, statfs } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { type RecorderOptions, recordedSeries, recorderBytes } from '@k8s-gpu-mcp/core';
import { type Check, ok, warn } from './check.ts';

/** What the flight recorder takes in memory, and whether what it records would outlive the process. */
export async function checkRecorder(
  options: RecorderOptions,
  gpuCount: number | undefined,
  directory: string | undefined,
): Promise<readonly Check[]> {
  const hours = options.coarseRetentionMilliseconds / 3_600_000;
  const mebibytes = (gpus: number) => (recorderBytes(options, gpus) / 1024 ** 2).toFixed(1);
  const here = gpuCount === undefined ? '' : `${mebibytes(gpuCount)} MiB for ${gpuCount} GPUs, `;
  const most = `at most ${mebibytes(options.maximumGpus)} MiB for ${options.maximumGpus}`;
  const memory = ok(
    'flight recorder',
    `${here}${most}: every ${options.intervalMilliseconds} ms, ${hours} h kept`,
  );
  if (directory === undefined) return [memory];
  return [memory, await checkDirectory(directory, storedHourBytes(options, gpuCount ?? 1))];
}

/** Of a sample in a file: its values, and what says which GPU and when. */
const storedSampleBytes = 8 * recordedSeries.length + 53;

/** What the record of an hour takes in files, the readings of the fine tier included. */
function storedHourBytes(options: RecorderOptions, gpuCount: number): number {
  const coarse = 3_600_000 / options.coarseIntervalMilliseconds;
  const fine = Math.min(3_600_000, 1.5 * options.fineRetentionMilliseconds) / options.intervalMilliseconds;
  return gpuCount * (coarse + fine) * storedSampleBytes;
}

/** Looks only; what a server would write is not tried. */
async function checkDirectory(directory: string, hourBytes: number): Promise<Check> {
  const name = 'record directory';
  const problem = (what: string, fix: string) => warn(name, `${directory} ${what}`, fix);
  try {
    const [place, isThere] = await nearestThere(directory);
    if (!(await stat(place)).isDirectory())
      return problem(`cannot be a directory: ${place} is none`, 'Name another with --record-directory.');
    await access(place, constants.R_OK | constants.W_OK | constants.X_OK);
    const { bavail, bsize } = await statfs(place);
    const free = bavail * bsize;
    if (free < hourBytes)
      return problem(
        `has ${(free / 1024 ** 2).toFixed(1)} MiB left, less than an hour takes`,
        'Free space on its file system, or name another with --record-directory.',
      );
    return ok(name, isThere ? directory : `${directory}, made when the server starts`);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    const fix =
      code === 'EROFS'
        ? 'Its file system is read-only: name a directory on another with --record-directory (a volume, in a container).'
        : `Give it to the user of the server (uid ${process.getuid?.() ?? 'unknown'} here), or name another with --record-directory.`;
    return problem(`cannot be read and written (${code})`, fix);
  }
}

/** The directory, or the nearest above it that is there. */
async function nearestThere(directory: string): Promise<readonly [path: string, isThere: boolean]> {
  for (let path = resolve(directory); ; path = dirname(path)) {
    try {
      await stat(path);
      return [path, path === resolve(directory)];
    } catch (error) {
      const isMissing = error instanceof Error && 'code' in error && error.code === 'ENOENT';
      if (!isMissing || path === dirname(path)) throw error;
    }
  }
}
