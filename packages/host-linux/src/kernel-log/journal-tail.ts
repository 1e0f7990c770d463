import { GpuError, type KernelLogRecord } from '@k8s-gpu-mcp/core';
import { messageOf } from '../os/errno.ts';
import { createLineScanner } from '../scan/line-scanner.ts';
import {
  createJournalLog,
  findJournalctl,
  type JournalLogOptions,
  recordOfEntry,
  startFailure,
} from './journal-log.ts';
import { type OutputProcess, startProcess } from './journal-process.ts';
import { type LogTail, pollMilliseconds, type TailSource } from './log-tail.ts';
import { coreParsers } from './parsers.ts';

/** Beyond this the program's output is left in its pipe, which makes it wait. */
const maximumWaitingRecords = 4096;
const recordsPerPoll = 2048;

/** New kernel messages as `journalctl --follow` prints them. */
export function createJournalTail(options: JournalLogOptions = {}): TailSource {
  const { parsers = coreParsers, startProcess: start = startProcess } = options;
  return {
    name: 'journal',
    async open(signal) {
      // Following an empty journal would be waiting for ever in silence: one that holds no message of this boot gets none.
      const since = new Date().toISOString();
      const { coverage } = await createJournalLog(options).read({ since, signal });
      const journalctl = options.journalctlPath ?? findJournalctl();
      if (!coverage.readable || journalctl === undefined) {
        throw new GpuError('UNAVAILABLE', coverage.skipped?.[0]?.reason ?? 'there is no journalctl');
      }
      try {
        return tailOf(start(journalctl, ['-k', '-f', '-n', '0', '-o', 'json', '--no-pager']), (line) =>
          recordOfEntry(line, parsers),
        );
      } catch (error) {
        throw new GpuError('UNAVAILABLE', startFailure(journalctl, error));
      }
    },
  };

  function tailOf(journal: OutputProcess, parse: (line: string) => KernelLogRecord | undefined): LogTail {
    let waiting: KernelLogRecord[] = [];
    let makeRoom = (): void => undefined;
    let ended: string | undefined;
    const emit = (line: string): void => {
      const record = parse(line);
      if (record) waiting.push(record);
    };
    const pump = async (): Promise<string> => {
      const scanner = createLineScanner({ parsers, everyLine: true });
      for await (const chunk of journal.stdout) {
        scanner.push(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length), emit);
        if (waiting.length >= maximumWaitingRecords) {
          await new Promise<void>((resolve) => {
            makeRoom = resolve;
          });
        }
      }
      scanner.end(emit);
      const exitCode = await journal.exited;
      const told = journal.errorText();
      return `journalctl ended with ${exitCode ?? 'a signal'}${told === '' ? '' : `: ${told}`}`;
    };
    pump().then(
      (reason) => {
        ended = reason;
      },
      (error: unknown) => {
        ended = `journalctl: ${messageOf(error)}`;
      },
    );

    return {
      close() {
        journal.kill();
        makeRoom();
      },
      async poll() {
        const records = waiting.slice(0, recordsPerPoll);
        waiting = waiting.slice(recordsPerPoll);
        if (records.length === 0 && ended !== undefined) throw new GpuError('UNAVAILABLE', ended);
        if (waiting.length === 0) makeRoom();
        return { records, restMilliseconds: waiting.length === 0 ? pollMilliseconds : 0 };
      },
    };
  }
}
