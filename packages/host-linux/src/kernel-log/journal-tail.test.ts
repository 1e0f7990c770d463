import { describe, expect, it } from 'vitest';
import { neverAborted, xidMessage } from '../../test/kernel-log-samples.ts';
import type { StartProcess } from './journal-process.ts';
import { createJournalTail } from './journal-tail.ts';
import type { LogTail } from './log-tail.ts';

// Field names and value forms. Source: systemd Journal JSON Format.
const entry = (message: unknown): string =>
  `${JSON.stringify({ __REALTIME_TIMESTAMP: '1772323200000000', _TRANSPORT: 'kernel', MESSAGE: message })}\n`;

/** journalctl: without -f it prints one old entry and ends, with -f what `output` gives. */
function journalctl(
  output: AsyncIterable<Uint8Array>,
  ending: { code?: number | null; error?: string } = {},
) {
  const runs: (readonly string[])[] = [];
  const state = { runs, killed: 0, holdsEntries: true };
  const startProcess: StartProcess = (_, argv) => {
    runs.push(argv);
    const isFollowing = argv.includes('-f');
    const stored = state.holdsEntries ? entry('Linux version 6.8.0') : '';
    return {
      stdout: isFollowing ? output : chunks(stored),
      errorText: () => ending.error ?? '',
      exited: Promise.resolve(isFollowing ? (ending.code ?? 0) : 0),
      kill: () => {
        if (isFollowing) state.killed += 1;
      },
    };
  };
  return Object.assign(state, {
    source: createJournalTail({ journalctlPath: '/usr/bin/journalctl', startProcess }),
  });
}
async function* chunks(...texts: string[]): AsyncGenerator<Uint8Array> {
  for (const text of texts) yield Buffer.from(text);
}
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
async function take(tail: LogTail, count: number): Promise<string[]> {
  const texts: string[] = [];
  while (texts.length < count) {
    texts.push(...(await tail.poll()).records.map(({ text }) => text));
    await turn();
  }
  return texts;
}

describe('createJournalTail', () => {
  it('follows journalctl, byte-array messages and cut lines too', async () => {
    const text = entry(xidMessage(79)) + entry('eth0: up') + entry([...Buffer.from(xidMessage(48))]);
    const journal = journalctl(chunks(text.slice(0, 30), text.slice(30), 'garbage\n{\n{"MESSAGE":'));
    const tail = await journal.source.open(neverAborted());
    expect(await take(tail, 2)).toEqual([xidMessage(79), xidMessage(48)]);
    expect(journal.runs.at(-1)).toEqual(['-k', '-f', '-n', '0', '-o', 'json', '--no-pager']);
    tail.close();
    expect(journal.killed).toBe(1);
  });

  it('gives what came before the end, then the reason', async () => {
    const journal = journalctl(chunks(entry(xidMessage(79))), { code: 1, error: 'Permission denied' });
    const tail = await journal.source.open(neverAborted());
    expect(await take(tail, 1)).toEqual([xidMessage(79)]);
    for (let count = 0; count < 5; count += 1) await turn();
    await expect(tail.poll()).rejects.toThrow('journalctl ended with 1: Permission denied');
  });

  it('does not wait on a journal that holds nothing of this boot', async () => {
    const journal = journalctl(chunks());
    journal.holdsEntries = false;
    await expect(journal.source.open(neverAborted())).rejects.toThrow('holds no kernel message');
    expect(journal.runs.some((argv) => argv.includes('-f'))).toBe(false);
  });

  it('leaves a flood in the pipe until there is room', async () => {
    let produced = 0;
    const piece = entry(xidMessage(45)).repeat(100);
    const flood = async function* (): AsyncGenerator<Uint8Array> {
      for (; produced < 800_000; produced += 100) yield Buffer.from(piece);
    };
    const journal = journalctl(flood());
    const tail = await journal.source.open(neverAborted());
    for (let count = 0; count < 500; count += 1) await turn();
    expect(produced, 'nobody has polled yet').toBeLessThan(5000);
    let taken = 0;
    while (taken < 20_000) {
      const { records } = await tail.poll();
      taken += records.length;
      expect(records.length).toBeLessThanOrEqual(2048);
      expect(produced - taken).toBeLessThan(5000);
      await turn();
    }
    tail.close();
  });

  it('planted fault: an unfiltered journal would be noticed', async () => {
    const journal = journalctl(chunks(entry('eth0: up'), entry(xidMessage(79))));
    const tail = await journal.source.open(neverAborted());
    expect(await take(tail, 1)).not.toContain('eth0: up');
  });
});
