import { createReadStream, type Stats } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import { constants, createGunzip, gunzipSync } from 'node:zlib';
import { UsageError } from '../usage-error.ts';

export const standardInput = '-';

/** A file to analyse, or standard input. */
export interface Input {
  /** As the person wrote it. */
  readonly name: string;
  /** Absent for standard input. */
  readonly stats?: Stats;
  /** Its beginning is no text in any encoding that logs have. Not known of pipes. */
  readonly isBinary?: true;
  /** Something the person should know about how it is read. */
  readonly remark?: string;
}

const sniffBytes = 64 * 1024;

/** Formats told by their first bytes. Source: headers printed by nvidia-smi and nvidia-bug-report.sh. */
const otherFormats = [
  { format: 'nvidia-smi -q (XML)', isBuilt: false, pattern: /<!DOCTYPE nvidia_smi_log|<nvidia_smi_log>/ },
  { format: 'nvidia-smi -q (text)', isBuilt: false, pattern: /^=+ ?NVSMI LOG ?=+\s*$/m },
  {
    format: 'nvidia-bug-report',
    isBuilt: true,
    pattern: /Start of NVIDIA bug report log file|nvidia-bug-report\.sh Version/,
  },
] as const;

/**
 * Looks at every operand before the first is read.
 * @returns what can be read, and a line for each that is in a format not built yet
 * @throws UsageError when one does not exist or cannot be opened, or none is left to read
 */
export async function chooseInputs(
  operands: readonly string[],
): Promise<{ readonly inputs: readonly Input[]; readonly refused: readonly string[] }> {
  if (operands.filter((name) => name === standardInput).length > 1)
    throw new UsageError('standard input (-) can be read once only');
  const inputs: Input[] = [];
  const refused: string[] = [];
  for (const name of operands) {
    const stats = name === standardInput ? undefined : await statOf(name);
    // Looking into a pipe would take away what is to be read.
    const head = stats?.isFile() ? await headOf(name) : '';
    const found = otherFormats.find(({ pattern }) => pattern.test(head));
    if (found && !found.isBuilt)
      refused.push(`${name}: reading ${found.format} is not built yet; kernel logs are`);
    else
      inputs.push({
        name,
        ...(stats ? { stats } : {}),
        ...(isBinary(head) ? { isBinary: true } : {}),
        ...(found
          ? { remark: `${name}: only the kernel-log lines of this ${found.format} are read so far` }
          : {}),
      });
  }
  if (inputs.length === 0) throw new UsageError(refused.join('; '));
  return { inputs, refused };
}

async function statOf(name: string): Promise<Stats> {
  try {
    const stats = await stat(name);
    if (stats.isDirectory()) throw new UsageError(`${name} is a directory; name the log files in it`);
    return stats;
  } catch (error) {
    throw openError(name, error);
  }
}

/** What stands for a byte that is no text: a control character, or one that is not UTF-8. Logs hold some, and runs of NUL after a crash. */
const notText = /[\u0001-\u0008\u000b\u000c\u000e-\u001a\u001c-\u001f\ufffd]/g;
const binaryShare = 0.1;

function isBinary(head: string): boolean {
  const text = Buffer.from(head, 'latin1').toString('utf8');
  return (text.match(notText)?.length ?? 0) > text.length * binaryShare;
}

async function headOf(name: string): Promise<string> {
  let bytes: Buffer;
  try {
    const handle = await open(name, 'r');
    try {
      const { buffer, bytesRead } = await handle.read(Buffer.alloc(sniffBytes), 0, sniffBytes, 0);
      bytes = buffer.subarray(0, bytesRead);
    } finally {
      await handle.close();
    }
  } catch (error) {
    throw openError(name, error);
  }
  if (!isGzip(bytes)) return bytes.toString('latin1');
  try {
    return gunzipSync(bytes, { finishFlush: constants.Z_SYNC_FLUSH }).toString('latin1', 0, sniffBytes);
  } catch {
    // Damaged from the start: the scan says so in its own words.
    return '';
  }
}

const isGzip = (bytes: Uint8Array) => bytes[0] === 0x1f && bytes[1] === 0x8b;

const openProblems: Readonly<Record<string, string>> = {
  ENOENT: 'does not exist',
  ENOTDIR: 'does not exist',
  EACCES: 'may not be read by this user',
  EPERM: 'may not be read by this user',
};

function openError(name: string, error: unknown): UsageError {
  if (error instanceof UsageError) return error;
  const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
  return new UsageError(`${name} ${openProblems[code] ?? `cannot be opened (${code})`}`);
}

const newline = 0x0a;

export function countNewlines(bytes: Uint8Array): number {
  let count = 0;
  for (let at = bytes.indexOf(newline); at !== -1; at = bytes.indexOf(newline, at + 1)) count += 1;
  return count;
}

/** Lines of a file in which nothing was found: only then is a second pass worth it. */
export async function countLines({ name, stats }: Input): Promise<number | undefined> {
  if (!stats?.isFile()) return undefined;
  try {
    const head = createReadStream(name, { end: 1 });
    let first: Uint8Array = new Uint8Array();
    for await (const chunk of head) first = chunk;
    const stream = createReadStream(name, { highWaterMark: 1024 * 1024 });
    let count = 0;
    let last = newline;
    for await (const chunk of isGzip(first) ? stream.pipe(createGunzip()) : stream) {
      count += countNewlines(chunk);
      last = chunk.at(-1) ?? last;
    }
    return last === newline ? count : count + 1;
  } catch {
    return undefined;
  }
}
