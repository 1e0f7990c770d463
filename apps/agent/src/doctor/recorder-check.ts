import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { type RecorderOptions, recorderBytes } from '@k8s-gpu-mcp/core';
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
  return directory === undefined ? [memory] : [memory, await checkDirectory(directory)];
}

async function checkDirectory(directory: string): Promise<Check> {
  const name = 'record directory';
  try {
    await access(directory, constants.W_OK | constants.X_OK);
    return ok(name, directory);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    return warn(
      name,
      `${directory} cannot be written (${code})`,
      'It is made when the server starts, if its parent can be written; otherwise name another one.',
    );
  }
}
