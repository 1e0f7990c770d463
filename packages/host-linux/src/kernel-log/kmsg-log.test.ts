import { describe, expect, it } from 'vitest';
import { neverAborted, xidMessage } from '../../test/kernel-log-samples.ts';
import type { KmsgDevice } from './kmsg-cursor.ts';
import { createKmsgLog } from './kmsg-log.ts';
import { coreParsers } from './parsers.ts';

const failure = (code: string) => Object.assign(new Error(`${code}: kmsg`), { code });

/** Plays a script of reads: a record, or the errno of a failing one; then EAGAIN, as the kernel at the end. */
function scripted(
  steps: readonly (string | { errno: string })[],
): KmsgDevice & { open_: number; closed: number } {
  let next = 0;
  const device = {
    open_: 0,
    closed: 0,
    open: () => {
      device.open_ += 1;
      return 42;
    },
    close: () => {
      device.closed += 1;
    },
    read: (_descriptor: number, buffer: Buffer) => {
      const step = steps[next];
      next += 1;
      if (step === undefined) throw failure('EAGAIN');
      if (typeof step !== 'string') throw failure(step.errno);
      if (Buffer.byteLength(step) > buffer.length) {
        next -= 1;
        throw failure('EINVAL');
      }
      return buffer.write(step);
    },
  };
  return device;
}

// `prefix,sequence,microseconds,flags;text`: Source: Documentation/ABI/testing/dev-kmsg. 4 = facility kern, level warning.
const record = (sequence: number, text: string, priority = 4): string =>
  `${priority},${sequence},${sequence * 1_000_000},-;${text}\n`;

const now = Date.parse('2026-03-01T01:00:00.000Z');
const files: Record<string, string> = {
  '/proc/uptime': '3600.00 7000.00\n',
  '/proc/sys/kernel/dmesg_restrict': '1\n',
};
const readText = (path: string): string => {
  const text = files[path];
  if (text === undefined) throw failure('ENOENT');
  return text;
};
const kmsg = (device: KmsgDevice, more = {}) =>
  createKmsgLog({ device, readText, clock: { now: () => now }, ...more });

describe('createKmsgLog', () => {
  it('keeps GPU records, with times from the boot time, and covers all records', async () => {
    const device = scripted([
      record(10, 'Linux version 6.8.0'),
      record(20, xidMessage(79)),
      record(21, 'eth0: link becomes ready\n SUBSYSTEM=net\n DEVICE=n2'),
    ]);
    const { records, coverage } = await kmsg(device).read({ signal: neverAborted() });
    expect(records).toMatchObject([
      { text: xidMessage(79), uptimeSeconds: 20, at: '2026-03-01T00:00:20.000Z', trusted: true },
    ]);
    // Sequence numbers 11 to 19 were never seen: the kernel had overwritten them.
    expect(coverage).toEqual({
      source: 'kmsg',
      readable: true,
      from: '2026-03-01T00:00:10.000Z',
      to: '2026-03-01T00:00:21.000Z',
      bootedAt: '2026-03-01T00:00:00.000Z',
      lostRecordCount: 9,
    });
    expect(device.closed).toBe(1);
  });

  it('counts what an overrun lost and goes on', async () => {
    const device = scripted([
      record(5, 'a'),
      { errno: 'EPIPE' },
      record(105, xidMessage(48)),
      record(106, 'b'),
    ]);
    const { records, coverage } = await kmsg(device).read({ signal: neverAborted() });
    expect(records.length).toBe(1);
    expect(coverage.lostRecordCount).toBe(99);
  });

  it('loses nothing when the sequence has no gap', async () => {
    const { coverage } = await kmsg(scripted([record(1, 'a'), record(2, 'b')])).read({
      signal: neverAborted(),
    });
    expect(coverage).not.toHaveProperty('lostRecordCount');
  });

  it('reads a record that does not fit with a bigger buffer', async () => {
    const long = record(8, `${xidMessage(13)} ${'x'.repeat(20_000)}`);
    const { records, coverage } = await kmsg(scripted([record(7, 'a'), long, record(9, 'b')])).read({
      signal: neverAborted(),
    });
    expect(records.length).toBe(1);
    expect(coverage).not.toHaveProperty('lostRecordCount');
  });

  it('counts a record that the kernel stepped over because it did not fit', async () => {
    const device = scripted([record(7, 'a'), { errno: 'EINVAL' }, record(9, 'b')]);
    const { coverage } = await kmsg(device).read({ signal: neverAborted() });
    expect(coverage.lostRecordCount).toBe(1);
  });

  it('ends when the device refuses every read', async () => {
    const device = scripted(Array.from({ length: 1000 }, () => ({ errno: 'EINVAL' })));
    const { coverage } = await kmsg(device).read({ signal: neverAborted() });
    expect(coverage.readable).toBe(false);
  });

  it('gives what it has when reading breaks half way, and says so', async () => {
    const device = scripted([record(1, xidMessage()), { errno: 'EIO' }]);
    const { records, coverage } = await kmsg(device).read({ signal: neverAborted() });
    expect(records.length).toBe(1);
    expect(coverage.readable).toBe(true);
    expect(coverage.skipped?.[0]?.reason).toContain('EIO');
  });

  it('marks what user space wrote into the log', async () => {
    // Facility 1 (user), level 3: what the kernel makes of a program writing `<11>` or `<3>`.
    const device = scripted([record(1, xidMessage(), 11), record(2, xidMessage(), 3)]);
    const { records } = await kmsg(device).read({ signal: neverAborted() });
    expect(records.map(({ trusted }) => trusted)).toEqual([false, true]);
  });

  it('planted fault: a parser that trusts every facility is noticed', async () => {
    const credulous = {
      ...coreParsers,
      parseKmsgRecord: (text: string) => {
        const parsed = coreParsers.parseKmsgRecord(text, {});
        return parsed && { ...parsed, trusted: true };
      },
    };
    const device = scripted([record(1, xidMessage(), 11)]);
    const { records } = await kmsg(device, { parsers: credulous }).read({ signal: neverAborted() });
    expect(records.map(({ trusted }) => trusted)).not.toEqual([false]);
  });

  it('decodes escapes: several lines in one record', async () => {
    const device = scripted([record(1, 'NVRM: API mismatch: the client has\\x0aNVRM: this kernel module')]);
    const { records } = await kmsg(device).read({ signal: neverAborted() });
    expect(records[0]?.text).toBe('NVRM: API mismatch: the client has\nNVRM: this kernel module');
  });

  it.each([
    '',
    ';',
    '4,1',
    'NVRM',
    '4,x,y,-;NVRM: Xid',
    '\0\0NVRM',
    `${'9'.repeat(400)},1,1,-;NVRM`,
    '4,1,1,-NVRM',
  ])('survives the garbage %j', async (garbage) => {
    const device = scripted([garbage, record(3, xidMessage())].filter((step) => step.length > 0));
    const { records, coverage } = await kmsg(device).read({ signal: neverAborted() });
    expect(records.map(({ text }) => text)).toContain(xidMessage());
    expect(coverage.readable).toBe(true);
  });

  it('keeps the newest of a flood and counts the rest', async () => {
    const steps = Array.from({ length: 100_000 }, (_, index) => record(index, xidMessage(45)));
    const { records, coverage } = await kmsg(scripted(steps)).read({ signal: neverAborted() });
    expect(records.length).toBe(20_000);
    expect(coverage.lostRecordCount).toBe(80_000);
    expect(records[0]?.uptimeSeconds).toBe(80_000);
    expect(records.at(-1)?.uptimeSeconds).toBe(99_999);
  });

  it('ends a pass that a writer keeps ahead of', async () => {
    let sequence = 0;
    const device = {
      ...scripted([]),
      read: (_: number, buffer: Buffer) => {
        sequence += 1;
        return buffer.write(record(sequence, 'more'));
      },
    };
    await kmsg(device, { maximumRecordsPerPass: 5_000 }).read({ signal: neverAborted() });
    expect(sequence).toBe(5_000);
  });

  it('gives other work its turn and stops when the signal aborts', async () => {
    const abort = new AbortController();
    const device = { ...scripted([]), read: (_: number, buffer: Buffer) => buffer.write(record(1, 'again')) };
    setImmediate(() => abort.abort());
    await expect(kmsg(device).read({ signal: abort.signal })).rejects.toMatchObject({ code: 'CANCELLED' });
    const timedOut = AbortSignal.abort(new DOMException('late', 'TimeoutError'));
    await expect(kmsg(device).read({ signal: timedOut })).rejects.toMatchObject({ code: 'TIMEOUT' });
  });

  it('closes the device when the signal aborts', async () => {
    const device = scripted(Array.from({ length: 1000 }, (_, index) => record(index, 'x')));
    const abort = new AbortController();
    setImmediate(() => abort.abort());
    await kmsg(device)
      .read({ signal: abort.signal })
      .catch(() => undefined);
    expect(device.closed).toBe(device.open_);
  });

  it('leaves out what is known to be older than asked for', async () => {
    const device = scripted([record(10, xidMessage(31)), record(11, xidMessage(79))]);
    const { records, coverage } = await kmsg(device).read({
      since: '2026-03-01T00:00:11.000Z',
      signal: neverAborted(),
    });
    expect(records.map(({ uptimeSeconds }) => uptimeSeconds)).toEqual([11]);
    expect(coverage.from).toBe('2026-03-01T00:00:10.000Z');
  });

  it('says why the device cannot be opened', async () => {
    const refusing = (code: string): KmsgDevice => ({
      ...scripted([]),
      open: () => {
        throw failure(code);
      },
    });
    const { records, coverage } = await kmsg(refusing('EPERM')).read({ signal: neverAborted() });
    expect(records).toEqual([]);
    expect(coverage).toMatchObject({ source: null, readable: false, from: null, to: null });
    expect(coverage.skipped).toEqual([
      {
        source: 'kmsg',
        reason:
          'EPERM: /dev/kmsg needs CAP_SYSLOG and, in a container, a privileged pod; kernel.dmesg_restrict=1',
      },
    ]);
    const absent = await kmsg(refusing('ENOENT')).read({ signal: neverAborted() });
    expect(absent.coverage.skipped?.[0]?.reason).toContain('ENOENT');
  });

  it('has no times without a boot time', async () => {
    const device = scripted([record(10, xidMessage())]);
    const { records, coverage } = await kmsg(device, {
      readText: () => {
        throw failure('ENOENT');
      },
    }).read({ signal: neverAborted() });
    expect(records[0]).toMatchObject({ at: null, uptimeSeconds: 10 });
    expect(coverage).toMatchObject({ from: null, to: null });
    expect(coverage).not.toHaveProperty('bootedAt');
  });
});
