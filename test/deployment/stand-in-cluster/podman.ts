import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { bound } from '../bound-process.ts';
import { podmanCommand, runFlags } from '../image/built-image.ts';
import type { ContainerPlan, ContainerRuntime, Machine } from './container-runtime.ts';
import { objectAt, textsAt } from './json.ts';
import type { ApiAddress } from './processes.ts';
import { serviceAccountDirectory } from './volumes.ts';

/**
 * Containers of an image, with the files, the user and the privileges that the pod asks for. They share the network of this machine, so
 * that "all addresses" is the address of the pod here too.
 */
export function podmanRuntime(
  image: string,
  apiServer: () => ApiAddress,
  machine: Machine,
): ContainerRuntime {
  const podman = (args: readonly string[]) => {
    const [command, ...flags] = podmanCommand;
    return spawn(...bound(command, [...flags, ...args]));
  };
  // Names are of all containers of this machine; an exec'd program has those of its pod.
  const prefix = `stand-in-${process.pid}-`;
  const restarts = new Map<string, number>();
  const nameOf = ({ id }: ContainerPlan) => `${prefix}${id}-${restarts.get(id) ?? 0}`;
  return {
    start(plan) {
      restarts.set(plan.id, (restarts.get(plan.id) ?? 0) + 1);
      const [entryPoint = '', ...args] = plan.command;
      return podman([
        ...['run', '--rm', '--name', nameOf(plan), '--network=host', ...runFlags],
        ...[...variables(plan, apiServer(), machine)].flatMap(([name, value]) => [
          '--env',
          `${name}=${value}`,
        ]),
        ...names(plan).flatMap(([name, address]) => ['--add-host', `${name}:${address}`]),
        ...mounts(plan).flatMap(({ hostPath, mountPath, isReadOnly }) => [
          '--volume',
          `${hostPath}:${mountPath}${isReadOnly ? ':ro' : ''}`,
        ]),
        ...privileges(plan),
        ...['--entrypoint', JSON.stringify([entryPoint]), image],
        ...args.map((each) => each.replace(/(^|=)0\.0\.0\.0$/, `$1${plan.address}`)),
      ]);
    },
    exec: (plan, command) => podman(['exec', '-i', nameOf(plan), ...command]),
    stop: (plan) => void podman(['stop', '--time', '10', nameOf(plan)]).on('error', () => {}),
  };
}

function variables(plan: ContainerPlan, api: ApiAddress, machine: Machine): ReadonlyMap<string, string> {
  const all = new Map(Object.entries(plan.environment));
  all.set('KUBERNETES_SERVICE_HOST', api.host).set('KUBERNETES_SERVICE_PORT', String(api.port));
  if (all.get('NVIDIA_VISIBLE_DEVICES') === 'all')
    for (const [name, value] of Object.entries(machine.runtimeClasses?.[plan.runtimeClass ?? ''] ?? {}))
      all.set(name, value);
  return all;
}

const names = ({ hostsFile }: ContainerPlan) =>
  Object.entries(JSON.parse(readFileSync(hostsFile, 'utf8')) as Readonly<Record<string, string>>);

const mounts = ({ mounts: own, serviceAccount }: ContainerPlan) =>
  serviceAccount === undefined
    ? own
    : [...own, { hostPath: serviceAccount, mountPath: serviceAccountDirectory, isReadOnly: true }];

function privileges({ securityContext }: ContainerPlan): readonly string[] {
  const { runAsUser, runAsGroup, readOnlyRootFilesystem, allowPrivilegeEscalation, privileged } =
    securityContext;
  const { capabilities } = objectAt({ securityContext }, 'securityContext');
  return [
    ...(runAsUser === undefined ? [] : ['--user', `${runAsUser}:${runAsGroup ?? runAsUser}`]),
    ...(readOnlyRootFilesystem === true ? ['--read-only', '--read-only-tmpfs=false'] : []),
    ...(allowPrivilegeEscalation === false ? ['--security-opt', 'no-new-privileges'] : []),
    ...(privileged === true ? ['--privileged'] : []),
    ...textsAt(capabilities, 'drop').map((each) => `--cap-drop=${each}`),
    ...textsAt(capabilities, 'add').map((each) => `--cap-add=${each}`),
  ];
}
