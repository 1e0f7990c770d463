import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { programs } from '../../programs/run-program.ts';
import { bound } from '../bound-process.ts';
import type { ContainerPlan, ContainerRuntime, Machine } from './container-runtime.ts';
import { kubeconfig } from './kubeconfig.ts';

/** What the image has under these paths, as programs of this checkout. */
const imagePrograms: Readonly<Record<string, readonly string[]>> = {
  '/agent': [programs.agent],
  '/gateway': [programs.gateway],
  '/bridge': [programs.bridge],
  '/kubectl-mcp': [programs['kubectl-mcp']],
  '/pause': ['-e', 'process.on("SIGTERM", () => process.exit(0)); setInterval(() => {}, 1 << 30)'],
};

function hostsModule(hostsFile: string): string {
  const url = new URL('cluster-names.mjs', import.meta.url);
  url.searchParams.set('hosts', hostsFile);
  return url.href;
}

export interface ApiAddress {
  readonly host: string;
  readonly port: number;
}

/** Containers as processes of this machine, without isolation. */
export function processRuntime(
  folder: string,
  apiServer: () => ApiAddress,
  machine: Machine,
): ContainerRuntime {
  function run(plan: ContainerPlan, command: readonly string[]) {
    const home = join(folder, plan.id);
    mkdirSync(home, { recursive: true });
    const { args, environment } = onThisMachine(plan, command, { home, api: apiServer(), machine });
    return spawn(...bound(process.execPath, args), { env: environment, cwd: home });
  }
  return {
    start: (plan) => run(plan, plan.command),
    exec: run,
    stop: (_plan, child) => void child.kill('SIGTERM'),
  };
}

/**
 * A container has its own files, its own addresses and the cluster's names. A process has not, so here, and nowhere else,
 * - a program of the image is the one of this checkout,
 * - a path below a mount is that of the file that stands for it,
 * - "all addresses" is the address of the pod,
 * - the kernel log is that of the node, not the one that everything on this machine shares,
 * - what a RuntimeClass adds is variables,
 * - the service account is reached through a kubeconfig, for its own directory is a fixed one,
 * - names of Services are looked up by a module that Node.js loads first.
 */
function onThisMachine(
  plan: ContainerPlan,
  command: readonly string[],
  { home, api, machine }: { readonly home: string; readonly api: ApiAddress; readonly machine: Machine },
) {
  const mounts = [...plan.mounts].sort((a, b) => b.mountPath.length - a.mountPath.length);
  const rewrite = (text: string): string => {
    const start = /^--[a-z-]+=/.exec(text)?.[0] ?? '';
    const path = text.slice(start.length);
    if (path === '0.0.0.0') return start + plan.address;
    const mount = mounts.find((each) => path === each.mountPath || path.startsWith(`${each.mountPath}/`));
    return mount === undefined ? text : start + mount.hostPath + path.slice(mount.mountPath.length);
  };
  const [file = '', ...args] = command;
  const program = imagePrograms[file];
  if (program === undefined) throw new Error(`exec: "${file}": no such file or directory`);
  const given = Object.entries(plan.environment).map(([name, value]) => [name, rewrite(value)] as const);
  const environment: Record<string, string> = {
    PATH: process.env['PATH'] ?? '',
    HOME: home,
    HOSTNAME: plan.hostName,
    NODE_OPTIONS: `--import=${hostsModule(plan.hostsFile)}`,
    KUBERNETES_SERVICE_HOST: api.host,
    KUBERNETES_SERVICE_PORT: String(api.port),
    ...Object.fromEntries(given),
  };
  if (plan.serviceAccount !== undefined)
    environment['KUBECONFIG'] ??= writeKubeconfig(home, plan.serviceAccount, api);
  if (/^(?:syslog|kmsg|auto)$/.test(environment['K8S_GPU_MCP_KERNEL_LOG'] ?? 'auto'))
    environment['K8S_GPU_MCP_KERNEL_LOG'] =
      machine.kernelLog === undefined ? 'none' : `file:${machine.kernelLog}`;
  // As NVIDIA's container runtime has it: a container that does not ask gets nothing.
  const asks =
    environment['NVIDIA_VISIBLE_DEVICES'] === 'all' &&
    environment['NVIDIA_DRIVER_CAPABILITIES']?.includes('utility');
  if (asks) Object.assign(environment, machine.runtimeClasses?.[plan.runtimeClass ?? '']);
  return { args: [...program, ...args.map(rewrite)], environment };
}

function writeKubeconfig(home: string, serviceAccount: string, { host, port }: ApiAddress): string {
  const read = (name: string) => readFileSync(join(serviceAccount, name), 'utf8');
  const file = join(home, 'service-account.json');
  writeFileSync(
    file,
    kubeconfig({
      server: `https://${host}:${port}`,
      authority: read('ca.crt'),
      token: read('token'),
      namespace: read('namespace'),
    }),
  );
  return file;
}
