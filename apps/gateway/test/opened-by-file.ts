import { afterAll } from 'vitest';
import { type RunningProgram, startProgram } from './run-program.ts';

/** What a test file opens for all of its tests. */
export interface OpenedByFile {
  /** Called when the file is done, the last one first. */
  readonly closing: (() => unknown)[];
  start(...program: Parameters<typeof startProgram>): Promise<RunningProgram>;
}

/** To be called once, at the top of the file. */
export function openedByFile(): OpenedByFile {
  const closing: (() => unknown)[] = [];
  afterAll(async () => {
    for (const close of closing.reverse()) await close();
  });
  return {
    closing,
    async start(...program) {
      const running = await startProgram(...program);
      closing.push(() => running.stop('SIGKILL'));
      return running;
    },
  };
}
