// A process as PID 1 of a process namespace of its own, as in a container, and a program to stand in for ours that says what it gets.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { expect } from 'vitest';
import { bound } from '../bound-process.ts';

/**
 * Tells in one line each how it was started and what signals it gets; does what it is asked in lines. CommonJS; as a snapshot it is the
 * same, and says so.
 */
export const program = `
const { readFileSync } = require('node:fs');
const { spawnSync } = require('node:child_process');
const told = (line) => process.stdout.write(line + '\\n');
const stat = (pid) => {
  try { return readFileSync('/proc/' + pid + '/stat', 'utf8').replace(/^.*\\) /s, '').split(' '); } catch { return ['-']; }
};
for (const name of ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGUSR2', 'SIGWINCH', 'SIGCONT', 'SIGQUIT'])
  process.on(name, () => told('got ' + name));
const commands = {
  exit: (code) => process.exit(Number(code)),
  die: (signal) => process.kill(process.pid, signal),
  // The shell ends before what it started, which process 1 then inherits.
  orphan: () => told('orphan ' + spawnSync('/bin/sh', ['-c', 'sleep 0.05 >/dev/null & echo $!'], { encoding: 'utf8' }).stdout.trim()),
  state: (pid) => told('state ' + pid + ' ' + stat(pid)[0]),
};
require('node:readline').createInterface({ input: process.stdin }).on('line', (line) => {
  const [command, value] = line.split(' ');
  commands[command](value);
});
told('started ' + JSON.stringify({
  script: process.argv[1], pid: process.pid, args: process.argv.slice(2), flags: process.execArgv,
  isSnapshot: globalThis.isSnapshot === true, leadsItsGroup: Number(stat(process.pid)[2]) === process.pid,
}));
`;

/** The same, for `node --build-snapshot`. */
export const snapshotProgram = `
globalThis.isSnapshot = true;
require('node:v8').startupSnapshot.setDeserializeMainFunction(() => {
  const require = process.getBuiltinModule;
  ${program}
});
`;

export interface InNamespace {
  readonly code: Promise<number | null>;
  send(line: string): void;
  /** The first line that is so, said already or to come; only one to come when `isNew`. */
  line(pattern: RegExp, isNew?: boolean): Promise<string>;
  /** To PID 1 of the namespace. */
  signal(name: NodeJS.Signals): void;
  residentKilobytes(): number;
  /** Resolves once PID 1 waits for something, so that it has set up what it does about signals. */
  isAsleep(): Promise<void>;
  /** Runs a program in the namespace, as `kubectl exec` would. */
  beside(command: readonly string[]): { readonly status: number | null; readonly stdout: string };
}

const started = new Set<ChildProcess>();

export function endAll(): void {
  for (const child of started) child.kill('SIGKILL');
  started.clear();
}

export function startInNamespace(command: readonly string[]): InNamespace {
  const own = ['--pid', '--fork', '--kill-child', '--mount-proc', ...command];
  const child = spawn(...bound('unshare', own, 'KILL'), {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  started.add(child);
  const lines: string[] = [];
  const reader = createInterface({ input: child.stdout });
  reader.setMaxListeners(0).on('line', (line) => lines.push(line));
  const code = once(child, 'close').then(([status]) => status as number | null);
  /** Its process id as this namespace sees it. */
  const first = () =>
    Number(readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8').trim() || Number.NaN);
  const status = () => readFileSync(`/proc/${first()}/status`, 'utf8');
  return {
    code,
    send: (line) => child.stdin.write(`${line}\n`),
    line: async (pattern, isNew = false) => {
      for (let index = isNew ? lines.length : 0; ; index += 1) {
        while (index >= lines.length) await Promise.race([once(reader, 'line'), failAtEnd(code, pattern)]);
        const line = lines[index] ?? '';
        if (pattern.test(line)) return line;
      }
    },
    signal: (name) => process.kill(first(), name),
    residentKilobytes: () => Number(/^VmRSS:\s+(\d+) kB$/m.exec(status())?.[1]),
    isAsleep: async () => {
      const name = command[0]?.split('/').at(-1);
      await expect
        .poll(() => {
          try {
            return /^Name:\t(.*)$/m.exec(status())?.[1] === name && /^State:\tS/m.test(status());
          } catch {
            return false;
          }
        })
        .toBe(true);
    },
    beside: (args) => {
      const { status: ended, stdout } = spawnSync(
        'nsenter',
        ['--target', String(first()), '--pid', '--mount', '--', ...args],
        { encoding: 'utf8' },
      );
      return { status: ended, stdout };
    },
  };
}

async function failAtEnd(code: Promise<number | null>, pattern: RegExp): Promise<never> {
  throw new Error(`ended with ${await code} before it said ${pattern}`);
}
