// A benchmark in a process of its own, with a clean environment and a limit of time: one that hangs, throws or leaves something running
// hurts no other.
import { fork } from 'node:child_process';
import { basename, join } from 'node:path';
import { benchmarkEnvironment } from './environment.mjs';

/** Ends the benchmark and all that it started. */
function killGroup(child) {
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch (error) {
    if (error.code !== 'ESRCH') throw error;
  }
}

/** @returns {Promise<import('./report.mjs').Result & { seconds: number }>} with `error` where it gave no figures */
export function runIsolated(file, limitMilliseconds) {
  const startedAt = performance.now();
  const child = fork(
    join(import.meta.dirname, 'run-one.mjs'),
    [file],
    // Its own group of processes, so that all of it can be ended. What it prints beside its figures is not ours.
    { env: benchmarkEnvironment, detached: true, execArgv: [], stdio: ['ignore', 2, 2, 'ipc'] },
  );
  const stop = () => {
    killGroup(child);
    process.exit(130);
  };
  process.once('SIGINT', stop).once('SIGTERM', stop);
  return new Promise((resolve) => {
    let told;
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      killGroup(child);
    }, limitMilliseconds);
    child.on('message', (message) => {
      told = message;
    });
    child.once('exit', (code, signal) => {
      clearTimeout(timer);
      process.off('SIGINT', stop).off('SIGTERM', stop);
      killGroup(child);
      const how = isLate
        ? `not done after ${limitMilliseconds / 60_000} minutes`
        : `ended with ${code ?? signal}`;
      const seconds = Math.round((performance.now() - startedAt) / 1_000);
      const failure = { figures: [], error: `${how} and gave no figures` };
      resolve({ benchmark: basename(file, '.mjs'), seconds, ...(told ?? failure) });
    });
  });
}
