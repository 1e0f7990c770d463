import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { fileURLToPath } from 'node:url';

const bins = {
  agent: fileURLToPath(new URL('../../agent/bin/k8s-gpu-mcp-server.js', import.meta.url)),
  gateway: fileURLToPath(new URL('../bin/k8s-gpu-mcp-gateway.js', import.meta.url)),
};

export interface RunningProgram {
  readonly child: ChildProcess;
  /** `http://127.0.0.1:PORT`. */
  readonly origin: string;
  stderr(): string;
  stop(signal?: NodeJS.Signals): Promise<number | null>;
}

/** The program as users run it, on a port of its own; resolves once it listens. */
export async function startProgram(
  name: keyof typeof bins,
  args: readonly string[],
  port?: number,
): Promise<RunningProgram> {
  const taken = port ?? (await freePort());
  const environment = Object.fromEntries(
    Object.entries(process.env).filter(([variable]) => !variable.startsWith('K8S_GPU_MCP_')),
  );
  const child = spawn(process.execPath, [bins[name], '--port', String(taken), ...args], {
    env: environment,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stderr = '';
  child.stderr.on('data', (chunk) => {
    stderr += chunk;
  });
  const exited = once(child, 'close').then(([code]) => code as number | null);
  while (!stderr.includes('http: listening')) {
    if (child.exitCode !== null) throw new Error(`${name} ended with ${child.exitCode}: ${stderr}`);
    await Promise.race([once(child.stderr, 'data'), exited]);
  }
  return {
    child,
    origin: `http://127.0.0.1:${taken}`,
    stderr: () => stderr,
    stop(signal = 'SIGTERM') {
      child.kill(signal);
      return exited;
    },
  };
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port was free');
  server.close();
  await once(server, 'close');
  return address.port;
}
