// A real Slurm of two nodes on this machine: munged, slurmctld and two slurmd in a folder of their own, with the scripts under test.
import { type ChildProcess, execFile, spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, vi } from 'vitest';
import { cleanEnvironment, freePort, programs } from '../../programs/run-program.ts';
import { bound, end } from '../bound-process.ts';

export const scripts = fileURLToPath(new URL('../../../deployment/slurm/', import.meta.url));
export const nodes = ['n1', 'n2'] as const;
export type NodeName = (typeof nodes)[number];

/** Why Slurm cannot run here; nothing when it can. */
export function slurmSkipReason(): string | undefined {
  if (process.getuid?.() !== 0) return 'slurmd runs its programs as root, and this is not root';
  const missing = ['munged', 'slurmctld', 'slurmd', 'srun'].filter(
    (program) => spawnSync('which', [program]).status !== 0,
  );
  return missing.length === 0
    ? undefined
    : `${missing.join(', ')} not installed: apt-get install slurm-wlm munge`;
}

/** What waits for a node that never comes is ended. */
const commandMilliseconds = 60_000;

export interface Result {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface SlurmCluster {
  readonly directory: string;
  /** Runs a command of Slurm, or a script, as a user of this cluster would. */
  run(command: string, args: readonly string[], more?: Readonly<Record<string, string>>): Promise<Result>;
  /** What the agents of a node see from now on: a scenario of the mock backend. */
  show(node: NodeName, scenario: string): Promise<void>;
  /** gpu-health.conf: what the scripts are told beyond the agent and its scenario. */
  configure(settings?: string): Promise<void>;
  /** Puts the scripts in place, each changed as asked. */
  install(change?: (text: string) => string): Promise<void>;
  /** More lines of slurm.conf, in force. */
  reconfigure(lines: string): Promise<void>;
  stateOf(node: NodeName): Promise<{ readonly state: string; readonly reason: string }>;
  stop(): Promise<void>;
}

export async function startSlurm(): Promise<SlurmCluster> {
  const directory = await mkdtemp(join(tmpdir(), 'slurm-'));
  const at = (...path: string[]) => join(directory, ...path);
  const environment = cleanEnvironment({ SLURM_CONF: at('slurm.conf') });
  const running: ChildProcess[] = [];
  const start = (program: string, args: readonly string[]) =>
    running.push(spawn(...bound(program, args), { env: environment, stdio: 'ignore' }));

  const run: SlurmCluster['run'] = (command, args, more = {}) =>
    new Promise((resolve) => {
      const env = { ...environment, ...more };
      const child = execFile(
        command,
        [...args],
        { env, timeout: commandMilliseconds },
        (_error, stdout, stderr) => resolve({ code: child.exitCode ?? -1, stdout, stderr }),
      );
    });

  await Promise.all(['state', 'gpu-health'].map((name) => mkdir(at(name))));
  await writeFile(at('munge.key'), randomBytes(128), { mode: 0o600 });
  start('munged', [
    ...['--foreground', '--force', `--socket=${at('munge.socket')}`, `--key-file=${at('munge.key')}`],
    ...[`--pid-file=${at('munge.pid')}`, `--log-file=${at('munge.log')}`, `--seed-file=${at('munge.seed')}`],
  ]);
  // What is documented for slurm.conf, as it stands but for where the scripts are and how often they look.
  const documented = (await readFile(join(scripts, 'slurm.conf.example'), 'utf8')).replaceAll(
    '/etc/slurm/gpu-health',
    at('gpu-health'),
  );
  const base = await slurmConf(directory);
  const withoutHealthCheck = documented.replaceAll(/^HealthCheck.*$/gm, '');
  await writeFile(at('slurm.conf'), base + withoutHealthCheck);
  const agent = `#!/bin/sh\nexec ${process.execPath} ${programs.agent} "$@"\n`;
  await writeFile(at('agent'), agent, { mode: 0o755 });

  const cluster: SlurmCluster = {
    directory,
    run,
    show: (node, scenario) => writeFile(at(`scenario-${node}`), scenario),
    configure: (settings = '') =>
      writeFile(
        at('gpu-health', 'gpu-health.conf'),
        [
          `GPU_HEALTH_AGENT=${at('agent')}`,
          `SLURM_CONF=${at('slurm.conf')}`,
          'K8S_GPU_MCP_BACKEND=mock',
          `K8S_GPU_MCP_SCENARIO=$(cat "${at('scenario-')}$SLURMD_NODENAME")`,
          settings,
          '',
        ].join('\n'),
      ),
    install: async (change = (text) => text) => {
      for (const name of ['gpu-health.sh', 'prolog.sh', 'epilog.sh', 'health-check.sh', 'exclude-list.sh']) {
        await cp(join(scripts, name), at('gpu-health', name));
        await writeFile(at('gpu-health', name), change(await readFile(join(scripts, name), 'utf8')));
      }
    },
    reconfigure: async (lines) => {
      await writeFile(at('slurm.conf'), `${base}${documented}\n${lines}\n`);
      await run('scontrol', ['reconfigure']);
    },
    stateOf: async (node) => {
      const { stdout } = await run('sinfo', [
        '--noheader',
        '--nodes',
        node,
        '--Format=StateLong:40,Reason:200',
      ]);
      return { state: stdout.slice(0, 40).trim(), reason: stdout.slice(40).trim() };
    },
    stop: async () => {
      await run('scancel', ['--user=root']);
      for (const child of running.reverse()) await end(child);
      await rm(directory, { recursive: true, force: true });
    },
  };
  await cluster.install();
  await cluster.configure();
  for (const node of nodes) await cluster.show(node, 'healthy-8xh100');
  start('slurmctld', ['-D', '-i']);
  for (const node of nodes) start('slurmd', ['-D', '-N', node]);
  try {
    // Here, so that a Slurm that does not come up fails once and not with every test.
    await vi.waitFor(
      async () => {
        const states = await Promise.all(nodes.map((node) => cluster.stateOf(node)));
        expect(states.map(({ state }) => state)).toEqual(nodes.map(() => 'idle'));
      },
      { timeout: commandMilliseconds, interval: 200 },
    );
  } catch (error) {
    const log = await readFile(at('slurmctld.log'), 'utf8').catch(() => 'no log');
    await cluster.stop();
    throw new Error(`Slurm does not come up: ${log}`, { cause: error });
  }
  return cluster;
}

async function slurmConf(directory: string): Promise<string> {
  const [controller, ...ports] = [await freePort(), await freePort(), await freePort()];
  const machines = nodes.map(
    (name, index) =>
      `NodeName=${name} NodeHostname=${hostname()} NodeAddr=127.0.0.1 Port=${ports[index]} CPUs=2\n`,
  );
  return `ClusterName=test
SlurmctldHost=${hostname()}(127.0.0.1)
SlurmctldPort=${controller}
SlurmUser=root
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket=${directory}/munge.socket
StateSaveLocation=${directory}/state
SlurmdSpoolDir=${directory}/spool-%n
SlurmctldPidFile=${directory}/slurmctld.pid
SlurmdPidFile=${directory}/slurmd-%n.pid
SlurmctldLogFile=${directory}/slurmctld.log
SlurmdLogFile=${directory}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
MailProg=/bin/true
${machines.join('')}PartitionName=gpu Nodes=ALL Default=YES MaxTime=10 State=UP
`;
}
