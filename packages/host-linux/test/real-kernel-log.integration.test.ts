import { execFileSync } from 'node:child_process';
import { closeSync, openSync, readdirSync, readFileSync, readlinkSync, writeSync } from 'node:fs';
import { createJournalLog, createKmsgLog, createSyslogLog } from '@k8s-gpu-mcp/host-linux';
import { describe, expect, it } from 'vitest';
import { neverAborted } from './kernel-log-samples.ts';

/** Why this machine does not let the test write into its kernel log; undefined when it does. */
function kmsgRefusal(): string | undefined {
  try {
    closeSync(openSync('/dev/kmsg', 'r+'));
    return undefined;
  } catch (error) {
    return `/dev/kmsg: ${error instanceof Error ? error.message : error}`;
  }
}

function journalRefusal(): string | undefined {
  try {
    const output = execFileSync('/usr/bin/journalctl', ['-k', '-n', '1', '-o', 'json', '--no-pager'], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    return output.startsWith('{') ? undefined : 'the journal of this machine holds no kernel message';
  } catch (error) {
    return `journalctl: ${error instanceof Error ? error.message : error}`;
  }
}

/** Opened anew for each record: the kernel limits the rate per open file. Without the line feed the record would stay open. */
function writeRecord(text: string): void {
  const descriptor = openSync('/dev/kmsg', 'w');
  try {
    writeSync(descriptor, `<11>${text}\n`);
  } finally {
    closeSync(descriptor);
  }
}

function openPaths(): readonly string[] {
  return readdirSync('/proc/self/fd').flatMap((descriptor) => {
    try {
      return [readlinkSync(`/proc/self/fd/${descriptor}`)];
    } catch {
      return [];
    }
  });
}

const mark = `test-${process.pid}-${Date.now()}`;
const forged = (xid: number): string => `NVRM: Xid (PCI:0000:3b:00): ${xid}, pid=4242, name=${mark}`;
const refusal = kmsgRefusal();

describe.skipIf(refusal !== undefined)(`the kernel's own log (${refusal ?? 'writable here'})`, () => {
  it('kmsg: records written now are read, in order, dated now, and not trusted', async () => {
    for (const xid of [79, 48, 31]) writeRecord(forged(xid));
    const { records, coverage } = await createKmsgLog().read({ signal: neverAborted() });
    const mine = records.filter(({ text }) => text.includes(mark));
    expect(mine.map(({ text }) => text)).toEqual([79, 48, 31].map(forged));
    // The kernel gives a user-space writer a facility other than its own, whatever it asks for.
    expect(mine.map(({ trusted }) => trusted)).toEqual([false, false, false]);
    expect(coverage).toMatchObject({ source: 'kmsg', readable: true });
    for (const { at } of mine) {
      expect(Math.abs(Date.parse(at ?? '') - Date.now())).toBeLessThan(60_000);
    }
    expect(Date.parse(coverage.from ?? '')).toBeLessThanOrEqual(Date.parse(coverage.to ?? ''));
  });

  it('syslog(2): the same records through klogctl', async () => {
    writeRecord(forged(94));
    const { records, coverage } = await createSyslogLog().read({ signal: neverAborted() });
    expect(coverage).toMatchObject({ source: 'syslog', readable: true });
    const mine = records.filter(({ text }) => text.includes(mark));
    expect(mine.at(-1)).toMatchObject({ text: forged(94), trusted: false });
  });

  it('kmsg and syslog(2) tell the same uptime and the same span', async () => {
    writeRecord(forged(95));
    const [kmsg, syslog] = await Promise.all([
      createKmsgLog().read({ signal: neverAborted() }),
      createSyslogLog().read({ signal: neverAborted() }),
    ]);
    const uptime = (read: typeof kmsg) =>
      read.records.findLast(({ text }) => text === forged(95))?.uptimeSeconds ?? Number.NaN;
    expect(uptime(kmsg)).toBeCloseTo(uptime(syslog), 5);
    const uptimeNow = Number(readFileSync('/proc/uptime', 'utf8').split(' ')[0]);
    expect(Math.abs(uptime(kmsg) - uptimeNow)).toBeLessThan(60);
  });

  it('leaves no descriptor open', async () => {
    await createKmsgLog().read({ signal: neverAborted() });
    expect(openPaths()).not.toContain('/dev/kmsg');
    const descriptor = openSync('/dev/kmsg', 'r');
    expect(openPaths(), 'planted fault: a descriptor left open is noticed').toContain('/dev/kmsg');
    closeSync(descriptor);
  });
});

const noJournal = journalRefusal();
describe.skipIf(noJournal !== undefined)(`the machine's journal (${noJournal ?? 'readable here'})`, () => {
  it('covers this boot', async () => {
    const { coverage } = await createJournalLog().read({ signal: neverAborted() });
    expect(coverage).toMatchObject({ source: 'journal', readable: true });
    expect(Date.parse(coverage.from ?? '')).toBeLessThanOrEqual(Date.parse(coverage.to ?? ''));
  });
});
