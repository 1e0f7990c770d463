import type { ProgramName } from '../../../test/programs/program-form.ts';
import { freePort, type RunningProcess, startProcess } from '../../../test/programs/run-program.ts';

export { freePort };

export interface RunningProgram {
  readonly child: RunningProcess['child'];
  /** `http://127.0.0.1:PORT`. */
  readonly origin: string;
  stderr(): string;
  stop(signal?: NodeJS.Signals): Promise<number | null>;
}

/** The program as users run it, on a port of its own; resolves once it listens. */
export async function startProgram(
  name: Extract<ProgramName, 'agent' | 'gateway'>,
  args: readonly string[],
  port?: number,
): Promise<RunningProgram> {
  const taken = port ?? (await freePort());
  const { child, exited, stderr, logged } = startProcess(name, ['--port', String(taken), ...args]);
  await logged('http: listening');
  return {
    child,
    origin: `http://127.0.0.1:${taken}`,
    stderr,
    async stop(signal = 'SIGTERM') {
      child.kill(signal);
      return (await exited).code;
    },
  };
}
