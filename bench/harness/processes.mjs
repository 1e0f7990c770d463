// Starts the programs that are measured and speaks MCP with them, raw, so that nothing of a client library is in the figures. Reads what the
// kernel says of their memory and CPU.
import { spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { measuredEnvironment } from './environment.mjs';

export const protocolVersion = '2025-06-18';
export const messages = {
  initialize: {
    jsonrpc: '2.0',
    id: 1,
    method: 'initialize',
    params: { protocolVersion, capabilities: {}, clientInfo: { name: 'bench', version: '0' } },
  },
  initialized: { jsonrpc: '2.0', method: 'notifications/initialized' },
  toolsList: (id) => ({ jsonrpc: '2.0', id, method: 'tools/list', params: {} }),
  toolCall: (id, name, args = {}) => ({
    jsonrpc: '2.0',
    id,
    method: 'tools/call',
    params: { name, arguments: args },
  }),
};

export const millisecondsSince = (startedAt) => Number(process.hrtime.bigint() - startedAt) / 1e6;

/** Every process that `spawnProgram` started and that has not ended. Nothing measured outlives the benchmark. */
const running = new Set();
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/**
 * `command`: the program and its arguments, variables before them as env(1) takes them. `environment` comes on top of the cleaned one.
 */
export function spawnProgram(command, { environment = {}, stdio = ['pipe', 'pipe', 'pipe'] } = {}) {
  const at = command.findIndex((word) => !/^[A-Z_]+=/.test(word));
  const variables = Object.fromEntries(command.slice(0, at).map((word) => word.split('=', 2)));
  const [program, ...args] = command.slice(at);
  const child = spawn(program, args, {
    stdio,
    env: { ...measuredEnvironment, ...variables, ...environment },
  });
  running.add(child);
  let said = '';
  child.stderr?.setEncoding('utf8').on('data', (text) => {
    said = (said + text).slice(-2_000);
  });
  const ended = new Promise((resolve) => {
    child.once('error', (error) => resolve(String(error)));
    child.once('close', (code, signal) => resolve(`ended with ${code ?? signal}`));
  }).then((how) => {
    running.delete(child);
    return `${[program, ...args].join(' ')}: ${how}\n${said}`;
  });
  return {
    child,
    pid: child.pid,
    /** Settles when the program has ended, with how and what it said last. */
    ended,
    async kill() {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
      await ended;
    },
  };
}

/**
 * A session over stdio with a program that was started just now. `exchange` sends a request and gives its answer; requests may be on their way
 * side by side. What the program asks of its client is refused, and what it tells is passed over.
 */
export function openSession(command, options) {
  const startedAt = process.hrtime.bigint();
  const program = spawnProgram(command, options);
  const { child } = program;
  const waiting = new Map();
  let nextId = 1;
  let rest = '';
  let ending;

  const send = (message) => child.stdin.write(`${JSON.stringify(message)}\n`);
  const take = (message) => {
    if (message.method !== undefined) {
      const error = { code: -32_601, message: 'not a capability of this client' };
      if (message.id !== undefined) send({ jsonrpc: '2.0', id: message.id, error });
      return;
    }
    waiting.get(message.id)?.resolve(message);
    waiting.delete(message.id);
  };
  child.stdin.on('error', () => {}); // that it is gone is told by `ended`
  child.stdout.setEncoding('utf8').on('data', (text) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) if (line !== '') take(JSON.parse(line));
  });
  void program.ended.then((how) => {
    ending = new Error(how);
    for (const { reject } of waiting.values()) reject(ending);
  });

  const exchange = (message) =>
    new Promise((resolve, reject) => {
      const { id } = message;
      if (ending !== undefined) {
        reject(ending);
        return;
      }
      waiting.set(id, {
        resolve: (answer) =>
          answer.error === undefined
            ? resolve(answer.result)
            : reject(new Error(JSON.stringify(answer.error))),
        reject,
      });
      nextId = Math.max(nextId, id) + 1;
      send(message);
    });
  const call = async (name, args) => {
    const result = await exchange(messages.toolCall(nextId, name, args));
    if (result.isError) throw new Error(`${name}: ${JSON.stringify(result.content)}`);
    return result;
  };
  /** `count` calls of one tool, `window` of them on their way at any time. */
  async function callMany(count, window, name, args) {
    let left = count;
    const one = async () => {
      while (left > 0) {
        left -= 1;
        await call(name, args);
      }
    };
    await Promise.all(Array.from({ length: Math.min(window, count) }, one));
  }
  return {
    ...program,
    exchange,
    call,
    callMany,
    /** Milliseconds from before the spawn until `initialize`, and then `tools/list`, were answered. */
    async start() {
      await exchange(messages.initialize);
      const initializeMilliseconds = millisecondsSince(startedAt);
      send(messages.initialized);
      const { tools = [] } = await exchange(messages.toolsList(nextId));
      return { initializeMilliseconds, toolsListMilliseconds: millisecondsSince(startedAt), tools };
    },
    /** As a client ends it: no more input. What does not end by itself soon is ended. */
    async close() {
      child.stdin.end();
      const timer = setTimeout(() => child.kill('SIGKILL'), 2_000);
      await program.ended;
      clearTimeout(timer);
    },
  };
}

/** The program and all it started, and they. */
export function processTree(pid) {
  const parents = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        // The name in brackets may hold anything, so the fields are counted from its end.
        const stat = readFileSync(`/proc/${name}/stat`, 'utf8');
        return [[Number(name), Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1])]];
      } catch {
        return []; // ended meanwhile
      }
    });
  const tree = [pid];
  for (const parent of tree) tree.push(...parents.filter(([, of]) => of === parent).map(([child]) => child));
  return tree;
}

const kilobytesIn = (file, key) => {
  const found = new RegExp(`^${key}:\\s+(\\d+) kB$`, 'm').exec(readFileSync(file, 'utf8'));
  if (found === null) throw new Error(`${file} has no ${key}`);
  return Number(found[1]);
};

/** Bytes of the processes together. Proportional: what several share is divided among them. */
export function memoryOf(...pids) {
  const sum = (file, key) =>
    pids.reduce((bytes, pid) => bytes + kilobytesIn(`/proc/${pid}/${file}`, key) * 1_024, 0);
  return {
    residentBytes: sum('status', 'VmRSS'),
    anonymousBytes: sum('status', 'RssAnon'),
    proportionalBytes: sum('smaps_rollup', 'Pss'),
  };
}

/** Milliseconds that the threads a process has now spent on a core, user and system. */
export function cpuMilliseconds(pid) {
  const threads = readdirSync(`/proc/${pid}/task`);
  const nanoseconds = threads.map((thread) =>
    Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')[0]),
  );
  return nanoseconds.reduce((sum, each) => sum + each, 0) / 1e6;
}

export async function freePort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}
