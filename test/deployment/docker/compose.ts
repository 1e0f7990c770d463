// The compose files as people start them: by a real podman-compose, with the image made from these sources, in a folder of their own.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { freePort } from '../../programs/run-program.ts';
import { answering } from '../ask-agent.ts';
import { bound } from '../bound-process.ts';
import {
  builtImage,
  noContainers,
  podman,
  podmanCommand,
  runFlags,
  tryPodman,
} from '../image/built-image.ts';

export const composeFolder = fileURLToPath(new URL('../../../deployment/docker/', import.meta.url));
export const composeFiles = ['compose.yaml', 'compose.mock.yaml'] as const;
export const token = 'for-reading';

const isThere = (program: string) => spawnSync(program, ['--version']).error === undefined;

/** Why the files cannot be started here; nothing when they can. */
export function composeSkipReason(): string | undefined {
  if (noContainers !== undefined) return noContainers;
  return isThere('podman-compose')
    ? undefined
    : 'podman-compose is not installed: apt-get install podman-compose';
}

export const noDockerCompose = isThere('docker-compose')
  ? undefined
  : 'docker-compose is not installed: apt-get install docker-compose';

/** What docker-compose, which knows the schema of these files, has against one. Version 1 is older than `name`. */
export function schemaProblems(text: string): string {
  const args = ['--file', '-', 'config', '--quiet'];
  const { status, stderr } = spawnSync('docker-compose', args, {
    cwd: tmpdir(),
    input: text.replace(/^name:.*$/m, ''),
    encoding: 'utf8',
  });
  return status === 0 ? '' : stderr;
}

export interface Composed {
  readonly url: string;
  /** A field of /proc/PID/status of the first process in the container. */
  status(field: string): Promise<string>;
  /** Whether the root file system of the container is read-only. */
  readonly isReadOnly: boolean;
  stop(): Promise<void>;
}

export interface Composition {
  readonly file: (typeof composeFiles)[number];
  readonly environment?: Readonly<Record<string, string>>;
  readonly change?: (text: string) => string;
}

export async function compose({
  file,
  environment = {},
  change = (text) => text,
}: Composition): Promise<Composed> {
  const directory = await mkdtemp(join(tmpdir(), 'compose-'));
  const port = await freePort();
  await cp(join(composeFolder, file), join(directory, file));
  await writeFile(join(directory, file), change(await readFile(join(composeFolder, file), 'utf8')));
  await mkdir(join(directory, 'secrets'), { mode: 0o700 });
  await writeFile(join(directory, 'secrets/token'), token);
  // podman-compose takes the name of the program only.
  const [program, ...flags] = podmanCommand;
  await writeFile(join(directory, 'podman'), `#!/bin/sh\nexec ${program} ${flags.join(' ')} "$@"\n`, {
    mode: 0o755,
  });

  const project = basename(directory).toLowerCase();
  const run = (...args: readonly string[]) => {
    const own = ['--podman-path', join(directory, 'podman'), '-p', project, '-f', file];
    const { status, stdout, stderr } = spawnSync(
      'podman-compose',
      [...own, `--podman-run-args=${runFlags.join(' ')}`, ...args],
      {
        cwd: directory,
        encoding: 'utf8',
        env: { ...process.env, IMAGE: builtImage(), PORT: String(port), ...environment },
      },
    );
    if (status !== 0) throw new Error(`podman-compose ${args[0]}: ${stdout}${stderr}`);
  };
  const container = `${project}_agent_1`;
  const inspect = (format: string) => podman(['inspect', '--format', format, container]).trim();
  let watch: ChildProcess | undefined;
  const stop = async () => {
    watch?.kill();
    run('down');
    tryPodman(['network', 'rm', `${project}_default`]);
    await rm(directory, { recursive: true, force: true });
  };
  try {
    run('up', '--detach');
    const url = `http://127.0.0.1:${port}`;
    // Ends when the container does.
    watch = spawn(...bound(program, [...flags, 'wait', container]), { stdio: 'ignore' });
    const ended = new AbortController();
    watch.on('exit', () => ended.abort());
    await answering(`${url}/healthz`, { ended: ended.signal });
    const pid = inspect('{{.State.Pid}}');
    return {
      url,
      isReadOnly: inspect('{{.HostConfig.ReadonlyRootfs}}') === 'true',
      status: async (field) => {
        const status = await readFile(`/proc/${pid}/status`, 'utf8');
        return new RegExp(`^${field}:\\s*(\\S+)`, 'm').exec(status)?.[1] ?? '';
      },
      stop,
    };
  } catch (error) {
    const { stdout, stderr } = tryPodman(['logs', container]);
    await stop();
    throw new Error(`the agent does not answer: ${stdout}${stderr}`, { cause: error });
  }
}
