import { mkdtempSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { AuditRecord } from '@k8s-gpu-mcp/core';
import { afterEach, describe, expect, it } from 'vitest';
import { createAuditLog } from './audit-log.ts';
import { UsageError } from './usage-error.ts';

const folder = mkdtempSync(join(tmpdir(), 'audit-'));
const file = join(folder, 'audit.jsonl');
afterEach(() => rmSync(file, { force: true }));

const entry: AuditRecord = {
  at: '2026-01-01T00:00:00.000Z',
  caller: 'operator',
  tool: 'reset_gpu',
  node: 'node-a',
  phase: 'act',
  outcome: 'refused',
  planId: 'plan-1',
  target: { gpus: [3], note: 'line\nbreak' },
  detail: 'process 4242 holds the GPU',
};

function sink() {
  const lines: string[] = [];
  return { lines, write: (line: string) => lines.push(line) };
}

describe('createAuditLog', () => {
  it('writes each record as one line of JSON to stderr and to the file', async () => {
    const stderr = sink();
    const log = await createAuditLog(file, stderr);
    await log.record(entry);
    await log.record({ ...entry, outcome: 'done' });
    const written = readFileSync(file, 'utf8').trimEnd().split('\n');
    expect(written).toHaveLength(2);
    expect(written.map((line) => JSON.parse(line))).toEqual([
      { audit: true, ...entry },
      { audit: true, ...entry, outcome: 'done' },
    ]);
    expect(stderr.lines.join('')).toBe(readFileSync(file, 'utf8'));
  });

  it('keeps the file to its owner', async () => {
    await (await createAuditLog(file, sink())).record(entry);
    expect(statSync(file).mode & 0o777).toBe(0o600);
  });

  it('follows a rotated file', async () => {
    const log = await createAuditLog(file, sink());
    await log.record(entry);
    renameSync(file, `${file}.1`);
    await log.record(entry);
    expect(readFileSync(file, 'utf8')).not.toBe('');
  });

  it('refuses a file it cannot append to before anything is done', async () => {
    await expect(createAuditLog(join(folder, 'absent', 'audit.jsonl'), sink())).rejects.toThrow(UsageError);
  });

  it('rejects when the record could not be written, so that the act does not happen', async () => {
    const log = await createAuditLog(join(folder, 'gone.jsonl'), sink());
    rmSync(folder, { recursive: true });
    await expect(log.record(entry)).rejects.toThrow();
  });
});
