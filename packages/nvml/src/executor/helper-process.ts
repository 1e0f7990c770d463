import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { createProgressFile, type ProgressFile } from '../protocol/progress-file.ts';
import { type Operation, type Reply, replySplitter } from '../protocol/protocol.ts';
import { ReplyTracker } from './reply-tracker.ts';

export interface HelperExit {
  readonly code: number | null;
  readonly signal: string | null;
  /** It could not be started. */
  readonly error?: Error;
}

export interface HelperEvents {
  onReply(reply: Reply): void;
  /** At most once, and never for a process that SIGKILL does not end (uninterruptible sleep in the driver). */
  onExit(exit: HelperExit): void;
}

/** One helper process, as far as the executor needs it. */
export interface Helper {
  readonly pid: number | undefined;
  send(id: number, operation: Operation): void;
  /** Closes the request pipe: the helper shuts NVML down and exits once it is done with what it does. */
  retire(): void;
  kill(): void;
  /** The kernel function in which it sleeps, when the kernel tells. */
  waitChannel(): string | null;
}

export type StartHelper = (events: HelperEvents) => Helper;

/** Beside this file in dist; from the sources (tests) the built one, because Node 20 cannot run TypeScript. */
export function defaultHelperPath(): string {
  const beside = fileURLToPath(new URL('../helper/helper.js', import.meta.url));
  return existsSync(beside) ? beside : fileURLToPath(new URL('../../dist/helper/helper.js', import.meta.url));
}

/** Small heaps, and no threads of V8's own: the helper moves a few kilobytes. */
const nodeOptions = ['--max-old-space-size=32', '--max-semi-space-size=1', '--single-threaded'];
/** A thread that waits for a debugger, which newer versions of node can do without. */
const withoutDebugger = '--disable-sigusr1';
if (process.allowedNodeEnvironmentFlags.has(withoutDebugger)) nodeOptions.push(withoutDebugger);

/** Node settings of the parent that would slow the helper down, change what it loads, or open a debugger port twice. */
const withheldVariables = ['NODE_OPTIONS', 'NODE_EXTRA_CA_CERTS', 'NODE_V8_COVERAGE', 'NODE_CHANNEL_FD'];

export function helperStarter(
  helperPath: string,
  environment: Readonly<Record<string, string>> = {},
  createProgress: () => ProgressFile | undefined = createProgressFile,
): StartHelper {
  return (events) => {
    const env = { ...process.env, ...environment };
    for (const name of withheldVariables) delete env[name];
    const progress = createProgress();
    const child = spawn(process.execPath, [...nodeOptions, helperPath, String(process.pid)], {
      env,
      stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe', progress?.fd ?? 'ignore'],
    });
    const tracker = new ReplyTracker(progress, events.onReply);
    let isOver = false;
    const finish = (exit: HelperExit) => {
      if (isOver) return;
      isOver = true;
      tracker.end();
      events.onExit(exit);
    };
    child.on('error', (error) => finish({ code: null, signal: null, error }));
    child.on('exit', (code, signal) => finish({ code, signal }));
    child.unref();
    // Not there where this process has no file descriptor left; the error event says so.
    const stdio: readonly unknown[] | undefined = child.stdio;
    const requests = stdio?.[3] as Writable | null | undefined;
    const replies = stdio?.[4] as Readable | null | undefined;
    // A broken pipe is followed by the exit event, which is where it is dealt with.
    for (const pipe of [requests, replies]) {
      pipe?.on('error', () => {});
      if (pipe && 'unref' in pipe && typeof pipe.unref === 'function') pipe.unref();
    }
    const split = replySplitter((reply) => tracker.receive(reply));
    replies?.on('data', (chunk: Buffer) => {
      try {
        split(chunk);
      } catch {
        child.kill('SIGKILL');
      }
    });
    return {
      pid: child.pid,
      send: (id, operation) => {
        const isFirst = tracker.sent(id);
        // Waking it takes longer than what else is sent now: that goes together, behind the first.
        if (!isFirst && requests?.writableCorked === 0) {
          requests.cork();
          process.nextTick(() => requests.uncork());
        }
        requests?.write(`${JSON.stringify({ id, operation })}\n`);
      },
      retire: () => {
        requests?.destroy();
      },
      kill: () => {
        child.kill('SIGKILL');
      },
      waitChannel: () => readWaitChannel(child.pid),
    };
  };
}

function readWaitChannel(pid: number | undefined): string | null {
  try {
    const name = readFileSync(`/proc/${pid}/wchan`, 'utf8').trim();
    return name === '' || name === '0' ? null : name;
  } catch {
    return null;
  }
}
