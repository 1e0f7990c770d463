import type { Stats } from 'node:fs';
import { stat } from 'node:fs/promises';
import { UsageError } from '@k8s-gpu-mcp/command-line';
import { countNewlines, readText } from '@k8s-gpu-mcp/host-linux';

export const standardInput = '-';

/** A file to analyse, or standard input. */
export interface Input {
  /** As the person wrote it. */
  readonly name: string;
  /** Absent for standard input. */
  readonly stats?: Stats;
}

/**
 * Looks at every operand before the first is read.
 * @throws UsageError when one does not exist or is a directory, or standard input is named twice
 */
export async function checkInputs(operands: readonly string[]): Promise<readonly Input[]> {
  if (operands.filter((name) => name === standardInput).length > 1)
    throw new UsageError('standard input (-) can be read once only');
  return Promise.all(
    operands.map(async (name) => (name === standardInput ? { name } : { name, stats: await statOf(name) })),
  );
}

async function statOf(name: string): Promise<Stats> {
  let stats: Stats;
  try {
    stats = await stat(name);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    throw new UsageError(`${name} ${openProblems[code] ?? `cannot be opened (${code})`}`);
  }
  if (stats.isDirectory()) throw new UsageError(`${name} is a directory; name the files in it`);
  return stats;
}

const openProblems: Readonly<Record<string, string>> = {
  ENOENT: 'does not exist',
  ENOTDIR: 'does not exist',
  EACCES: 'may not be read by this user',
  EPERM: 'may not be read by this user',
};

const newline = 0x0a;

/** Lines of a file in which nothing was found: only then is a second pass worth it. Undefined when they cannot be counted. */
export async function countLines(input: Input | undefined): Promise<number | undefined> {
  if (!input?.stats?.isFile()) return undefined;
  let count = 0;
  let last = newline;
  try {
    for await (const chunk of readText({ path: input.name }, {})) {
      count += countNewlines(chunk, 0, chunk.length);
      last = chunk.at(-1) ?? last;
    }
  } catch {
    return undefined;
  }
  return last === newline ? count : count + 1;
}
