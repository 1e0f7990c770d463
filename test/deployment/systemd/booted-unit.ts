// The unit under a real systemd: booted by systemd-nspawn on a throw-away copy (an overlay) of this machine's files, with the unit in
// /etc/systemd/system and the agent in the PATH, as docs/bare-metal.md has it. Nothing else is started.
import { spawn, spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { freePort } from '../../programs/run-program.ts';
import { answering } from '../ask-agent.ts';
import { bound, end } from '../bound-process.ts';

const repository = fileURLToPath(new URL('../../../', import.meta.url));
export const units = join(repository, 'deployment/systemd');
export const unitName = 'k8s-gpu-mcp-server.service';
export const tokens = { token: 'for-reading', 'operator-token': 'for-changing' } as const;

/** Why systemd cannot be booted here; nothing when it can. */
export function bootSkipReason(): string | undefined {
  if (spawnSync('systemd-nspawn', ['--version']).error) {
    return 'systemd-nspawn is not installed: apt-get install systemd systemd-container';
  }
  const isAllowed = spawnSync('unshare', ['--mount', 'mount', '-t', 'tmpfs', 'tmpfs', '/mnt']).status === 0;
  return isAllowed ? undefined : 'file systems may not be mounted here';
}

export interface BootedUnit {
  readonly url: string;
  /** A field of /proc/PID/status of the agent. */
  status(field: string): Promise<string>;
  stop(): Promise<void>;
}

export interface Boot {
  /** Lines of /etc/k8s-gpu-mcp-server/environment. */
  readonly environment: readonly string[];
  readonly dropIns?: readonly string[];
  readonly change?: (unit: string) => string;
}

/** In namespaces of its own. systemd-nspawn killed leaves its machine running; the end of a process namespace ends all that is in it. */
const alone = ['--mount', '--propagation', 'private', '--pid', '--fork', '--kill-child', '--mount-proc'];

export async function boot({
  environment,
  dropIns = [],
  change = (unit) => unit,
}: Boot): Promise<BootedUnit> {
  const directory = await mkdtemp(join(tmpdir(), 'systemd-'));
  const port = await freePort();
  const file = async (path: string, text: string) => {
    await mkdir(join(directory, 'files', path, '..'), { recursive: true });
    await writeFile(join(directory, 'files', path), text);
  };
  await file(`etc/systemd/system/${unitName}`, change(await readFile(join(units, unitName), 'utf8')));
  for (const name of dropIns) {
    await file(`etc/systemd/system/${unitName}.d/${name}`, await readFile(join(units, name), 'utf8'));
  }
  await file('etc/systemd/system/trial.target', `[Unit]\nDefaultDependencies=no\nWants=${unitName}\n`);
  for (const [name, token] of Object.entries(tokens)) await file(`etc/k8s-gpu-mcp-server/${name}`, token);
  const settings = [`K8S_GPU_MCP_PORT=${port}`, ...environment, ''].join('\n');
  await file('etc/k8s-gpu-mcp-server/environment', settings);
  await mkdir(join(directory, 'files/usr/local/bin'), { recursive: true });
  const linkTo = (target: string, name: string) =>
    symlink(target, join(directory, 'files/usr/local/bin', name));
  await linkTo('/opt/k8s-gpu-mcp/apps/agent/bin/k8s-gpu-mcp-server.js', 'k8s-gpu-mcp-server');
  if (process.execPath !== '/usr/local/bin/node') await linkTo(process.execPath, 'node');

  // In a mount namespace of its own, so that everything is gone with it.
  const script = `set -e
cd ${directory}; mkdir layer root
mount -t tmpfs tmpfs layer; mkdir layer/upper layer/work
mount -t overlay overlay -o lowerdir=/,upperdir=layer/upper,workdir=layer/work root
# What an agent left on this machine is none of the trial's business.
rm -rf root/var/lib/k8s-gpu-mcp-server root/var/lib/private/k8s-gpu-mcp-server
cp -a files/. root/
exec systemd-nspawn --quiet --directory=${directory}/root --register=no --keep-unit --capability=CAP_SYSLOG \
  --bind-ro=${repository}:/opt/k8s-gpu-mcp --console=pipe --boot systemd.unit=trial.target systemd.log_target=console systemd.log_color=no`;
  // Killed, it takes the machine with it.
  const machine = spawn(...bound('unshare', [...alone, 'sh', '-c', script], 'KILL'));
  let output = '';
  const ended = new AbortController();
  for (const stream of [machine.stdout, machine.stderr]) {
    stream.on('data', (chunk) => {
      output += chunk;
      if (/Failed to start|Failed with result/.test(output)) ended.abort();
    });
  }
  machine.on('exit', () => ended.abort());
  const stop = async () => {
    // Nobody needs the machine to halt in good order.
    await end(machine, { ask: () => machine.kill('SIGKILL') });
    await rm(directory, { recursive: true, force: true });
  };
  try {
    await answering(`http://127.0.0.1:${port}/healthz`, { ended: ended.signal, log: () => output });
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    url: `http://127.0.0.1:${port}`,
    status: async (field) => {
      const pid = await pidWith(`K8S_GPU_MCP_PORT=${port}`);
      const status = await readFile(`/proc/${pid}/status`, 'utf8');
      return new RegExp(`^${field}:\\s*(\\S+)`, 'm').exec(status)?.[1] ?? '';
    },
    stop,
  };
}

/** The process that has this in its environment: the first one, which started the others. */
async function pidWith(variable: string): Promise<number> {
  const pids = (await readdir('/proc')).map(Number).filter((pid) => pid > 0);
  for (const pid of pids.sort((one, other) => one - other)) {
    const environment = await readFile(`/proc/${pid}/environ`, 'utf8').catch(() => '');
    if (environment.split('\0').includes(variable)) return pid;
  }
  throw new Error(`no process has ${variable}`);
}
