import { describe, expect, it } from 'vitest';
import { chunksOf, neverAborted, xidMessage } from '../../test/kernel-log-samples.ts';
import { createJournalLog, type JournalLogOptions } from './journal-log.ts';
import type { StartProcess } from './journal-process.ts';

const day = Date.parse('2026-03-01T00:00:00.000Z');
// Field names and value forms. Source: systemd Journal JSON Format.
const entry = (seconds: number, message: unknown, more = {}): string =>
  JSON.stringify({
    __REALTIME_TIMESTAMP: String((day + seconds * 1000) * 1000),
    _TRANSPORT: 'kernel',
    SYSLOG_FACILITY: '0',
    MESSAGE: message,
    ...more,
  });

interface Run {
  readonly file: string;
  readonly argv: readonly string[];
  killed: number;
}

/** Answers each start with the next output. */
function player(
  outputs: readonly { output: string | AsyncIterable<Uint8Array>; code?: number; error?: string }[],
) {
  const runs: Run[] = [];
  const startProcess: StartProcess = (file, argv) => {
    const { output, code = 0, error = '' } = outputs[runs.length] ?? { output: '' };
    const run: Run = { file, argv, killed: 0 };
    runs.push(run);
    return {
      stdout: typeof output === 'string' ? chunksOf(Buffer.from(output), 100, 7) : output,
      errorText: () => error,
      exited: Promise.resolve(code),
      kill: () => {
        run.killed += 1;
      },
    };
  };
  return { runs, startProcess };
}
const journal = (startProcess: StartProcess, more: JournalLogOptions = {}) =>
  createJournalLog({ journalctlPath: '/usr/bin/journalctl', startProcess, ...more });

// Newest first, as --reverse gives them.
const output = [
  entry(30, 'eth0: link becomes ready'),
  entry(20, [...Buffer.from(xidMessage(48))]),
  entry(10, xidMessage(79)),
  entry(1, 'Linux version 6.8.0'),
  '',
].join('\n');

describe('createJournalLog', () => {
  it('keeps GPU records, oldest first, byte-array messages among them', async () => {
    const { runs, startProcess } = player([{ output }]);
    const { records, coverage } = await journal(startProcess).read({ signal: neverAborted() });
    expect(records).toMatchObject([
      { text: xidMessage(79), at: '2026-03-01T00:00:10.000Z', trusted: true },
      { text: xidMessage(48), at: '2026-03-01T00:00:20.000Z', trusted: true },
    ]);
    expect(coverage).toEqual({
      source: 'journal',
      readable: true,
      from: '2026-03-01T00:00:01.000Z',
      to: '2026-03-01T00:00:30.000Z',
    });
    expect(runs).toMatchObject([
      { file: '/usr/bin/journalctl', argv: ['-k', '-o', 'json', '--no-pager', '--reverse'] },
    ]);
  });

  it('passes the time asked for as seconds, never as text', async () => {
    const { runs, startProcess } = player([{ output }]);
    await journal(startProcess).read({ since: '2026-03-01T00:00:05.900Z', signal: neverAborted() });
    expect(runs[0]?.argv.at(-1)).toBe(`--since=@${day / 1000 + 5}`);
    const odd = player([{ output }]);
    await journal(odd.startProcess).read({ since: '; rm -rf /', signal: neverAborted() });
    expect(odd.runs[0]?.argv).toEqual(['-k', '-o', 'json', '--no-pager', '--reverse']);
  });

  it('is readable when only the time asked for holds nothing', async () => {
    const { runs, startProcess } = player([{ output: '' }, { output: `${entry(30, 'newest')}\n` }]);
    const { records, coverage } = await journal(startProcess).read({
      since: '2026-03-01T00:10:00.000Z',
      signal: neverAborted(),
    });
    expect(records).toEqual([]);
    expect(coverage).toMatchObject({ source: 'journal', readable: true, to: '2026-03-01T00:00:30.000Z' });
    expect(runs.length).toBe(2);
  });

  it('is unreadable when it holds nothing at all', async () => {
    const { startProcess } = player([{ output: '' }]);
    const { coverage } = await journal(startProcess).read({ signal: neverAborted() });
    expect(coverage).toMatchObject({ source: null, readable: false });
    expect(coverage.skipped?.[0]?.reason).toContain('holds no kernel message');
  });

  it('repeats what journalctl said when it failed', async () => {
    const { startProcess } = player([{ output: '', code: 1, error: 'Permission denied' }]);
    const { coverage } = await journal(startProcess).read({ signal: neverAborted() });
    expect(coverage.skipped?.[0]?.reason).toBe('journalctl ended with 1: Permission denied');
  });

  it('costs the oldest entries when the output is too long', async () => {
    const { runs, startProcess } = player([{ output }]);
    const newestTwo = output.split('\n').slice(0, 2).join('\n').length;
    const { records } = await journal(startProcess, { maximumBytes: newestTwo + 1 }).read({
      signal: neverAborted(),
    });
    expect(records.map(({ text }) => text)).toEqual([xidMessage(48)]);
    expect(runs[0]?.killed).toBeGreaterThan(0);
  });

  it('marks what did not come from the kernel', async () => {
    const forged = `${entry(5, xidMessage(), { _TRANSPORT: 'syslog', SYSLOG_FACILITY: '1' })}\n`;
    const { records } = await journal(player([{ output: forged }]).startProcess).read({
      signal: neverAborted(),
    });
    expect(records[0]?.trusted).toBe(false);
  });

  it.each([
    'not json',
    '{',
    '{"MESSAGE":',
    '{"MESSAGE":{"a":1}}',
    '{"MESSAGE":[1,"NVRM"]}',
    'NVRM',
    `{"MESSAGE":"${'x'.repeat(200_000)}`,
  ])('survives the garbage %j', async (garbage) => {
    const { startProcess } = player([{ output: `${garbage}\n${output}` }]);
    const { records } = await journal(startProcess).read({ signal: neverAborted() });
    expect(records.map(({ text }) => text)).toEqual([xidMessage(79), xidMessage(48)]);
  });

  it('kills the program when the signal aborts', async () => {
    const abort = new AbortController();
    let release = (): void => undefined;
    async function* slow(): AsyncGenerator<Uint8Array> {
      yield Buffer.from(output);
      // As a pipe does: ends when the program is killed.
      await new Promise<void>((resolve) => {
        release = resolve;
      });
    }
    const { runs, startProcess } = player([{ output: slow() }]);
    const read = journal((file, argv) => {
      const process = startProcess(file, argv);
      return {
        ...process,
        kill: () => {
          process.kill();
          release();
        },
      };
    }).read({ signal: abort.signal });
    setImmediate(() => abort.abort(new DOMException('late', 'TimeoutError')));
    await expect(read).rejects.toMatchObject({ code: 'TIMEOUT' });
    expect(runs[0]?.killed).toBeGreaterThan(0);
  });
});
