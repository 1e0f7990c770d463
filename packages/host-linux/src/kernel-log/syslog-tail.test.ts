import { describe, expect, it } from 'vitest';
import { failure } from '../../test/fake-clock.ts';
import { createRandom, neverAborted, xidMessage } from '../../test/kernel-log-samples.ts';
import type { LogTail } from './log-tail.ts';
import type { SyslogCall } from './syslog-log.ts';
import { createSyslogTail } from './syslog-tail.ts';

const readText = (path: string): string => {
  if (path === '/proc/uptime') return '3600.00 1.00\n';
  throw failure('ENOENT');
};
const line = (microseconds: number, text: string, priority = 3): string =>
  `<${priority}>[${(microseconds / 1e6).toFixed(6).padStart(12)}] ${text}\n`;

/** syslog(2)'s action 3: as many of the newest whole messages as fit. */
function ringBuffer(capacity = Number.POSITIVE_INFINITY) {
  let lines: string[] = [];
  let bytes = 0;
  const ring = {
    callBytes: [] as number[],
    refusal: undefined as string | undefined,
    write(text: string) {
      lines.push(text);
      bytes += text.length;
      while (bytes > capacity) bytes -= lines.shift()?.length ?? 0;
    },
    clear() {
      lines = [];
      bytes = 0;
    },
    call: ((action, buffer) => {
      if (ring.refusal !== undefined) throw failure(ring.refusal);
      if (action !== 3 || !buffer) throw failure('EINVAL');
      ring.callBytes.push(buffer.length);
      let start = lines.length;
      for (let room = buffer.length; start > 0; start -= 1) {
        room -= lines[start - 1]?.length ?? 0;
        if (room < 0) break;
      }
      return buffer.write(lines.slice(start).join(''));
    }) satisfies SyslogCall as SyslogCall,
  };
  return ring;
}
type Ring = ReturnType<typeof ringBuffer>;
const tailOf = (
  ring: Ring,
  clock: { now(): number } = { now: () => Date.parse('2026-03-01T01:00:00.000Z') },
) => createSyslogTail({ loadSyslogCall: async () => ring.call, readText, clock });

/** Polls until nothing more is waiting. */
async function drain(tail: LogTail) {
  const texts: string[] = [];
  const lost: string[] = [];
  for (;;) {
    const batch = await tail.poll();
    texts.push(...batch.records.map(({ text }) => text));
    if (batch.lost !== undefined) lost.push(batch.lost);
    if (batch.restMilliseconds > 0) return { texts, lost };
  }
}

describe('createSyslogTail', () => {
  it('gives what is written from now on, once', async () => {
    const ring = ringBuffer();
    ring.write(line(1, xidMessage(13)));
    const tail = await tailOf(ring).open(neverAborted());
    expect(await drain(tail)).toEqual({ texts: [], lost: [] });
    ring.write(line(2, 'eth0: link becomes ready'));
    ring.write(line(3_000_000, xidMessage(79)));
    const { records } = await tail.poll();
    expect(records).toMatchObject([
      { text: xidMessage(79), trusted: true, uptimeSeconds: 3, at: '2026-03-01T00:00:03.000Z' },
    ]);
    expect(await drain(tail)).toEqual({ texts: [], lost: [] });
  });

  it('starts with an empty ring, and survives one that is emptied', async () => {
    const ring = ringBuffer();
    const tail = await tailOf(ring).open(neverAborted());
    expect((await drain(tail)).texts).toEqual([]);
    ring.write(line(1, xidMessage(79)));
    expect(await drain(tail)).toEqual({ texts: [xidMessage(79)], lost: [] });
    ring.clear();
    expect(await drain(tail)).toEqual({ texts: [], lost: [] });
    ring.write(line(2, xidMessage(48)));
    expect((await drain(tail)).texts).toEqual([xidMessage(48)]);
  });

  it('gives every line once, however they come', async () => {
    const random = createRandom(11);
    const ring = ringBuffer(300_000);
    let written = 0;
    const expected: string[] = [];
    const write = (): void => {
      written += 1;
      const isGpu = random(3) === 0;
      const text = isGpu ? xidMessage(random(90)) : 'x'.repeat(random(200));
      if (isGpu) expected.push(text);
      ring.write(line(written, text));
    };
    for (let count = 0; count < 500; count += 1) write();
    const tail = await tailOf(ring).open(neverAborted());
    expected.length = 0;
    const got: string[] = [];
    for (let round = 0; round < 60; round += 1) {
      for (let count = random(300); count > 0; count -= 1) write();
      const { texts, lost } = await drain(tail);
      got.push(...texts);
      expect(lost).toEqual([]);
    }
    expect(expected.length).toBeGreaterThan(1000);
    expect(got).toEqual(expected);
  });

  it('says so when the ring went round, and gives nothing twice', async () => {
    const ring = ringBuffer(100_000);
    const tail = await tailOf(ring).open(neverAborted());
    ring.write(line(1, xidMessage(1)));
    await drain(tail);
    for (let count = 2; count < 5000; count += 1) ring.write(line(count, xidMessage(count)));
    const { texts, lost } = await drain(tail);
    expect(lost.length).toBe(1);
    expect(new Set(texts).size).toBe(texts.length);
    expect(texts.at(-1)).toBe(xidMessage(4999));
    ring.write(line(5001, xidMessage(5001)));
    expect(await drain(tail)).toEqual({ texts: [xidMessage(5001)], lost: [] });
  });

  it('does not repeat old lines when the newest of them is gone', async () => {
    // A message that grew after it was read is not found again; what is older than it was given already.
    const ring = ringBuffer();
    const tail = await tailOf(ring).open(neverAborted());
    ring.write(line(1, xidMessage(13)));
    ring.write(line(2, 'pci 0000'));
    expect((await drain(tail)).texts).toEqual([xidMessage(13)]);
    ring.clear();
    ring.write(line(1, xidMessage(13)));
    ring.write(line(2, 'pci 0000:3b:00.0: more of it'));
    ring.write(line(3, xidMessage(79)));
    expect((await drain(tail)).texts).toEqual([xidMessage(79)]);
  });

  it('planted fault: lines without times cannot be told apart, and that is noticed', async () => {
    const ring = ringBuffer();
    const tail = await tailOf(ring).open(neverAborted());
    ring.write(`<3>${xidMessage(13)}\n`);
    await drain(tail);
    ring.clear();
    ring.write(`<3>${xidMessage(13)}\n`);
    ring.write(`<3>${xidMessage(14)}\n`);
    expect((await drain(tail)).texts).not.toEqual([xidMessage(13), xidMessage(14)]);
  });

  it('goes on after an interruption where it was', async () => {
    const ring = ringBuffer();
    const source = tailOf(ring);
    const tail = await source.open(neverAborted());
    ring.write(line(1, xidMessage(13)));
    await drain(tail);
    ring.refusal = 'EPERM';
    await expect(tail.poll()).rejects.toMatchObject({ code: 'NO_PERMISSION' });
    await expect(source.open(neverAborted())).rejects.toThrow('CAP_SYSLOG');
    ring.write(line(2, xidMessage(48)));
    ring.refusal = undefined;
    expect((await drain(await source.open(neverAborted()))).texts).toEqual([xidMessage(48)]);
  });

  it('reads the newest 64 KiB while that is enough, and a flood in pieces', async () => {
    const ring = ringBuffer(16 << 20);
    for (let count = 0; count < 20_000; count += 1) ring.write(line(count, 'old'));
    const tail = await tailOf(ring).open(neverAborted());
    ring.write(line(20_001, xidMessage(79)));
    await drain(tail);
    expect(new Set(ring.callBytes)).toEqual(new Set([64 * 1024]));
    for (let count = 30_000; count < 100_000; count += 1) ring.write(line(count, xidMessage(45)));
    let largest = 0;
    let total = 0;
    for (;;) {
      const { records, restMilliseconds } = await tail.poll();
      largest = Math.max(largest, records.length);
      total += records.length;
      if (restMilliseconds > 0) break;
    }
    expect(total).toBe(70_000);
    expect(largest).toBeLessThan(5000);
  });

  it('rests longer where a reading takes long', async () => {
    let now = 0;
    const ring = ringBuffer();
    const slow: SyslogCall = (action, buffer) => {
      now += 20;
      return ring.call(action, buffer);
    };
    const source = createSyslogTail({
      loadSyslogCall: async () => slow,
      readText,
      clock: { now: () => now },
    });
    const tail = await source.open(neverAborted());
    expect((await tail.poll()).restMilliseconds).toBe(1000);
    const fast = await tailOf(ring, { now: () => 0 }).open(neverAborted());
    expect((await fast.poll()).restMilliseconds).toBe(250);
  });

  it.each(['', '\n', '<', '<6>', '<99999>[1.0] NVRM', '\0\0', 'NVRM without a prefix\n', '\xff\xfe'])(
    'survives the garbage %j',
    async (garbage) => {
      const ring = ringBuffer();
      ring.write(garbage);
      const tail = await tailOf(ring).open(neverAborted());
      ring.write(garbage);
      ring.write(`\n${line(5, xidMessage(79))}`);
      expect((await drain(tail)).texts).toEqual([xidMessage(79)]);
      ring.write(line(6, xidMessage(48)));
      expect((await drain(tail)).texts).toEqual([xidMessage(48)]);
    },
  );
});
