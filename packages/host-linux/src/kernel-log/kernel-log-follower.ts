import {
  type Clock,
  isGpuError,
  type KernelLogFollower,
  type KernelLogRecord,
  systemClock,
  type WatchNotice,
} from '@k8s-gpu-mcp/core';
import { orAborted, yieldToEventLoop } from '../os/abort.ts';
import { messageOf } from '../os/errno.ts';
import type { AutoKernelLogOptions, KernelLogSelection } from './auto-kernel-log.ts';
import { createFileTail } from './file-tail.ts';
import { createJournalTail } from './journal-tail.ts';
import { createKmsgTail } from './kmsg-tail.ts';
import type { LogTail, TailBatch, TailSource } from './log-tail.ts';
import { coreParsers } from './parsers.ts';
import { createSyslogTail } from './syslog-tail.ts';

export interface KernelLogFollowerOptions extends AutoKernelLogOptions {
  readonly clock?: Clock;
}

const firstRetryMilliseconds = 1000;
const maximumRetryMilliseconds = 30_000;
const what = 'following the kernel log';

/**
 * Follows the kernel log that `selection` names, from the first `next()` on. `auto` takes, whenever it has none, the first of kmsg, syslog
 * and journal that can be read; a source named outright is never replaced by another.
 *
 * Nothing is queued here: the log is read as fast as the records are taken, and a consumer that is too slow is told what the log lost
 * meanwhile (a `blind` notice and a `restored` one).
 */
export function createKernelLogFollower(
  selection: KernelLogSelection,
  options: KernelLogFollowerOptions = {},
): KernelLogFollower {
  const { clock = systemClock } = options;
  return { follow: (signal) => follow(() => tailSources(selection, options), clock, signal) };
}

function tailSources(
  selection: KernelLogSelection,
  options: KernelLogFollowerOptions,
): readonly TailSource[] {
  const { parsers = coreParsers, clock = systemClock } = options;
  const common = { parsers, clock };
  const kmsg = () => createKmsgTail({ ...common, ...options.kmsg });
  const syslog = () => createSyslogTail({ ...common, ...options.syslog });
  const journal = () => createJournalTail({ parsers, ...options.journal });
  switch (selection) {
    case 'auto':
      return [kmsg(), syslog(), journal()];
    case 'kmsg':
      return [kmsg()];
    case 'syslog':
      return [syslog()];
    case 'journal':
      return [journal()];
    case 'none':
      return [];
    default:
      return [createFileTail(selection.slice('file:'.length), { ...common, ...options.file })];
  }
}

interface Trouble {
  readonly reason: WatchNotice['gap']['reason'];
  readonly detail: string;
}

async function* follow(
  sourcesOf: () => readonly TailSource[],
  clock: Clock,
  signal: AbortSignal,
): AsyncGenerator<KernelLogRecord | WatchNotice, void, void> {
  const notice = (kind: WatchNotice['notice'], { reason, detail }: Trouble): WatchNotice => ({
    notice: kind,
    gap: { field: 'kernelLog', reason, detail },
    at: new Date(clock.now()).toISOString(),
  });
  const restored = (source: string): WatchNotice =>
    notice('restored', { reason: 'not-observable', detail: `${source} is being followed` });

  const sources = sourcesOf();
  let isBlind = false;
  let retryMilliseconds = firstRetryMilliseconds;
  while (!signal.aborted) {
    const opened = await openFirst(sources, signal);
    if (signal.aborted) {
      opened.tail?.close();
      return;
    }
    let trouble = opened.trouble;
    if (opened.tail) {
      const { tail, source } = opened;
      const close = (): void => tail.close();
      // A consumer that aborts and never asks again would leave it open.
      signal.addEventListener('abort', close, { once: true });
      try {
        if (isBlind) yield restored(source);
        isBlind = false;
        for (;;) {
          const batch = await pollOnce(tail, signal);
          if (signal.aborted) return;
          if ('trouble' in batch) {
            trouble = { ...batch.trouble, detail: `${source}: ${batch.trouble.detail}` };
            break;
          }
          retryMilliseconds = firstRetryMilliseconds;
          if (batch.lost !== undefined) {
            yield notice('blind', { reason: 'not-observable', detail: `${source}: ${batch.lost}` });
            yield restored(source);
          }
          for (const record of batch.records) {
            if (signal.aborted) return;
            yield record;
          }
          if (batch.restMilliseconds === 0) await yieldToEventLoop();
          else await pause(batch.restMilliseconds, clock, signal);
          if (signal.aborted) return;
        }
      } finally {
        signal.removeEventListener('abort', close);
        close();
      }
    }
    if (!isBlind && trouble) yield notice('blind', trouble);
    isBlind = true;
    // A source that opens and fails at once is not tried at full speed either.
    await pause(sources.length === 0 ? undefined : retryMilliseconds, clock, signal);
    retryMilliseconds = Math.min(maximumRetryMilliseconds, retryMilliseconds * 2);
  }
}

type Opened =
  | { readonly tail: LogTail; readonly source: string; readonly trouble?: undefined }
  | { readonly tail?: undefined; readonly trouble: Trouble };

async function openFirst(sources: readonly TailSource[], signal: AbortSignal): Promise<Opened> {
  const troubles: Trouble[] = [];
  for (const source of sources) {
    const opening = source.open(signal);
    try {
      return { tail: await orAborted(opening, signal, what), source: source.name };
    } catch (error) {
      if (signal.aborted) {
        // It may still open, with nobody there to close it.
        opening.then(
          (tail) => tail.close(),
          () => undefined,
        );
        break;
      }
      const { reason, detail } = troubleOf(error);
      troubles.push({ reason, detail: `${source.name}: ${detail}` });
    }
  }
  const detail = troubles.map((trouble) => trouble.detail).join('; ');
  return {
    trouble:
      sources.length === 0
        ? { reason: 'not-observable', detail: 'following the kernel log is switched off (--kernel-log none)' }
        : { reason: troubles.at(0)?.reason ?? 'not-observable', detail },
  };
}

async function pollOnce(
  tail: LogTail,
  signal: AbortSignal,
): Promise<TailBatch | { readonly trouble: Trouble }> {
  try {
    return await orAborted(tail.poll(), signal, what);
  } catch (error) {
    return { trouble: troubleOf(error) };
  }
}

function troubleOf(error: unknown): Trouble {
  const isRefused = isGpuError(error) && error.code === 'NO_PERMISSION';
  return { reason: isRefused ? 'no-permission' : 'not-observable', detail: messageOf(error) };
}

/** Ends early when `signal` aborts; without a time only then. */
function pause(milliseconds: number | undefined, clock: Clock, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    let cancel = (): void => undefined;
    const done = (): void => {
      cancel();
      signal.removeEventListener('abort', done);
      resolve();
    };
    if (signal.aborted) return done();
    signal.addEventListener('abort', done, { once: true });
    if (milliseconds !== undefined) cancel = clock.after(milliseconds, done);
  });
}
