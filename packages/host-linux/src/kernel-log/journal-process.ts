import { spawn } from 'node:child_process';
import { once } from 'node:events';

/** A running program whose output is read as it comes. */
export interface OutputProcess {
  readonly stdout: AsyncIterable<Uint8Array>;
  /** The first few hundred characters of its error output, once it has ended. */
  errorText(): string;
  /** Resolves with the exit code (null after a signal); rejects when the program could not be started. */
  readonly exited: Promise<number | null>;
  /** Kills it and ends the waiting for its output and its exit. */
  kill(): void;
}

export type StartProcess = (file: string, argv: readonly string[]) => OutputProcess;

const maximumErrorText = 500;

/** No shell, no standard input, and an environment of its own: nothing of the caller's reaches the program. */
export const startProcess: StartProcess = (file, argv) => {
  const child = spawn(file, argv, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { LC_ALL: 'C', SYSTEMD_COLORS: '0', SYSTEMD_PAGER: '' },
  });
  let errorText = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    if (errorText.length < maximumErrorText) errorText += text.slice(0, maximumErrorText);
  });
  let giveUp = (): void => undefined;
  const givenUp = new Promise<null>((resolve) => {
    giveUp = () => resolve(null);
  });
  const closed = once(child, 'close').then(([code]: unknown[]) => (typeof code === 'number' ? code : null));
  const exited = Promise.race([closed, givenUp]);
  exited.catch(() => undefined);
  return {
    stdout: child.stdout,
    errorText: () => errorText.trim(),
    exited,
    kill: () => {
      child.kill('SIGKILL');
      // A process stuck in the kernel dies later, or something else holds its pipe: nobody waits for either.
      child.stdout.destroy();
      child.stderr.destroy();
      giveUp();
    },
  };
};
