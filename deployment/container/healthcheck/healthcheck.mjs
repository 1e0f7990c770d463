// Tells whether the container is healthy: exit code 0 or 1 and one line. How the program serves is what its command line and environment
// say. With a port its /healthz is asked; without one (MCP over stdio, a sleeping container) whoever runs this is proof enough of life.
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { basename } from 'node:path';

/** Ports that programs listen on when nothing else is said. */
const usualPorts = { agent: 0, gateway: 8_080, bridge: 0, 'kubectl-mcp': 0 };
const anyAddress = { '0.0.0.0': '127.0.0.1', '::': '::1' };
const timeLimitMilliseconds = 5_000;

/** `/agent` -> agent, by which the launcher is called; `/app/agent/dist/main.js` -> agent, which it becomes where it is not process 1. */
const calledProgram = (word) => /\/([^/]+)\/dist\/main\.js$/.exec(word)?.[1] ?? basename(word);

/**
 * Command lines of this container, the oldest first. Process 1 need not be one of them: with `--pid host` it is the host's, with a shared
 * process namespace the pod's. What shares our mount namespace is of this container; the one of another's process cannot even be read.
 */
function* commandLines() {
  const own = readlinkSync('/proc/self/ns/mnt');
  const processes = [];
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      if (readlinkSync(`/proc/${pid}/ns/mnt`) !== own) continue;
      // After the name, which may hold anything: field 22, the time of its start (proc_pid_stat(5)).
      const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
        .replace(/^.*\) /s, '')
        .split(' ');
      processes.push({
        pid: Number(pid),
        started: Number(fields[19]),
        words: readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').slice(0, -1),
      });
    } catch {
      // Of another container, or ended since.
    }
  }
  for (const { words } of processes.sort((a, b) => a.started - b.started || a.pid - b.pid)) yield words;
}

/** @returns where to ask; undefined where nothing listens. @throws where none of our programs runs */
export function targetOf(commandLines, environment) {
  for (const words of commandLines) {
    if (basename(words[0] ?? '') === 'pause') return undefined;
    // An init that was put before (docker run --init) has the program among its arguments.
    const start = words.findIndex((word) => Object.hasOwn(usualPorts, calledProgram(word)));
    if (start !== -1) return targetOfProgram(words, start, environment);
  }
  throw new Error('none of the programs runs in this container');
}

function targetOfProgram(commandLine, start, environment) {
  const words = commandLine.slice(start + 1);
  const given = (flag) => {
    const index = words.findLastIndex((word) => word === `--${flag}` || word.startsWith(`--${flag}=`));
    const word = words[index];
    if (word !== undefined) return word.includes('=') ? word.slice(word.indexOf('=') + 1) : words[index + 1];
    return environment[`K8S_GPU_MCP_${flag.toUpperCase().replaceAll('-', '_')}`] || undefined;
  };
  const port = Number(given('port') ?? usualPorts[calledProgram(commandLine[start])]);
  if (port === 0) return undefined;
  const address = given('addr') ?? '127.0.0.1';
  return { host: anyAddress[address] ?? address, port, isSecure: given('tls-cert') !== undefined };
}

/** The certificate is not checked: the question is whether this very container answers, and its name for itself is not known here. */
function ask({ host, port, isSecure }) {
  const send = isSecure ? httpsRequest : httpRequest;
  return new Promise((resolve, reject) => {
    const request = send(
      {
        host,
        port,
        path: '/healthz',
        rejectUnauthorized: false,
        timeout: timeLimitMilliseconds,
        agent: false,
      },
      (response) => resolve(response.resume().statusCode),
    );
    request.on('timeout', () => request.destroy(new Error(`no answer within ${timeLimitMilliseconds} ms`)));
    request.on('error', reject);
    request.end();
  });
}

async function main() {
  const target = targetOf(commandLines(), process.env);
  if (target === undefined) return 'healthy: nothing listens here, and the program runs';
  const url = `${target.isSecure ? 'https' : 'http'}://${target.host}:${target.port}/healthz`;
  const status = await ask(target).catch((error) => Promise.reject(new Error(`${url}: ${error.message}`)));
  if (status !== 200) throw new Error(`${url}: HTTP status ${status}`);
  return `healthy: ${url}`;
}

if (process.argv[1] === import.meta.filename) {
  main().then(
    (line) => console.log(line),
    (error) => {
      console.error(`unhealthy: ${error.message}`);
      process.exitCode = 1;
    },
  );
}
