import { lstatSync, readlinkSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { Gap, PciGpu } from '@k8s-gpu-mcp/core';
import { errnoGap, errorCodeOf } from '../os/errno.ts';
import { type ReadFile, readSmallFile } from '../os/small-file.ts';

/** Display controllers by class and subclass. Source: PCI Code and ID Assignment Specification, base class 03h. */
const displayClasses: Readonly<Record<string, PciGpu['deviceClass']>> = { '0300': 'vga', '0302': '3d' };

/** What the kernel found when it enumerated the bus: its own memory, the device is not asked. */
export interface PciIdentity {
  readonly vendorId: string;
  readonly deviceId: string;
  readonly deviceClass: PciGpu['deviceClass'];
}

type AddGap = (gap: Gap) => void;

const attributeBytes = 64;

/** The device in `folder` when it is a GPU of one of the vendors; a gap when it may be one and cannot be told. */
export function identifyGpu(
  folder: string,
  vendorIds: readonly string[],
  addGap: AddGap,
): PciIdentity | undefined {
  const address = basename(folder);
  const read = (name: string, pattern: RegExp): string | undefined => {
    try {
      const text = readSmallFile(join(folder, name), attributeBytes).toString('latin1');
      const match = pattern.exec(text.trim())?.[1];
      if (match === undefined) addGap(garbage(`pciGpus.${name}`, address, name, text));
      return match?.toLowerCase();
    } catch (error) {
      // A device that was removed while the bus was listed is no longer there to be told of.
      if (errorCodeOf(error) !== 'ENOENT') addGap(errnoGap(`hostDevices.pciGpus.${name}`, error, address));
      return undefined;
    }
  };
  const vendorId = read('vendor', /^0x([0-9a-f]{4})$/i);
  if (vendorId === undefined || !vendorIds.includes(vendorId)) return undefined;
  const deviceClass = displayClasses[read('class', /^0x([0-9a-f]{4})[0-9a-f]{2}$/i) ?? ''];
  if (deviceClass === undefined) return undefined;
  // A virtual function of a GPU that is listed itself; its configuration space has all ones where the vendor stands.
  if (lstatSync(join(folder, 'physfn'), { throwIfNoEntry: false })) return undefined;
  return { vendorId, deviceClass, deviceId: read('device', /^0x([0-9a-f]{4})$/i) ?? 'unknown' };
}

/** The rest of it. `readFile` is for what the kernel has to ask the device for. */
export async function readGpu(
  folder: string,
  identity: PciIdentity,
  readFile: ReadFile,
  addGap: AddGap,
): Promise<PciGpu> {
  const pciAddress = basename(folder);
  const gap = (name: string, reason: Gap['reason'], detail: string): null => {
    addGap({ field: `hostDevices.pciGpus.${name}`, reason, detail: `${pciAddress}: ${detail}` });
    return null;
  };
  const failed = (name: string, error: unknown): null => {
    addGap(errnoGap(`hostDevices.pciGpus.${name}`, error, pciAddress));
    return null;
  };

  const driver = (): string | null => {
    try {
      return linkTarget(join(folder, 'driver'));
    } catch (error) {
      return failed('driver', error);
    }
  };
  const numaNode = (): number | null => {
    try {
      const text = readSmallFile(join(folder, 'numa_node'), attributeBytes).toString('latin1').trim();
      if (text === '-1') return null;
      if (/^\d{1,5}$/.test(text)) return Number(text);
      addGap(garbage('pciGpus.numaNode', pciAddress, 'numa_node', text));
      return null;
    } catch (error) {
      return failed('numaNode', error);
    }
  };

  // Reading the configuration space of a sleeping device wakes it, and it is the driver that does so.
  const asleep = isSuspended(folder);
  const sleeping = 'it is in runtime suspend, and looking would make its driver wake it';
  const respondsOnBus = async (): Promise<boolean | null> => {
    if (asleep) return gap('respondsOnBus', 'not-observable', sleeping);
    try {
      const start = await readFile(join(folder, 'config'), 4);
      if (start.length < 4) return gap('respondsOnBus', 'error', `config has ${start.length} bytes`);
      return !start.every((byte) => byte === 0xff);
    } catch (error) {
      return failed('respondsOnBus', error);
    }
  };
  const link = async (
    name: keyof PciGpu,
    file: string,
    parse: (text: string) => number | undefined,
  ): Promise<number | null> => {
    if (asleep) return gap(name, 'not-observable', sleeping);
    try {
      const text = (await readFile(join(folder, file), attributeBytes)).toString('latin1').trim();
      const value = parse(text);
      if (value !== undefined) return value;
      return gap(name, 'not-observable', `${file} says ${quoted(text)}`);
    } catch (error) {
      return failed(name, error);
    }
  };

  return {
    pciAddress,
    ...identity,
    driver: driver(),
    respondsOnBus: await respondsOnBus(),
    numaNode: numaNode(),
    currentSpeedGigatransfersPerSecond: await link(
      'currentSpeedGigatransfersPerSecond',
      'current_link_speed',
      parseLinkSpeed,
    ),
    maxSpeedGigatransfersPerSecond: await link(
      'maxSpeedGigatransfersPerSecond',
      'max_link_speed',
      parseLinkSpeed,
    ),
    currentLinkWidthLanes: await link('currentLinkWidthLanes', 'current_link_width', parseLinkWidth),
    maxLinkWidthLanes: await link('maxLinkWidthLanes', 'max_link_width', parseLinkWidth),
  };
}

/** `16.0 GT/s PCIe`; before Linux 5.8 `16 GT/s`. `Unknown` has no value. Source: drivers/pci/probe.c, pci_speed_string. */
export function parseLinkSpeed(text: string): number | undefined {
  const match = /^(\d{1,3}(?:\.\d)?) GT\/s(?: PCIe)?$/.exec(text);
  const speed = Number(match?.[1] ?? 0);
  return speed > 0 ? speed : undefined;
}

/** 0 and 255 are the kernel's unknown, 63 is what a device that does not answer reads as. Source: PCI Express Base, Link Status. */
const linkWidths: readonly string[] = ['1', '2', '4', '8', '12', '16', '32'];
export const parseLinkWidth = (text: string): number | undefined =>
  linkWidths.includes(text) ? Number(text) : undefined;

/** The last part of a link's target, null when there is no link. */
function linkTarget(path: string): string | null {
  try {
    return basename(readlinkSync(path));
  } catch (error) {
    if (errorCodeOf(error) === 'ENOENT') return null;
    throw error;
  }
}

function isSuspended(folder: string): boolean {
  try {
    return (
      readSmallFile(join(folder, 'power/runtime_status'), attributeBytes).toString('latin1').trim() ===
      'suspended'
    );
  } catch {
    // Without power management nothing sleeps.
    return false;
  }
}

const quoted = (text: string): string => JSON.stringify(text.slice(0, 40));

function garbage(field: string, address: string, file: string, text: string): Gap {
  return {
    field: `hostDevices.${field}`,
    reason: 'error',
    detail: `${address}: ${file} says ${quoted(text)}`,
  };
}
