import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { neverAborted, xidMessage } from '../../test/kernel-log-samples.ts';
import {
  type AutoKernelLogOptions,
  createAutoKernelLog,
  parseKernelLogSelection,
} from './auto-kernel-log.ts';
import { readBootedAt } from './boot-time.ts';

const failure = (code: string) => Object.assign(new Error(`${code}: refused`), { code });
const readText = (): string => {
  throw failure('ENOENT');
};
const refuse = () => {
  throw failure('EPERM');
};

const noKmsg: AutoKernelLogOptions['kmsg'] = {
  readText,
  device: { open: refuse, read: refuse, close: refuse },
};
const noSyslog: AutoKernelLogOptions['syslog'] = { readText, loadSyslogCall: async () => refuse };
const noJournal: AutoKernelLogOptions['journal'] = {
  journalctlPath: '/nowhere/journalctl',
};
const goodSyslog: AutoKernelLogOptions['syslog'] = {
  readText,
  loadSyslogCall: async () => (action, buffer) =>
    action === 10 ? 4096 : (buffer?.write(`<3>[    2.000000] ${xidMessage()}\n`) ?? 0),
};

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'auto-kernel-log-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

describe('createAutoKernelLog', () => {
  it('auto takes the first source that can be read and says why not those before it', async () => {
    const log = createAutoKernelLog('auto', { kmsg: noKmsg, syslog: goodSyslog, journal: noJournal });
    const { records, coverage } = await log.read({ signal: neverAborted() });
    expect(records.length).toBe(1);
    expect(coverage).toMatchObject({ source: 'syslog', readable: true });
    expect(coverage.skipped?.map(({ source }) => source)).toEqual(['kmsg']);
    expect(coverage.skipped?.[0]?.reason).toMatch(/^EPERM: /);
  });

  it('auto with nothing readable names all three reasons', async () => {
    const log = createAutoKernelLog('auto', { kmsg: noKmsg, syslog: noSyslog, journal: noJournal });
    const { records, coverage } = await log.read({ signal: neverAborted() });
    expect(records).toEqual([]);
    expect(coverage).toMatchObject({ source: null, readable: false, from: null, to: null });
    expect(coverage.skipped?.map(({ source }) => source)).toEqual(['kmsg', 'syslog', 'journal']);
    expect(coverage.skipped?.[2]?.reason).toBe('ENOENT: /nowhere/journalctl cannot be started');
  });

  it('a source named outright is not replaced', async () => {
    const log = createAutoKernelLog('kmsg', { kmsg: noKmsg, syslog: goodSyslog });
    expect((await log.read({ signal: neverAborted() })).coverage.readable).toBe(false);
  });

  it('none reads nothing and says that it was switched off', async () => {
    const { coverage } = await createAutoKernelLog('none').read({ signal: neverAborted() });
    expect(coverage).toMatchObject({ source: null, readable: false });
    expect(coverage.skipped?.[0]?.reason).toContain('switched off');
  });

  it('reads a file and covers the time of all its lines', async () => {
    const path = join(folder, 'kern.log');
    const lines = [
      '2026-03-01T00:00:00+00:00 node kernel: Linux version 6.8.0',
      `2026-03-01T01:00:00+00:00 node kernel: ${xidMessage(79)}`,
      '2026-03-01T02:00:00+00:00 node kernel: eth0: link becomes ready',
    ];
    writeFileSync(path, `${lines.join('\n')}\n`);
    const { records, coverage } = await createAutoKernelLog(`file:${path}`).read({ signal: neverAborted() });
    expect(records).toMatchObject([
      { text: xidMessage(79), file: path, line: 2, at: '2026-03-01T01:00:00.000Z' },
    ]);
    expect(coverage).toEqual({
      source: `file:${path}`,
      readable: true,
      from: '2026-03-01T00:00:00.000Z',
      to: '2026-03-01T02:00:00.000Z',
    });
    writeFileSync(`${path}.gz`, gzipSync(`${lines.join('\n')}\n`));
    const packed = await createAutoKernelLog(`file:${path}.gz`).read({ signal: neverAborted() });
    expect(packed.records.length).toBe(1);
  });

  it('an unreadable file is coverage, a cancelled read is an error', async () => {
    const log = createAutoKernelLog(`file:${join(folder, 'absent')}`);
    const { coverage } = await log.read({ signal: neverAborted() });
    expect(coverage).toMatchObject({ source: null, readable: false });
    expect(coverage.skipped?.[0]?.reason).toContain('does not exist');
    await expect(log.read({ signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'CANCELLED' });
  });

  it('knows the selections and refuses others', () => {
    for (const text of ['auto', 'kmsg', 'syslog', 'journal', 'none', 'file:/var/log/kern.log']) {
      expect(parseKernelLogSelection(text)).toBe(text);
    }
    for (const text of ['', 'file:', 'KMSG', '/var/log/kern.log']) {
      expect(() => parseKernelLogSelection(text)).toThrow(expect.objectContaining({ code: 'INVALID_INPUT' }));
    }
  });
});

describe('readBootedAt', () => {
  const now = Date.parse('2026-03-01T01:00:00.000Z');
  it('prefers the uptime, then btime, then says nothing', () => {
    expect(readBootedAt(now, () => '3600.25 1.0\n')).toBe('2026-02-28T23:59:59.750Z');
    const onlyStat = (path: string): string =>
      path === '/proc/stat' ? `cpu 1 2\nbtime ${now / 1000 - 60}\n` : readText();
    expect(readBootedAt(now, onlyStat)).toBe('2026-03-01T00:59:00.000Z');
    expect(readBootedAt(now, readText)).toBeUndefined();
    expect(readBootedAt(now, () => 'garbage')).toBeUndefined();
    expect(readBootedAt(now, () => `${'9'.repeat(30)} 1\n`)).toBeUndefined();
  });
});
