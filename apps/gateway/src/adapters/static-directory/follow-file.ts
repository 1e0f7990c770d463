import { watch } from 'node:fs';
import { dirname } from 'node:path';
import type { Clock, Logger } from '@k8s-gpu-mcp/core';
import { AgentListError } from './agent-list.ts';
import { type FileSignature, readWhole, signFile } from './read-file.ts';

/** Waits for an editor or kubelet to finish its several steps. */
const quietMilliseconds = 100;
const readDeadlineMilliseconds = 10_000;
const maximumTornReads = 5;

/** Reports that something happened in a folder; the result ends that. Throws where the system cannot watch. */
export type WatchFolder = (folder: string, onEvent: () => void, onBroken: () => void) => () => void;

const watchFolder: WatchFolder = (folder, onEvent, onBroken) => {
  const watcher = watch(folder, { persistent: false }, onEvent);
  watcher.on('error', onBroken);
  return () => watcher.close();
};

export interface FollowFileOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  /** How often the file is looked at where events do not come (network file systems, no inotify watches left). */
  readonly pollMilliseconds?: number;
  readonly watchFolder?: WatchFolder;
}

/**
 * Calls `onText` with the text of the file now and after every change, and `onProblem` with our words when it cannot be read. The folder is
 * watched, not the file: kubelet swaps a symbolic link beside it, and editors rename a new file over it. The result ends it.
 */
export function followFile(
  path: string,
  options: FollowFileOptions,
  listener: { onText(text: string): void; onProblem(problem: string): void },
): () => void {
  const { clock, logger, pollMilliseconds = 5_000 } = options;
  let read: FileSignature | null = null;
  let isClosed = false;
  let isReading = false;
  let isAskedAgain = false;
  let tornReads = 0;
  let cancelQuiet: (() => void) | undefined;
  let cancelPoll: (() => void) | undefined;
  let cancelDeadline: (() => void) | undefined;
  let endWatch: (() => void) | undefined;

  /** The new text; null when there is nothing new. */
  async function look(): Promise<string | null> {
    const signature = await signFile(path);
    if (signature !== null && signature === read) return null;
    const result = await readWhole(path);
    if (result === null) {
      tornReads += 1;
      if (tornReads >= maximumTornReads) throw new AgentListError('it changes all the time');
      isAskedAgain = true;
      return null;
    }
    tornReads = 0;
    read = result.signature;
    return result.text;
  }

  function lookNow(): void {
    if (isClosed) return;
    if (isReading) {
      isAskedAgain = true;
      return;
    }
    isReading = true;
    cancelDeadline = clock.after(readDeadlineMilliseconds, () => {
      listener.onProblem('the file system does not answer');
      // What comes after all is news again.
      read = null;
    });
    // Everything is put back before anybody is told: a listener may ask for the next look.
    const end = () => {
      cancelDeadline?.();
      isReading = false;
      if (isAskedAgain) lookSoon();
      isAskedAgain = false;
    };
    look().then(
      (text) => {
        end();
        if (text !== null && !isClosed) listener.onText(text);
      },
      (error: unknown) => {
        end();
        read = null;
        if (isClosed) return;
        if (!(error instanceof AgentListError)) logger.error('reading the list of agents failed', { error });
        listener.onProblem(error instanceof AgentListError ? error.message : 'it cannot be read');
      },
    );
  }

  function lookSoon(): void {
    if (isClosed) return;
    cancelQuiet ??= clock.after(quietMilliseconds, () => {
      cancelQuiet = undefined;
      lookNow();
    });
  }

  function poll(): void {
    cancelPoll = clock.after(pollMilliseconds, () => {
      beginWatch();
      lookNow();
      poll();
    });
  }

  function beginWatch(): void {
    if (endWatch || isClosed) return;
    try {
      endWatch = (options.watchFolder ?? watchFolder)(dirname(path), lookSoon, () => {
        endWatch?.();
        endWatch = undefined;
      });
    } catch (error) {
      logger.debug('the folder of the list of agents cannot be watched; it is polled', { error });
    }
  }

  // The watch comes first: a change between the first read and the watch would be seen late.
  beginWatch();
  lookNow();
  poll();
  return () => {
    isClosed = true;
    cancelQuiet?.();
    cancelPoll?.();
    cancelDeadline?.();
    endWatch?.();
  };
}
