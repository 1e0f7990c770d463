// Tells whether the container is healthy: exit code 0 or 1 and one line. How the program serves is what its command line and environment
// say. With a port its /healthz is asked; without one (MCP over stdio, a sleeping container) whoever runs this is proof enough of life.
import { readFileSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { basename } from 'node:path';

/** Ports that programs listen on when nothing else is said. */
const usualPorts = { agent: 0, gateway: 8_080, bridge: 0, 'kubectl-mcp': 0 };
const anyAddress = { '0.0.0.0': '127.0.0.1', '::': '::1' };
const timeLimitMilliseconds = 5_000;

/** @returns where to ask; undefined where nothing listens */
export function targetOf(commandLine, environment) {
  // An init that was put before (docker run --init) has the program among its arguments.
  const start = commandLine.findIndex((word) => Object.hasOwn(usualPorts, basename(word)));
  if (start === -1) return undefined;
  const words = commandLine.slice(start + 1);
  const given = (flag) => {
    const index = words.findLastIndex((word) => word === `--${flag}` || word.startsWith(`--${flag}=`));
    const word = words[index];
    if (word !== undefined) return word.includes('=') ? word.slice(word.indexOf('=') + 1) : words[index + 1];
    return environment[`K8S_GPU_MCP_${flag.toUpperCase().replaceAll('-', '_')}`] || undefined;
  };
  const port = Number(given('port') ?? usualPorts[basename(commandLine[start])]);
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
  const target = targetOf(readFileSync('/proc/1/cmdline', 'utf8').split('\0').slice(0, -1), process.env);
  if (target === undefined) return 'healthy: nothing listens here, and process 1 lives';
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
