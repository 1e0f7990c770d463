import type { KernelLogRecord, WatchNotice } from '@k8s-gpu-mcp/core';
import { describe, expect, it } from 'vitest';
import { failure, instantClock } from '../../test/fake-clock.ts';
import { xidMessage } from '../../test/kernel-log-samples.ts';
import { createKernelLogFollower, type KernelLogFollowerOptions } from './kernel-log-follower.ts';
import type { KmsgDevice } from './kmsg-cursor.ts';

type Item = KernelLogRecord | WatchNotice;

/** The kernel's ring as a device: each opening reads from the oldest record, an overrun costs the reader EPIPE. */
function ringDevice() {
  const records: { readonly sequence: number; readonly text: string }[] = [];
  const places = new Map<number, number>();
  let nextDescriptor = 10;
  let nextSequence = 100;
  const ring = {
    opened: 0,
    closed: 0,
    refusal: undefined as string | undefined,
    write(text: string, priority = 4) {
      const sequence = nextSequence;
      nextSequence += 1;
      records.push({ sequence, text: `${priority},${sequence},${sequence * 1000},-;${text}\n` });
    },
    writeRaw(text: string) {
      records.push({ sequence: nextSequence, text });
      nextSequence += 1;
    },
    overwrite(count: number) {
      records.splice(0, count);
    },
    device: {
      open() {
        if (ring.refusal !== undefined) throw failure(ring.refusal);
        ring.opened += 1;
        nextDescriptor += 1;
        places.set(nextDescriptor, 0);
        return nextDescriptor;
      },
      read(descriptor, buffer) {
        if (ring.refusal !== undefined) throw failure(ring.refusal);
        const place = places.get(descriptor);
        if (place === undefined) throw failure('EBADF');
        const oldest = records[0]?.sequence ?? nextSequence;
        if (place !== 0 && place < oldest) {
          places.set(descriptor, oldest);
          throw failure('EPIPE');
        }
        const record = records.find(({ sequence }) => sequence >= place);
        if (!record) throw failure('EAGAIN');
        places.set(descriptor, record.sequence + 1);
        return buffer.write(record.text);
      },
      close(descriptor) {
        places.delete(descriptor);
        ring.closed += 1;
      },
    } satisfies KmsgDevice,
  };
  return ring;
}

const readText = (path: string): string => {
  if (path === '/proc/uptime') return '3600.00 1.00\n';
  throw failure('ENOENT');
};
const refuse = () => {
  throw failure('EPERM');
};
const refusing: KernelLogFollowerOptions = {
  kmsg: { readText, device: { open: refuse, read: refuse, close: refuse } },
  syslog: { readText, loadSyslogCall: async () => refuse },
  journal: { journalctlPath: '/nowhere/journalctl' },
};

function followKmsg(device: KmsgDevice, clock = instantClock()) {
  const abort = new AbortController();
  const follower = createKernelLogFollower('kmsg', { clock, kmsg: { device, readText } });
  const items = follower.follow(abort.signal)[Symbol.asyncIterator]();
  return { abort, clock, next: async (): Promise<Item | undefined> => (await items.next()).value, items };
}
const textOf = (item: Item | undefined): string | undefined =>
  item && 'text' in item ? item.text : item && `${item.notice}: ${item.gap.detail}`;

describe('createKernelLogFollower on kmsg', () => {
  it('gives what is written from now on, GPU-related only, once', async () => {
    const ring = ringDevice();
    ring.write(xidMessage(13));
    const { next } = followKmsg(ring.device);
    const first = next();
    ring.write('eth0: link becomes ready');
    ring.write(xidMessage(79), 3);
    ring.write(xidMessage(48), 11);
    expect(await first).toMatchObject({
      text: xidMessage(79),
      trusted: true,
      uptimeSeconds: 0.102,
      at: '2026-03-01T00:00:00.102Z',
    });
    expect(await next()).toMatchObject({ text: xidMessage(48), trusted: false });
    const third = next();
    ring.write(xidMessage(31));
    expect(textOf(await third)).toBe(xidMessage(31));
  });

  it('tells how many records were overwritten, and goes on', async () => {
    const ring = ringDevice();
    const { next } = followKmsg(ring.device);
    const first = next();
    ring.write(xidMessage(79));
    await first;
    for (let count = 0; count < 50; count += 1) ring.write(xidMessage(31));
    ring.overwrite(49);
    const second = await next();
    expect(second).toMatchObject({ notice: 'blind', gap: { field: 'kernelLog', reason: 'not-observable' } });
    expect(textOf(second)).toBe('blind: kmsg: 48 records were overwritten before they could be read');
    expect(await next()).toMatchObject({ notice: 'restored' });
    expect([textOf(await next()), textOf(await next())]).toEqual([xidMessage(31), xidMessage(31)]);
  });

  it('is not stopped by garbage', async () => {
    const ring = ringDevice();
    const { next } = followKmsg(ring.device);
    const first = next();
    for (const garbage of ['NVRM', '\0\0Xid (', '4,x,y,-;NVRM', `${'9'.repeat(400)},1,1,-;NVRM`, '4,1']) {
      ring.writeRaw(garbage);
    }
    ring.write(xidMessage(79));
    expect(textOf(await first)).toBe(xidMessage(79));
  });

  it('says once that it is blind, tries less and less often, and misses nothing that the kernel kept', async () => {
    const ring = ringDevice();
    const { next, clock } = followKmsg(ring.device);
    const first = next();
    ring.write(xidMessage(79));
    expect(textOf(await first)).toBe(xidMessage(79));
    ring.refusal = 'EIO';
    const blind = await next();
    expect(blind).toMatchObject({ notice: 'blind', gap: { reason: 'not-observable' } });
    expect(textOf(blind)).toMatch(/^blind: kmsg: EIO/);
    ring.write(xidMessage(48));
    clock.waits.length = 0;
    const restored = next();
    while (clock.waits.length < 7) await new Promise((resolve) => setImmediate(resolve));
    expect(clock.waits.slice(0, 7)).toEqual([1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]);
    ring.refusal = undefined;
    expect(await restored).toMatchObject({ notice: 'restored' });
    expect(textOf(await next())).toBe(xidMessage(48));
    const after = next();
    ring.write(xidMessage(31));
    expect(textOf(await after)).toBe(xidMessage(31));
    expect(ring.opened - ring.closed).toBe(1);
  });

  it('planted fault: a log that is read from its beginning again would be noticed', async () => {
    const ring = ringDevice();
    const { next } = followKmsg(ring.device);
    const first = next();
    ring.write(xidMessage(79));
    await first;
    ring.refusal = 'EIO';
    await next();
    ring.refusal = undefined;
    // Numbered anew, the same record looks like another one.
    ring.write(xidMessage(79));
    expect(await next()).toMatchObject({ notice: 'restored' });
    expect(textOf(await next())).toBe(xidMessage(79));
  });

  it('needs no memory for a flood: the log is read as fast as records are taken', async () => {
    const total = 800_000;
    let produced = 0;
    let isOpenForAll = false;
    const line = xidMessage(45);
    const device: KmsgDevice = {
      open: () => 1,
      close: () => undefined,
      read: (_, buffer) => {
        if (!isOpenForAll || produced === total) throw failure('EAGAIN');
        produced += 1;
        return buffer.write(`4,${produced},${produced},-;${line}\n`);
      },
    };
    const { next } = followKmsg(device);
    const first = next();
    isOpenForAll = true;
    await first;
    let largestBacklog = 0;
    for (let taken = 1; taken < total; taken += 1) {
      const item = await next();
      if (!item || !('text' in item)) throw new Error(`a notice after ${taken} records`);
      largestBacklog = Math.max(largestBacklog, produced - taken);
    }
    expect(produced).toBe(total);
    expect(largestBacklog).toBeGreaterThan(0);
    expect(largestBacklog).toBeLessThanOrEqual(2048);
  }, 60_000);

  it('ends when the signal aborts, and closes the device though nobody asks any more', async () => {
    const ring = ringDevice();
    const { next, abort, items } = followKmsg(ring.device);
    const first = next();
    ring.write(xidMessage(79));
    ring.write(xidMessage(48));
    await first;
    expect(ring.closed).toBe(0);
    abort.abort();
    expect(ring.closed).toBe(1);
    expect(await items.next()).toEqual({ done: true, value: undefined });

    const waiting = followKmsg(ring.device);
    const never = waiting.items.next();
    waiting.abort.abort(new DOMException('late', 'TimeoutError'));
    expect(await never).toEqual({ done: true, value: undefined });
    expect(ring.closed).toBe(ring.opened);
    const aborted = createKernelLogFollower('kmsg', { kmsg: { device: ring.device } });
    for await (const item of aborted.follow(AbortSignal.abort())) expect.fail(JSON.stringify(item));
    expect(ring.closed).toBe(ring.opened);
  });

  it('closes the device when the consumer leaves its loop', async () => {
    const ring = ringDevice();
    const follower = createKernelLogFollower('kmsg', {
      clock: instantClock(),
      kmsg: { device: ring.device, readText },
    });
    setImmediate(() => ring.write(xidMessage(79)));
    for await (const item of follower.follow(new AbortController().signal)) {
      expect(textOf(item)).toBe(xidMessage(79));
      break;
    }
    expect([ring.opened, ring.closed]).toEqual([1, 1]);
  });
});

describe('createKernelLogFollower: which log', () => {
  const first = async (selection: Parameters<typeof createKernelLogFollower>[0], options = refusing) => {
    const abort = new AbortController();
    const follower = createKernelLogFollower(selection, { clock: instantClock(), ...options });
    const items = follower.follow(abort.signal)[Symbol.asyncIterator]();
    const item = (await items.next()).value as Item;
    const rest = items.next();
    abort.abort();
    expect(await rest).toEqual({ done: true, value: undefined });
    return item;
  };

  it('auto with nothing readable says why not each of the three', async () => {
    const item = await first('auto');
    expect(item).toMatchObject({ notice: 'blind', gap: { reason: 'no-permission' } });
    expect(textOf(item)).toMatch(/kmsg: EPERM.*; syslog: EPERM.*; journal: ENOENT/);
  });

  it('auto takes the first that can be read', async () => {
    let ring = '<3>[    1.000000] NVRM: old\n';
    let calls = 0;
    const loadSyslogCall = async () => (_: number, buffer: Buffer | null) => {
      calls += 1;
      if (calls === 3) ring += `<3>[    2.000000] ${xidMessage(79)}\n`;
      return buffer?.write(ring) ?? 0;
    };
    const item = await first('auto', { ...refusing, syslog: { readText, loadSyslogCall } });
    expect(textOf(item)).toBe(xidMessage(79));
  });

  it('a log named outright is not replaced', async () => {
    expect(textOf(await first('kmsg'))).toMatch(/^blind: kmsg: EPERM[^;]*CAP_SYSLOG/);
    expect(textOf(await first('journal'))).toBe(
      'blind: journal: ENOENT: /nowhere/journalctl cannot be started',
    );
    expect(textOf(await first('file:/nowhere/kern.log'))).toContain('ENOENT');
  });

  it('none says that it is switched off, once', async () => {
    expect(textOf(await first('none'))).toContain('switched off');
  });
});
