import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';

export interface PciGpu {
  readonly address: string;
  /** Kernel driver bound to it; null when none is. */
  readonly driver: string | null;
}

/** What the files of the machine say, without asking the driver. Null stands for what could not be read. */
export interface HostFacts {
  readonly userId: number | null;
  readonly capabilities: { readonly sysAdmin: boolean; readonly syslog: boolean } | null;
  /** Version of the loaded NVIDIA kernel module; null when it is not loaded (or not visible from here). */
  readonly kernelModuleVersion: string | null;
  /** Names like `nvidia0`, `nvidiactl`. */
  readonly deviceNodes: readonly string[];
  /** NVIDIA display and 3D controllers on the PCI bus; null when the bus cannot be seen. */
  readonly pciGpus: readonly PciGpu[] | null;
  readonly container: string | null;
  /** Whether process ids here are those of the host. */
  readonly isHostPidNamespace: boolean | null;
}

type Environment = Readonly<Record<string, string | undefined>>;

const nvidiaVendor = '0x10de';
/** PCI base class 03h: display controller. Source: PCI Code and ID Assignment Specification. */
const displayClass = /^0x03/;
/** Bits of the effective set. Source: linux/capability.h. */
const capabilityBits = { sysAdmin: 21n, syslog: 34n };
/** Inode of the first PID namespace. Source: linux/proc_ns.h, PROC_PID_INIT_INO. */
const hostPidNamespace = 'pid:[4026531836]';

/** @param root where the file system begins; a test brings its own */
export function readHostFacts(environment: Environment, root = '/'): HostFacts {
  const at = (path: string) => join(root, path);
  const status = textOf(at('proc/self/status'));
  const namespace = quietly(() => readlinkSync(at('proc/self/ns/pid')));
  return {
    userId: numberOf(/^Uid:\s+\d+\s+(\d+)/m.exec(status ?? '')?.[1]),
    capabilities: capabilitiesOf(/^CapEff:\s+([0-9a-f]+)/m.exec(status ?? '')?.[1]),
    kernelModuleVersion: textOf(at('sys/module/nvidia/version'))?.trim() ?? null,
    deviceNodes: listOf(at('dev')).filter((name) => /^nvidia(?:\d+|ctl|-uvm)$/.test(name)),
    pciGpus: pciGpusOf(at('sys/bus/pci/devices')),
    container: containerOf(environment, at),
    isHostPidNamespace: namespace === null ? null : namespace === hostPidNamespace,
  };
}

function quietly<T>(read: () => T): T | null {
  try {
    return read();
  } catch {
    return null;
  }
}

const textOf = (path: string) => quietly(() => readFileSync(path, 'utf8'));
const listOf = (path: string) => quietly(() => readdirSync(path).sort()) ?? [];
const numberOf = (digits: string | undefined) => (digits === undefined ? null : Number(digits));

function capabilitiesOf(hex: string | undefined): HostFacts['capabilities'] {
  if (hex === undefined) return null;
  const set = BigInt(`0x${hex}`);
  const has = (bit: bigint) => ((set >> bit) & 1n) === 1n;
  return { sysAdmin: has(capabilityBits.sysAdmin), syslog: has(capabilityBits.syslog) };
}

function pciGpusOf(folder: string): readonly PciGpu[] | null {
  if (!existsSync(folder)) return null;
  return listOf(folder).flatMap((address) => {
    const file = (name: string) => textOf(join(folder, address, name))?.trim() ?? '';
    if (file('vendor') !== nvidiaVendor || !displayClass.test(file('class'))) return [];
    const link = quietly(() => readlinkSync(join(folder, address, 'driver')));
    return [{ address, driver: link?.split('/').at(-1) ?? null }];
  });
}

function containerOf(environment: Environment, at: (path: string) => string): string | null {
  if (environment['KUBERNETES_SERVICE_HOST']) return 'a Kubernetes pod';
  if (existsSync(at('.dockerenv'))) return 'a Docker container';
  if (existsSync(at('run/.containerenv'))) return 'a Podman container';
  return null;
}
