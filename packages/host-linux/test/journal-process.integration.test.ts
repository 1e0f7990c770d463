import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createJournalLog } from '@k8s-gpu-mcp/host-linux';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { neverAborted, xidMessage } from './kernel-log-samples.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'journal-process-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** A program in journalctl's place. */
function program(name: string, script: string): string {
  const path = join(folder, name);
  writeFileSync(path, `#!/bin/sh\n${script}\n`);
  chmodSync(path, 0o755);
  return path;
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

const entry = JSON.stringify({
  __REALTIME_TIMESTAMP: '1772323200000000',
  _TRANSPORT: 'kernel',
  MESSAGE: xidMessage(79),
});

describe('createJournalLog with a real process', () => {
  it('reads its output; arguments and environment are the fixed ones', async () => {
    const seen = join(folder, 'seen');
    process.env['KERNEL_LOG_TEST_SECRET'] = 'must not be passed on';
    const path = program('good', `{ echo "$@"; env; } > '${seen}'\ncat <<'END'\n${entry}\nEND`);
    const { records, coverage } = await createJournalLog({ journalctlPath: path }).read({
      signal: neverAborted(),
    });
    expect(records).toMatchObject([{ text: xidMessage(79), at: '2026-03-01T00:00:00.000Z', trusted: true }]);
    expect(coverage.readable).toBe(true);
    const [argv, ...environment] = readFileSync(seen, 'utf8').split('\n');
    expect(argv).toBe('-k -o json --no-pager --reverse');
    expect(environment.join('\n')).not.toContain('KERNEL_LOG_TEST_SECRET');
    delete process.env['KERNEL_LOG_TEST_SECRET'];
  });

  it('repeats what it said on its error output', async () => {
    const path = program('bad', 'echo "No permission to open the journal" >&2; exit 3');
    const { coverage } = await createJournalLog({ journalctlPath: path }).read({ signal: neverAborted() });
    expect(coverage.skipped?.[0]?.reason).toBe('journalctl ended with 3: No permission to open the journal');
  });

  it('survives megabytes on the error output', async () => {
    const path = program('noisy', `head -c 3000000 /dev/zero | tr '\\0' x >&2; cat <<'END'\n${entry}\nEND`);
    const { records } = await createJournalLog({ journalctlPath: path }).read({ signal: neverAborted() });
    expect(records.length).toBe(1);
  });

  it('kills a program that never ends when the signal aborts', async () => {
    const pidFile = join(folder, 'pid');
    const path = program('endless', `echo $$ > '${pidFile}'\necho '${entry}'\nexec sleep 1000`);
    const abort = new AbortController();
    const read = createJournalLog({ journalctlPath: path }).read({ signal: abort.signal });
    const failed = expect(read).rejects.toMatchObject({ code: 'CANCELLED' });
    const pid = await new Promise<number>((resolve) => {
      const look = (): void => {
        try {
          const text = readFileSync(pidFile, 'utf8');
          if (text.endsWith('\n')) {
            resolve(Number(text));
            return;
          }
        } catch {
          // Not there yet.
        }
        setImmediate(look);
      };
      look();
    });
    abort.abort();
    await failed;
    // Signal 0 asks whether the process exists; the kernel takes a moment to end it.
    await expect.poll(() => isAlive(pid), { timeout: 10_000 }).toBe(false);
  });

  it('bounds an output without end', async () => {
    const path = program('flood', `while :; do echo '${entry}'; done`);
    const { records, coverage } = await createJournalLog({
      journalctlPath: path,
      maximumBytes: 300_000,
      maximumRecords: 100,
    }).read({ signal: neverAborted() });
    expect(records.length).toBe(100);
    expect(coverage.lostRecordCount).toBeGreaterThan(1000);
  });
});
