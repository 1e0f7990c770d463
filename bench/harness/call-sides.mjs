// Ours and theirs as programs whose tools are called, over stdio and HTTP: by the same few lines, in turn, with nothing between the two.
import { setTimeout as pause } from 'node:timers/promises';
import { connectionTo, httpLoad, modernCallOf } from './http.mjs';
import {
  cpuMilliseconds,
  freePort,
  messages,
  millisecondsSince,
  openSession,
  spawnProgram,
} from './processes.mjs';

/** Started just now: `initialize` is answered, and no tool was asked for. */
async function startOverStdio(command) {
  const session = openSession(command);
  await session.exchange(messages.initialize);
  session.child.stdin.write(`${JSON.stringify(messages.initialized)}\n`);
  return {
    ...session,
    async callMany(tool, count, window) {
      const startedAt = process.hrtime.bigint();
      await session.callMany(count, window, tool, {});
      return millisecondsSince(startedAt);
    },
  };
}

/** Started just now: it listens, and nothing was asked. The revision of these requests has no `initialize`. */
async function startOverHttp(command, port) {
  const program = spawnProgram(command, { stdio: ['ignore', 'ignore', 'pipe'] });
  (await connectionTo(port, program)).close();
  return {
    ...program,
    async callMany(tool, count, window) {
      const request = modernCallOf(1, tool);
      return (await httpLoad({ port, request, connections: window, requests: count })).milliseconds;
    },
  };
}

async function start(commandOf, transport) {
  if (transport === 'stdio') return startOverStdio(commandOf());
  const port = await freePort();
  return startOverHttp(commandOf(port), port);
}

/**
 * Both are started side by side, since neither is measured meanwhile, and ended after the work. A command is that of stdio where it gets no
 * port. A side has `callMany(tool, count, window)`: milliseconds of `count` calls, `window` of them on their way at any time; the answer of
 * a tool that failed ends it with an error.
 */
export async function withSides(transport, [ours, theirs], work) {
  const started = await Promise.allSettled([start(ours, transport), start(theirs, transport)]);
  const sides = started.flatMap(({ value }) => (value === undefined ? [] : [value]));
  try {
    for (const { status, reason } of started) if (status === 'rejected') throw reason;
    return await work(sides);
  } finally {
    await Promise.all(sides.map((side) => side.kill()));
  }
}

/** Milliseconds of one of `count` calls, and CPU of it. */
async function measure(side, { tool, count = 1, window = 1, pauseMilliseconds = 0 }) {
  if (pauseMilliseconds > 0) await pause(pauseMilliseconds);
  const cpuBefore = cpuMilliseconds(side.pid);
  const milliseconds = await side.callMany(tool, count, window);
  return { milliseconds: milliseconds / count, cpu: (cpuMilliseconds(side.pid) - cpuBefore) / count };
}

/** A round: ours and theirs right after each other, in turn first; before each a pause where one is wanted. */
export async function measurePair(round, [ours, theirs], calls) {
  if (round % 2 === 0) return [await measure(ours, calls), await measure(theirs, calls)];
  return [await measure(theirs, calls), await measure(ours, calls)].reverse();
}
