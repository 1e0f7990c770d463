import { closeSync, openSync, readdirSync, readlinkSync, writeSync } from 'node:fs';
import type { KernelLogRecord, WatchNotice } from '@k8s-gpu-mcp/core';
import { createKernelLogFollower, createSyslogLog } from '@k8s-gpu-mcp/host-linux';
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

/** Opened anew for each record: the kernel limits the rate per open file. Without the line feed the record would stay open. */
function writeRecord(text: string): void {
  const descriptor = openSync('/dev/kmsg', 'w');
  try {
    writeSync(descriptor, `<11>${text}\n`);
  } finally {
    closeSync(descriptor);
  }
}

const kmsgDescriptors = (): number =>
  readdirSync('/proc/self/fd').filter((descriptor) => {
    try {
      return readlinkSync(`/proc/self/fd/${descriptor}`) === '/dev/kmsg';
    } catch {
      return false;
    }
  }).length;

const mark = `follow-${process.pid}-${Date.now()}`;
const forged = (source: string, xid: number): string =>
  `NVRM: Xid (PCI:0000:3b:00): ${xid}, pid=4242, name=${mark}-${source}`;

type Item = KernelLogRecord | WatchNotice;
async function* onlyMine(items: AsyncIterable<Item>, source: string): AsyncGenerator<KernelLogRecord> {
  for await (const item of items) if ('text' in item && item.text.includes(`${mark}-${source}`)) yield item;
}

const refusal = kmsgRefusal();
const syslog = await createSyslogLog().read({ signal: neverAborted() });
const sources = refusal === undefined ? (['kmsg', 'syslog', 'auto'] as const) : (['kmsg'] as const);

describe.skipIf(refusal !== undefined)(
  `following the kernel's own log (${refusal ?? 'writable here'})`,
  () => {
    it.each(sources)('%s: forged records as they are written, each once, none trusted', async (source) => {
      if (source === 'syslog' && !syslog.coverage.readable) return;
      writeRecord(forged(source, 13));
      const abort = new AbortController();
      const items = onlyMine(createKernelLogFollower(source).follow(abort.signal), source);
      // Written again and again until the follower has reached the log's end and sees one.
      const first = items.next();
      const isFollowing = first.then(() => true);
      const tick = (): Promise<false> => new Promise((resolve) => setTimeout(() => resolve(false), 100));
      do writeRecord(forged(source, 1));
      while (!(await Promise.race([isFollowing, tick()])));
      for (const xid of [79, 48, 31]) writeRecord(forged(source, xid));
      const seen: KernelLogRecord[] = [];
      for await (const record of items) {
        if (record.text === forged(source, 1)) continue;
        seen.push(record);
        if (seen.length === 3) break;
      }
      expect(seen.map(({ text }) => text)).toEqual([79, 48, 31].map((xid) => forged(source, xid)));
      // The kernel gives a user-space writer a facility other than its own, whatever it asks for.
      expect(seen.map(({ trusted }) => trusted)).toEqual([false, false, false]);
      for (const { at } of seen) expect(Math.abs(Date.parse(at ?? '') - Date.now())).toBeLessThan(60_000);
      expect((await first).value.text, 'planted fault: what was there before is not given').not.toBe(
        forged(source, 13),
      );
      abort.abort();
      expect(kmsgDescriptors()).toBe(0);
    });

    it('ends at once when the signal aborts, and leaves no descriptor open', async () => {
      const abort = new AbortController();
      const items = createKernelLogFollower('kmsg').follow(abort.signal)[Symbol.asyncIterator]();
      const next = items.next();
      expect(kmsgDescriptors()).toBe(1);
      abort.abort();
      expect(await next).toMatchObject({ done: true });
      // An opening that the abort overtook closes in its next turn.
      for (let turn = 0; turn < 100 && kmsgDescriptors() > 0; turn += 1) {
        await new Promise((resolve) => setImmediate(resolve));
      }
      expect(kmsgDescriptors()).toBe(0);
    });
  },
);
