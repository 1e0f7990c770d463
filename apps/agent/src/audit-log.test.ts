import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { UsageError } from '@k8s-gpu-mcp/command-line';
import type { AuditRecord } from '@k8s-gpu-mcp/core';
import { afterEach, describe, expect, it } from 'vitest';
import { type AuditSink, createAuditLog } from './audit-log.ts';

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
  const write: AuditSink['write'] = (line, done) => {
    lines.push(line);
    done();
  };
  return { lines, write };
}

const nobodyReads: AuditSink = {
  write: (_, done) => done(Object.assign(new Error('EPIPE: broken pipe'), { code: 'EPIPE' })),
};

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

  it('refuses what is no plain file: a pipe nobody reads, a device', async () => {
    const pipe = join(folder, 'pipe');
    execFileSync('/usr/bin/env', ['mkfifo', pipe]);
    for (const path of [pipe, '/dev/full', '/dev/null'])
      await expect(createAuditLog(path, sink())).rejects.toThrow(/--audit-file.*not a plain file/);
  });

  it('begins a line of its own behind one that a full disk cut off', async () => {
    const cut = '{"audit":true,"at":"2026-01-';
    writeFileSync(file, cut);
    const log = await createAuditLog(file, sink());
    await log.record(entry);
    await log.record(entry);
    const line = JSON.stringify({ audit: true, ...entry });
    expect(readFileSync(file, 'utf8')).toBe(`${cut}\n${line}\n${line}\n`);
  });

  it('has not recorded what went to a stderr that nobody reads, unless the file has it', async () => {
    await expect((await createAuditLog(undefined, nobodyReads)).record(entry)).rejects.toThrow('EPIPE');
    await (await createAuditLog(file, nobodyReads)).record(entry);
    expect(readFileSync(file, 'utf8')).toContain('"planId":"plan-1"');
  });

  it('rejects when the record could not be written, so that the act does not happen', async () => {
    const log = await createAuditLog(join(folder, 'gone.jsonl'), sink());
    rmSync(folder, { recursive: true });
    await expect(log.record(entry)).rejects.toThrow();
  });
});
