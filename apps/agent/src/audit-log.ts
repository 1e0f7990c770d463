import { open } from 'node:fs/promises';
import type { AuditLog, AuditRecord } from '@k8s-gpu-mcp/core';
import { UsageError } from './usage-error.ts';

/** Where a record goes beside the file; a test passes its own. */
export interface AuditSink {
  write(line: string): unknown;
}

/** Only the owner may read what was done and by whom. */
const fileMode = 0o600;

/**
 * One JSON object a line, on standard error whatever the log level, and appended to the file if there is one. A record counts as written
 * once it is on disk.
 * @throws UsageError when the file cannot be appended to: better found at the start than at the first attempt
 */
export async function createAuditLog(
  file: string | undefined,
  stderr: AuditSink = process.stderr,
): Promise<AuditLog> {
  if (file !== undefined) await checkAppendable(file);
  return {
    async record(entry) {
      const line = `${JSON.stringify({ audit: true, ...entry } satisfies AuditRecord & { audit: true })}\n`;
      stderr.write(line);
      if (file !== undefined) await append(file, line);
    },
  };
}

async function checkAppendable(file: string): Promise<void> {
  try {
    await append(file, '');
  } catch (error) {
    throw new UsageError(`--audit-file: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** Opened each time, so that a rotated file is followed. */
async function append(file: string, line: string): Promise<void> {
  const handle = await open(file, 'a', fileMode);
  try {
    if (line === '') return;
    await handle.appendFile(line);
    await handle.datasync();
  } finally {
    await handle.close();
  }
}
