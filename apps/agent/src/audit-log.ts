import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { UsageError } from '@k8s-gpu-mcp/command-line';
import type { AuditLog, AuditRecord } from '@k8s-gpu-mcp/core';

/** Where a record goes beside the file, as a stream takes it; a test passes its own. */
export interface AuditSink {
  write(line: string, done: (error?: Error | null) => void): unknown;
}

/** Only the owner may read what was done and by whom. */
const fileMode = 0o600;
/** O_NONBLOCK: a named pipe that nobody reads would hold us for ever. Read too: for how the file ends. */
const flags = constants.O_RDWR | constants.O_APPEND | constants.O_CREAT | constants.O_NONBLOCK;
const newline = 10;

/**
 * One JSON object a line, on standard error whatever the log level, and appended to the file if there is one. A record counts as written
 * once it is on disk; without a file, once standard error took it.
 * @throws UsageError when the file cannot be appended to: better found at the start than at the first attempt
 */
export async function createAuditLog(
  file: string | undefined,
  stderr: AuditSink = standardError(),
): Promise<AuditLog> {
  if (file !== undefined) await checkAppendable(file);
  return {
    async record(entry) {
      const line = `${JSON.stringify({ audit: true, ...entry } satisfies AuditRecord & { audit: true })}\n`;
      const told = new Promise<void>((resolve, reject) => {
        stderr.write(line, (error) => (error ? reject(error) : resolve()));
      });
      if (file === undefined) return told;
      // The file is the record then, and this its copy.
      told.catch(() => {});
      await withFile(file, (handle) => append(handle, line));
    },
  };
}

/** What nobody reads any more fails the record, not the program: without a listener it would be an uncaught exception. */
const standardError = () => process.stderr.on('error', () => {});

async function checkAppendable(file: string): Promise<void> {
  try {
    await withFile(file, async () => {});
  } catch (error) {
    throw new UsageError(`--audit-file: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** Opened each time, so that a rotated file is followed. */
async function withFile(file: string, use: (handle: FileHandle) => Promise<void>): Promise<void> {
  const handle = await open(file, flags, fileMode);
  try {
    if (!(await handle.stat()).isFile()) throw new Error(`${file} is not a plain file`);
    await use(handle);
  } finally {
    await handle.close();
  }
}

async function append(handle: FileHandle, line: string): Promise<void> {
  const { size } = await handle.stat();
  const { buffer, bytesRead } = await handle.read(Buffer.alloc(1), 0, 1, Math.max(0, size - 1));
  // A full disk cuts a record off, and the next must not be lost with it.
  const isCut = bytesRead === 1 && buffer[0] !== newline;
  await handle.appendFile(isCut ? `\n${line}` : line);
  await handle.datasync();
}
