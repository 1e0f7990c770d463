import { spawn } from 'node:child_process';
import { GpuError, type ResetOutcome } from '@k8s-gpu-mcp/core';

const maximumOutputBytes = 16 * 1024;

export interface ResetCommand {
  /** Absolute, without links, checked. */
  readonly program: string;
  /** Where the vendor's libraries are, when not where the loader looks. */
  readonly libraryPath: string | undefined;
  /** PCI addresses or UUIDs. */
  readonly gpus: readonly string[];
  readonly deadlineMilliseconds: number;
}

/**
 * Runs the vendor's tool: fixed arguments, no shell, next to no environment, no terminal. In a session of its own, so that an interrupt
 * at this server's terminal does not cut a reset in half.
 * @throws GpuError UNAVAILABLE when it could not be started, TIMEOUT when it did not end in time.
 */
export function runReset(command: ResetCommand): Promise<ResetOutcome> {
  const { program, libraryPath, gpus, deadlineMilliseconds } = command;
  const child = spawn(program, ['--gpu-reset', '-i', gpus.join(',')], {
    shell: false,
    cwd: '/',
    detached: true,
    windowsHide: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
      LC_ALL: 'C',
      ...(libraryPath === undefined ? {} : { LD_LIBRARY_PATH: libraryPath }),
    },
  });
  const chunks: Buffer[] = [];
  let room = maximumOutputBytes;
  const keep = (chunk: Buffer) => {
    if (room > 0) chunks.push(chunk.subarray(0, room));
    room -= chunk.length;
  };
  child.stdout.on('data', keep);
  child.stderr.on('data', keep);
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      child.kill('SIGKILL');
      // One that sleeps in the driver does not end even so: it is not waited for.
      child.stdout.destroy();
      child.stderr.destroy();
      child.unref();
      const seconds = deadlineMilliseconds / 1_000;
      reject(
        new GpuError('TIMEOUT', `the reset was not done after ${seconds} s; the tool was sent SIGKILL`, {
          hint: 'The state of the GPU is uncertain: look at the kernel log (analyze_xid_errors) and expect to reboot the node.',
        }),
      );
    }, deadlineMilliseconds);
    child.once('error', (error) => {
      clearTimeout(timer);
      const { code } = error as NodeJS.ErrnoException;
      reject(
        new GpuError('UNAVAILABLE', `${program} could not be started: ${code ?? 'unknown'}`, {
          cause: error,
        }),
      );
    });
    child.once('close', (exitCode) => {
      clearTimeout(timer);
      resolve({ succeeded: exitCode === 0, exitCode, output: Buffer.concat(chunks).toString('utf8') });
    });
  });
}
