import { describe, expect, it } from 'vitest';
import { neverAborted, xidMessage } from '../../test/kernel-log-samples.ts';
import { createSyslogLog, type SyslogCall, type SyslogLogOptions } from './syslog-log.ts';

const failure = (code: string) => Object.assign(new Error(`${code}: syslog`), { code });
const readText = (path: string): string => {
  if (path === '/proc/uptime') return '3600.00 1.00\n';
  if (path === '/proc/sys/kernel/dmesg_restrict') return '1\n';
  throw failure('ENOENT');
};

/** syslog(2): action 10 tells the size of the ring, action 3 gives as many of the newest messages as fit. */
const ringOf =
  (content: string, ringBytes: number): SyslogCall =>
  (action, buffer) => {
    if (action === 10) return ringBytes;
    if (!buffer) return 0;
    const tail = content.slice(-buffer.length);
    return buffer.write(tail === content ? content : tail.slice(tail.indexOf('\n') + 1));
  };
const syslog = (call: SyslogCall, more: SyslogLogOptions = {}) =>
  createSyslogLog({
    loadSyslogCall: async () => call,
    readText,
    clock: { now: () => Date.parse('2026-03-01T01:00:00.000Z') },
    ...more,
  });

const content = [
  '<6>[    1.000000] Linux version 6.8.0',
  `<3>[   20.500000] ${xidMessage(79)}`,
  `<11>[   21.000000] ${xidMessage(48)}`,
  '<6>[   30.000000] eth0: link becomes ready',
  '',
].join('\n');

describe('createSyslogLog', () => {
  it('keeps GPU records and tells which of them user space wrote', async () => {
    const { records, coverage } = await syslog(ringOf(content, 1 << 17)).read({ signal: neverAborted() });
    expect(records).toMatchObject([
      { text: xidMessage(79), at: '2026-03-01T00:00:20.500Z', uptimeSeconds: 20.5, trusted: true },
      { text: xidMessage(48), uptimeSeconds: 21, trusted: false },
    ]);
    expect(coverage).toEqual({
      source: 'syslog',
      readable: true,
      from: '2026-03-01T00:00:01.000Z',
      to: '2026-03-01T00:00:30.000Z',
      bootedAt: '2026-03-01T00:00:00.000Z',
    });
  });

  it('reads all of a ring whose text is longer than its size says', async () => {
    // The size counts message bytes; 17 bytes of prefix come on top of each short message.
    const lines = Array.from({ length: 20_000 }, (_, index) => `<6>[${index}.000000] NVRM ${index}`);
    const call = ringOf(`${lines.join('\n')}\n`, 1024);
    const { records } = await syslog(call).read({ signal: neverAborted() });
    expect(records.length).toBe(20_000);
    expect(records[0]?.text).toBe('NVRM 0');
  });

  it('keeps the newest of a flood and counts the rest', async () => {
    const lines = Array.from({ length: 100_000 }, (_, index) => `<3>[${index}.000000] ${xidMessage(45)}`);
    const call: SyslogCall = (action, buffer) =>
      action === 10 ? 16 << 20 : (buffer?.write(`${lines.join('\n')}\n`) ?? 0);
    const { records, coverage } = await syslog(call).read({ signal: neverAborted() });
    expect(records.length).toBe(20_000);
    expect(records.at(-1)?.uptimeSeconds).toBe(99_999);
    expect(coverage.lostRecordCount).toBe(80_000);
  });

  it.each(['', '\n', '<', '<6>', '<6>[', '<99999>[1.0] NVRM', '\0\0', 'NVRM without a prefix\n'])(
    'survives the garbage %j',
    async (garbage) => {
      const { coverage } = await syslog(ringOf(garbage, 100)).read({ signal: neverAborted() });
      expect(coverage.readable).toBe(true);
    },
  );

  it('says why the call is refused, and asks again at the next read', async () => {
    let allowed = false;
    const log = syslog((action, buffer) => {
      if (!allowed) throw failure('EPERM');
      return ringOf(content, 4096)(action, buffer);
    });
    const refused = await log.read({ signal: neverAborted() });
    expect(refused.coverage).toMatchObject({ source: null, readable: false });
    expect(refused.coverage.skipped?.[0]).toMatchObject({ source: 'syslog' });
    expect(refused.coverage.skipped?.[0]?.reason).toMatch(/^EPERM: .*CAP_SYSLOG.*kernel\.dmesg_restrict=1$/);
    allowed = true;
    expect((await log.read({ signal: neverAborted() })).coverage.readable).toBe(true);
  });

  it('is unreadable, not broken, where the call cannot be loaded', async () => {
    const log = createSyslogLog({
      loadSyslogCall: async () => {
        throw new Error('koffi has no build for this platform');
      },
      readText,
    });
    const { coverage } = await log.read({ signal: neverAborted() });
    expect(coverage.skipped?.[0]?.reason).toBe('koffi has no build for this platform');
  });

  it('rejects when the signal has aborted', async () => {
    await expect(syslog(ringOf('', 1)).read({ signal: AbortSignal.abort() })).rejects.toMatchObject({
      code: 'CANCELLED',
    });
  });
});
