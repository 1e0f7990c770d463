import { readFile } from 'node:fs/promises';
import { UsageError } from '@k8s-gpu-mcp/command-line';
import { isGpuError, parseThresholds, type ThresholdOverrides } from '@k8s-gpu-mcp/core';

const maximumBytes = 1024 * 1024;

/** The thresholds of a file; none without one. @throws UsageError one clear line that names the file and what is wrong with it. */
export async function readThresholds(file: string | undefined): Promise<ThresholdOverrides> {
  if (file === undefined) return {};
  try {
    const text = await readFile(file, 'utf8');
    if (text.length > maximumBytes) throw new UsageError(`${file} is larger than 1 MiB`);
    return parseThresholds(JSON.parse(text));
  } catch (error) {
    if (error instanceof UsageError) throw error;
    if (isGpuError(error)) throw new UsageError(`${file}: ${error.message} ${error.hint}`);
    throw new UsageError(
      `--health-thresholds ${file}: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
}
