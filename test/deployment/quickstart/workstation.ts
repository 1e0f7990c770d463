import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Client } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { cleanEnvironment, type Outcome } from '../../programs/run-program.ts';
import { bound } from '../bound-process.ts';

export const repositoryRoot = resolve(import.meta.dirname, '../../..');

/** What stands for the command `docker`. */
export interface Docker {
  /** The command and its first arguments. */
  readonly podman: readonly string[];
  readonly runFlags: readonly string[];
  readonly image: string;
  /** What the container toolkit of a GPU machine makes of `--gpus all`. */
  readonly gpuFlags: readonly string[];
}

/** What waits for ever is ended; that shows as a code of null. */
const commandMilliseconds = 120_000;

/** The machine of a reader: a home with a kubeconfig, and a PATH on which published names lead to what is in this checkout. */
export interface Workstation {
  run(command: string): Promise<Outcome>;
  /** As an MCP host starts a server: no shell, pipes. Works with the client until it is done. */
  withServer<Result>(command: readonly string[], work: (client: Client) => Promise<Result>): Promise<Result>;
  useKubeconfig(path: string): void;
  dispose(): void;
}

export function createWorkstation(options: {
  readonly helm?: string | undefined;
  readonly kubectl?: string | undefined;
  /** What the machine has; default: no GPU. */
  readonly environment?: Readonly<Record<string, string>>;
  /** Default: no such command. */
  readonly docker?: Docker | undefined;
}): Workstation {
  const home = mkdtempSync(join(tmpdir(), 'workstation-'));
  const bin = join(home, 'bin');
  mkdirSync(bin);
  mkdirSync(join(home, '.kube'));
  const script = (name: string, text: string) => {
    writeFileSync(join(bin, name), `#!/bin/sh\n${text}\n`);
    chmodSync(join(bin, name), 0o755);
  };
  if (options.helm !== undefined) symlinkSync(options.helm, join(bin, 'helm'));
  if (options.kubectl !== undefined) symlinkSync(options.kubectl, join(bin, 'kubectl'));
  const packages = fileURLToPath(new URL('published-packages.mjs', import.meta.url));
  for (const name of ['npx', 'npm'])
    script(name, `exec "${process.execPath}" "${packages}" ${name} "${bin}" "$@"`);
  if (options.docker !== undefined)
    script(
      'docker',
      `exec "${process.execPath}" "${fileURLToPath(new URL('docker.mjs', import.meta.url))}" '${JSON.stringify(options.docker)}' "$@"`,
    );
  const environment = {
    ...cleanEnvironment(),
    HOME: home,
    PATH: [bin, dirname(process.execPath), '/usr/bin', '/bin'].join(delimiter),
    ...options.environment,
  };
  return {
    async run(command) {
      const child = spawn(...bound('bash', ['-c', command]), { env: environment, cwd: repositoryRoot });
      child.stdin.end();
      let [stdout, stderr] = ['', ''];
      child.stdout.on('data', (chunk) => {
        stdout += chunk;
      });
      child.stderr.on('data', (chunk) => {
        stderr += chunk;
      });
      const tooLate = setTimeout(() => child.kill(), commandMilliseconds);
      const [code] = (await once(child, 'close')) as [number | null];
      clearTimeout(tooLate);
      return { code, stdout, stderr };
    },
    async withServer([command = '', ...args], work) {
      const transport = new StdioClientTransport({
        command: join(bin, command),
        args,
        env: environment,
        cwd: home,
        stderr: 'pipe',
      });
      let said = '';
      transport.stderr?.on('data', (chunk) => {
        said += chunk;
      });
      const client = new Client({ name: 'quickstart', version: '0' });
      try {
        await client.connect(transport);
        return await work(client);
      } catch (error) {
        throw new Error(`${[command, ...args].join(' ')}: ${said}`, { cause: error });
      } finally {
        await client.close();
      }
    },
    useKubeconfig: (path) =>
      writeFileSync(join(home, '.kube', 'config'), readFileSync(path), { mode: 0o600 }),
    dispose: () => rmSync(home, { recursive: true, force: true }),
  };
}
