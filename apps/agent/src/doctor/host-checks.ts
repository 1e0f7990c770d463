import { type Check, fail, ok, warn } from './check.ts';
import type { HostFacts } from './host-facts.ts';

/** Oldest Node.js line that works, as in package.json. */
const minimumNode = [20, 19] as const;

export function checkNode(version: string): Check {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const isEnough = major > minimumNode[0] || (major === minimumNode[0] && minor >= minimumNode[1]);
  return isEnough
    ? ok('node', `Node.js ${version}`)
    : fail('node', `Node.js ${version} is too old`, `Install Node.js ${minimumNode.join('.')} or newer.`);
}

/** @param gpuCount what the driver counts; undefined when it could not be asked */
export function checkDevices(facts: HostFacts, gpuCount: number | undefined): readonly Check[] {
  return [checkKernelModule(facts), checkPci(facts, gpuCount), checkDeviceNodes(facts, gpuCount)];
}

function checkKernelModule({ kernelModuleVersion }: HostFacts): Check {
  return kernelModuleVersion === null
    ? fail(
        'kernel module',
        'nvidia is not loaded, or /sys/module is not visible here',
        'Load it (modprobe nvidia); when that fails, dmesg says why.',
      )
    : ok('kernel module', `nvidia ${kernelModuleVersion}`);
}

function checkPci({ pciGpus }: HostFacts, gpuCount: number | undefined): Check {
  const name = 'pci bus';
  if (pciGpus === null)
    return warn(
      name,
      '/sys/bus/pci is not visible here',
      'Mount /sys to compare the bus with what the driver counts.',
    );
  const listed = pciGpus.map(({ address, driver }) => `${address} (${driver ?? 'no driver'})`).join(', ');
  const seen = `${pciGpus.length} NVIDIA GPU${pciGpus.length === 1 ? '' : 's'} on the bus${listed === '' ? '' : `: ${listed}`}`;
  if (pciGpus.length === 0 && !gpuCount)
    return fail(
      name,
      seen,
      'This machine shows no NVIDIA GPU: check that it has one, that it is powered and, in a virtual machine, passed through.',
    );
  if (gpuCount !== undefined && pciGpus.length > gpuCount)
    return warn(
      name,
      `${seen}; the driver counts ${gpuCount}`,
      'Another driver (vfio-pci) holds the rest, this container was given only some, or a GPU failed to start: run xid, and look at dmesg.',
    );
  return ok(name, gpuCount === undefined ? seen : `${seen}; the driver counts ${gpuCount}`);
}

function checkDeviceNodes({ deviceNodes }: HostFacts, gpuCount: number | undefined): Check {
  const name = 'device nodes';
  const gpus = deviceNodes.filter((node) => /\d$/.test(node));
  const detail =
    deviceNodes.length === 0 ? 'no /dev/nvidia*' : deviceNodes.map((node) => `/dev/${node}`).join(', ');
  const isComplete = deviceNodes.includes('nvidiactl') && gpus.length > 0 && gpus.length >= (gpuCount ?? 0);
  return isComplete
    ? ok(name, detail)
    : warn(
        name,
        detail,
        'Run nvidia-smi once as root (it makes them), or give the container the devices: NVIDIA runtime or device plugin.',
      );
}

export function checkProcess(facts: HostFacts): readonly Check[] {
  const { userId, capabilities, container, isHostPidNamespace } = facts;
  const held = [
    ...(capabilities?.sysAdmin ? ['CAP_SYS_ADMIN'] : []),
    ...(capabilities?.syslog ? ['CAP_SYSLOG'] : []),
  ];
  const who = `uid ${userId ?? 'unknown'}, ${held.length > 0 ? held.join(' and ') : 'neither CAP_SYSLOG nor CAP_SYS_ADMIN'}`;
  const permissions =
    held.length > 0
      ? ok('permissions', who)
      : warn(
          'permissions',
          who,
          'The kernel log may be closed to this user: add CAP_SYSLOG (container securityContext), or membership of adm or systemd-journal.',
        );
  const where = container === null ? 'not in a container that can be told' : `in ${container}`;
  const pids = isHostPidNamespace ? 'with the process ids of the host' : 'with process ids of its own';
  const place =
    container !== null && isHostPidNamespace === false
      ? warn(
          'container',
          `${where}, ${pids}`,
          'Set hostPID: true (docker: --pid=host), so that GPU processes can be matched with those of the host.',
        )
      : ok('container', `${where}${isHostPidNamespace === null ? '' : `, ${pids}`}`);
  return [permissions, place];
}
