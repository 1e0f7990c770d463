// The programs of this project as tests run them: processes of their own, whose output is gathered.
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { type ProgramName, programCommand, programs } from './program-form.ts';

export { programs };

const ignored = /^(?:NODE_EXTRA_CA_CERTS|NO_COLOR|FORCE_COLOR|KUBECONFIG|K8S_GPU_MCP_.*)$/;

/** This process's environment without what would colour, slow or configure a program. */
export function cleanEnvironment(more: Readonly<Record<string, string>> = {}): Record<string, string> {
  const kept = Object.entries(process.env).flatMap(([name, value]) =>
    value === undefined || ignored.test(name) ? [] : [[name, value] as const],
  );
  return { ...Object.fromEntries(kept), ...more };
}

export interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunningProcess {
  readonly child: ChildProcessWithoutNullStreams;
  readonly exited: Promise<Outcome>;
  stdout(): string;
  stderr(): string;
  /** Resolves once it is so, looking again whenever the stream brought more. Rejects when the stream ends before. */
  until(condition: () => boolean, stream: 'stdout' | 'stderr'): Promise<void>;
  /** Resolves once stderr (the log) holds the text as often as asked. */
  logged(text: string, times?: number): Promise<void>;
}

export function startProcess(
  program: ProgramName,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): RunningProcess {
  const { command, args: all } = programCommand(program, args);
  const child = spawn(command, all, { env: cleanEnvironment(env) });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk) => {
    stdout += chunk;
  });
  child.stderr.on('data', (chunk) => {
    stderr += chunk;
  });
  child.stdin.on('error', () => {});
  // As many waits at once as a test likes.
  for (const stream of [child.stdout, child.stderr]) stream.setMaxListeners(0);
  const exited = once(child, 'close').then(([code]) => ({ code: code as number | null, stdout, stderr }));
  const until: RunningProcess['until'] = async (condition, stream) => {
    while (!condition()) {
      if (child[stream].readableEnded) {
        const { code } = await exited;
        throw new Error(`${program} ended with ${code ?? child.signalCode}: ${stdout}${stderr}`);
      }
      await Promise.race([once(child[stream], 'data'), once(child[stream], 'end')]);
    }
  };
  return {
    child,
    exited,
    stdout: () => stdout,
    stderr: () => stderr,
    until,
    logged: (text, times = 1) => until(() => stderr.split(text).length > times, 'stderr'),
  };
}

/** A port of the loopback address that nobody listens on. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('no port was free');
  return address.port;
}
