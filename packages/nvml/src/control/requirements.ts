import { access, constants, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ResetRequirement } from '@k8s-gpu-mcp/core';

/** Bit of CAP_SYS_ADMIN in a capability mask. Source: linux/capability.h. */
const capSysAdmin = 21n;
/** The initial user namespace maps every id to itself. Source: user_namespaces(7). */
const initialUidMap = /^\s*0\s+0\s+4294967295\s*$/;

export interface Roots {
  readonly procRoot: string;
  readonly sysRoot: string;
  readonly runRoot: string;
}

/** What this process may and may not, as far as a reset needs it. The driver asks for CAP_SYS_ADMIN in the initial user namespace. */
export async function privileges(roots: Roots): Promise<readonly ResetRequirement[]> {
  return Promise.all([capability(roots), userNamespace(roots), writableSys(roots), persistenceDaemon(roots)]);
}

async function capability({ procRoot }: Roots): Promise<ResetRequirement> {
  const name = 'CAP_SYS_ADMIN';
  const status = await readText(join(procRoot, 'self/status'));
  const mask = /^CapEff:\s*([0-9a-f]{1,16})\s*$/im.exec(status ?? '')?.[1];
  if (mask === undefined)
    return { name, met: null, detail: 'the effective capabilities of this process could not be read' };
  return (BigInt(`0x${mask}`) >> capSysAdmin) & 1n
    ? { name, met: true, detail: 'this process has it' }
    : { name, met: false, detail: 'run as root, in a pod privileged or with capability SYS_ADMIN' };
}

async function userNamespace({ procRoot }: Roots): Promise<ResetRequirement> {
  const name = 'initial user namespace';
  const map = await readText(join(procRoot, 'self/uid_map'));
  if (map === undefined)
    return { name, met: null, detail: 'the user id map of this process could not be read' };
  return initialUidMap.test(map)
    ? { name, met: true, detail: 'this process is in it' }
    : { name, met: false, detail: 'run outside of user namespaces (rootless containers, hostUsers: false)' };
}

async function writableSys({ sysRoot }: Roots): Promise<ResetRequirement> {
  const name = 'writable /sys';
  try {
    await access(join(sysRoot, 'bus/pci/rescan'), constants.W_OK);
    return { name, met: true, detail: 'the PCI bus can be told to rescan' };
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'EROFS' || code === 'EACCES' || code === 'EPERM')
      return { name, met: false, detail: `the host's /sys has to be writable (privileged): ${code}` };
    return { name, met: null, detail: `whether /sys is writable could not be told: ${code ?? 'unknown'}` };
  }
}

/** With its socket in reach the tool lets the daemon go and take the GPU back; without one there may be no daemon at all. */
async function persistenceDaemon({ runRoot }: Roots): Promise<ResetRequirement> {
  const name = 'persistence daemon in reach';
  const socket = join(runRoot, 'nvidia-persistenced/socket');
  const isThere = await access(socket).then(
    () => true,
    () => false,
  );
  return isThere
    ? { name, met: true, detail: `${socket} is there` }
    : {
        name,
        met: null,
        detail: `no ${socket}: if nvidia-persistenced runs on the host, mount its directory or stop it first`,
      };
}

async function readText(path: string): Promise<string | undefined> {
  return readFile(path, 'latin1').catch(() => undefined);
}
