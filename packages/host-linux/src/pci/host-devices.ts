import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type Clock, type Gap, type HostDevices, type PciGpu, parsePciAddress } from '@k8s-gpu-mcp/core';
import { orAborted, throwIfAborted, yieldToEventLoop } from '../os/abort.ts';
import { errnoGap } from '../os/errno.ts';
import { createPatientReader, type ReadFile } from '../os/small-file.ts';
import { readDeviceNodes } from './device-nodes.ts';
import { identifyGpu, readGpu } from './pci-gpu.ts';

export interface HostDevicesOptions {
  /** Default `/sys`. */
  readonly sysRoot?: string;
  /** Default `/dev`. */
  readonly devRoot?: string;
  /** Four hexadecimal digits each; default `10de`, which is NVIDIA. */
  readonly vendorIds?: readonly string[];
  /** GPUs and device nodes listed at most, each; default 256. */
  readonly maximumGpus?: number;
  readonly clock?: Pick<Clock, 'after'>;
  /** How files are read that the kernel asks the device for; default: through the thread pool. */
  readonly readFile?: ReadFile;
}

const what = 'reading the PCI bus';
const devicesPerTurn = 64;
const maximumDevices = 16_384;

/**
 * GPUs as sysfs and /dev show them. The driver is never asked: neither /proc/driver nor a device node is opened. A device that hangs its
 * bus costs its own readings and half a second.
 */
export function createHostDevices(options: HostDevicesOptions = {}): HostDevices {
  const { sysRoot = '/sys', devRoot = '/dev', maximumGpus = 256 } = options;
  const vendorIds = (options.vendorIds ?? ['10de']).map((id) => id.toLowerCase());
  const bus = join(sysRoot, 'bus/pci/devices');
  const readFile = createPatientReader(options);

  const readBus = async (signal: AbortSignal, addGap: (gap: Gap) => void): Promise<PciGpu[] | null> => {
    const field = 'hostDevices.pciGpus';
    let addresses: readonly string[];
    try {
      addresses = (await orAborted(readdir(bus), signal, what)).filter(isAddress).sort(byAddress);
    } catch (error) {
      throwIfAborted(signal, what);
      addGap({ ...errnoGap(field, error), reason: 'not-observable' });
      return null;
    }
    const gpus: PciGpu[] = [];
    for (const [index, address] of addresses.slice(0, maximumDevices).entries()) {
      if (index % devicesPerTurn === 0) await yieldToEventLoop();
      throwIfAborted(signal, what);
      const folder = join(bus, address);
      const identity = identifyGpu(folder, vendorIds, addGap);
      if (!identity) continue;
      if (gpus.length === maximumGpus) {
        addGap({ field, reason: 'error', detail: `more than ${maximumGpus} GPUs; the rest is not listed` });
        break;
      }
      gpus.push(await orAborted(readGpu(folder, identity, readFile, addGap), signal, what));
    }
    return gpus;
  };

  return {
    async read(signal) {
      throwIfAborted(signal, what);
      const gaps: Gap[] = [];
      const addGap = (gap: Gap): void => {
        if (gaps.length < 8 * maximumGpus) gaps.push(gap);
      };
      const pciGpus = await readBus(signal, addGap);
      const deviceNodes = await orAborted(readDeviceNodes(devRoot, maximumGpus, addGap), signal, what);
      return { pciGpus, deviceNodes, gaps };
    },
  };
}

const addressPattern = /^[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$/;
const isAddress = (name: string): boolean => addressPattern.test(name);

function byAddress(one: string, other: string): number {
  const a = parsePciAddress(one);
  const b = parsePciAddress(other);
  if (!a || !b) return 0;
  return a.domain - b.domain || a.bus - b.bus || a.device - b.device || (a.function ?? 0) - (b.function ?? 0);
}
