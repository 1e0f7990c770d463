import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { failure, manualClock } from '../../test/fake-clock.ts';
import { neverAborted } from '../../test/kernel-log-samples.ts';
import { createHostDevices, type HostDevicesOptions } from './host-devices.ts';
import { parseLinkSpeed, parseLinkWidth } from './pci-gpu.ts';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'host-devices-'));
  mkdirSync(join(root, 'bus/pci/devices'), { recursive: true });
  mkdirSync(join(root, 'dev'));
});
afterEach(() => rmSync(root, { recursive: true }));

// An H100: device 2330, class 0302. The forms of the files: Source: Linux Documentation/ABI/testing/sysfs-bus-pci.
const gpuFiles: Readonly<Record<string, string | Buffer>> = {
  vendor: '0x10de\n',
  device: '0x2330\n',
  class: '0x030200\n',
  numa_node: '1\n',
  current_link_speed: '16.0 GT/s PCIe\n',
  max_link_speed: '32.0 GT/s PCIe\n',
  current_link_width: '8\n',
  max_link_width: '16\n',
  config: Buffer.from('de1030230604100000', 'hex'),
};
function addDevice(address: string, files: Readonly<Record<string, string | Buffer | null>> = {}): string {
  const folder = join(root, 'bus/pci/devices', address);
  mkdirSync(join(folder, 'power'), { recursive: true });
  for (const [name, content] of Object.entries({ ...gpuFiles, ...files })) {
    if (content !== null) writeFileSync(join(folder, name), content);
  }
  return folder;
}
const read = (options: HostDevicesOptions = {}) =>
  createHostDevices({ sysRoot: root, devRoot: join(root, 'dev'), ...options }).read(neverAborted());

describe('createHostDevices: the bus', () => {
  it('tells a GPU as sysfs shows it', async () => {
    const folder = addDevice('0000:3b:00.0');
    symlinkSync('../../../bus/pci/drivers/nvidia', join(folder, 'driver'));
    expect(await read()).toEqual({
      pciGpus: [
        {
          pciAddress: '0000:3b:00.0',
          vendorId: '10de',
          deviceId: '2330',
          deviceClass: '3d',
          driver: 'nvidia',
          respondsOnBus: true,
          numaNode: 1,
          currentSpeedGigatransfersPerSecond: 16,
          maxSpeedGigatransfersPerSecond: 32,
          currentLinkWidthLanes: 8,
          maxLinkWidthLanes: 16,
        },
      ],
      deviceNodes: [],
      gaps: [],
    });
  });

  it('takes display and 3D controllers of the vendor only, in address order', async () => {
    addDevice('10000:01:00.0', { class: '0x030000' });
    addDevice('0000:c1:00.0');
    addDevice('0000:1a:00.0');
    addDevice('0000:1a:00.1', { class: '0x040300' }); // its sound function
    addDevice('0000:05:00.0', { class: '0x068000' }); // an NVSwitch
    addDevice('0000:06:00.0', { vendor: '0x1002' });
    addDevice('0000:07:00.0', { class: '0x030100' }); // XGA
    mkdirSync(join(root, 'bus/pci/devices/not-an-address'));
    const { pciGpus, gaps } = await read();
    expect(pciGpus?.map(({ pciAddress, deviceClass }) => [pciAddress, deviceClass])).toEqual([
      ['0000:1a:00.0', '3d'],
      ['0000:c1:00.0', '3d'],
      ['10000:01:00.0', 'vga'],
    ]);
    expect(gaps).toEqual([]);
    const amd = await read({ vendorIds: ['1002'] });
    expect(amd.pciGpus?.map(({ pciAddress }) => pciAddress)).toEqual(['0000:06:00.0']);
  });

  it('leaves out virtual functions, which have all ones where a vendor stands', async () => {
    const folder = addDevice('0000:3b:00.4', { config: Buffer.alloc(64, 0xff) });
    symlinkSync('../0000:3b:00.0', join(folder, 'physfn'));
    expect((await read()).pciGpus).toEqual([]);
  });

  it('sees that a GPU fell off the bus', async () => {
    // What a device that does not answer reads as: link status 0xffff has width 63 and speed 15, which sysfs calls Unknown.
    addDevice('0000:3b:00.0', {
      config: Buffer.alloc(64, 0xff),
      current_link_speed: 'Unknown\n',
      current_link_width: '63\n',
    });
    const { pciGpus, gaps } = await read();
    expect(pciGpus).toMatchObject([
      {
        respondsOnBus: false,
        currentSpeedGigatransfersPerSecond: null,
        currentLinkWidthLanes: null,
        maxLinkWidthLanes: 16,
      },
    ]);
    expect(gaps.map(({ field }) => field)).toEqual([
      'hostDevices.pciGpus.currentSpeedGigatransfersPerSecond',
      'hostDevices.pciGpus.currentLinkWidthLanes',
    ]);
  });

  it('planted fault: a GPU that answers is not off the bus', async () => {
    addDevice('0000:3b:00.0', { config: Buffer.from('ffffff7f', 'hex') });
    expect((await read()).pciGpus?.[0]?.respondsOnBus).not.toBe(false);
  });

  it('has null and a gap for what is garbage or missing', async () => {
    const folder = addDevice('0000:3b:00.0', {
      device: '\0\xff',
      numa_node: 'one',
      current_link_speed: '-1',
      max_link_speed: '9'.repeat(100),
      current_link_width: '0',
      max_link_width: null,
      config: Buffer.from([0xff, 0xff]),
    });
    mkdirSync(join(folder, 'driver'));
    const { pciGpus, gaps } = await read();
    expect(pciGpus).toEqual([
      {
        pciAddress: '0000:3b:00.0',
        vendorId: '10de',
        deviceId: 'unknown',
        deviceClass: '3d',
        driver: null,
        respondsOnBus: null,
        numaNode: null,
        currentSpeedGigatransfersPerSecond: null,
        maxSpeedGigatransfersPerSecond: null,
        currentLinkWidthLanes: null,
        maxLinkWidthLanes: null,
      },
    ]);
    expect(gaps.length).toBe(8);
    expect(gaps.every(({ detail }) => detail.startsWith('0000:3b:00.0: '))).toBe(true);
    expect(gaps.find(({ field }) => field.endsWith('maxLinkWidthLanes'))?.reason).toBe('unsupported');
  });

  it('has a gap for a device that may be a GPU', async () => {
    addDevice('0000:3b:00.0', { class: 'garbage' });
    const { pciGpus, gaps } = await read();
    expect(pciGpus).toEqual([]);
    expect(gaps).toEqual([
      {
        field: 'hostDevices.pciGpus.class',
        reason: 'error',
        detail: '0000:3b:00.0: class says "garbage"',
      },
    ]);
  });

  it('has no NUMA node where the kernel says -1, and no driver where none is bound', async () => {
    addDevice('0000:3b:00.0', { numa_node: '-1\n' });
    const { pciGpus, gaps } = await read();
    expect(pciGpus).toMatchObject([{ numaNode: null, driver: null }]);
    expect(gaps).toEqual([]);
  });

  it('does not wake a sleeping device', async () => {
    const folder = addDevice('0000:3b:00.0');
    writeFileSync(join(folder, 'power/runtime_status'), 'suspended\n');
    const asked: string[] = [];
    const { pciGpus, gaps } = await read({
      readFile: async (path) => {
        asked.push(path);
        return Buffer.from('');
      },
    });
    expect(asked).toEqual([]);
    expect(pciGpus).toMatchObject([{ respondsOnBus: null, maxLinkWidthLanes: null, numaNode: 1 }]);
    expect(gaps.map(({ reason }) => reason)).toEqual(Array.from({ length: 5 }, () => 'not-observable'));
  });

  it('answers for the others when one hangs the bus, and asks the bus no more while it does', async () => {
    addDevice('0000:1a:00.0');
    addDevice('0000:3b:00.0');
    const clock = manualClock();
    const asked: string[] = [];
    const { pciGpus, gaps } = await read({
      clock,
      readFile: (path) => {
        asked.push(path);
        setImmediate(() => clock.advance(500));
        return new Promise(() => undefined);
      },
    });
    expect(asked.length).toBe(1);
    expect(pciGpus?.map(({ pciAddress, respondsOnBus }) => [pciAddress, respondsOnBus])).toEqual([
      ['0000:1a:00.0', null],
      ['0000:3b:00.0', null],
    ]);
    expect(gaps.length).toBe(10);
    expect(gaps.every(({ reason }) => reason === 'timeout')).toBe(true);
  });

  it('tells what may not be read', async () => {
    addDevice('0000:3b:00.0');
    const { pciGpus, gaps } = await read({
      readFile: async () => {
        throw failure('EACCES');
      },
    });
    expect(pciGpus?.[0]?.respondsOnBus).toBeNull();
    expect(gaps[0]).toMatchObject({ field: 'hostDevices.pciGpus.respondsOnBus', reason: 'no-permission' });
  });

  it('has null, not none, without a bus', async () => {
    rmSync(join(root, 'bus'), { recursive: true });
    const { pciGpus, gaps } = await read();
    expect(pciGpus).toBeNull();
    expect(gaps).toMatchObject([{ field: 'hostDevices.pciGpus', reason: 'not-observable' }]);
  });

  it('bounds what it lists', async () => {
    for (let device = 0; device < 5; device += 1) addDevice(`0000:0${device}:00.0`);
    const { pciGpus, gaps } = await read({ maximumGpus: 3 });
    expect(pciGpus?.length).toBe(3);
    expect(gaps).toMatchObject([{ field: 'hostDevices.pciGpus' }]);
  });

  it('rejects when the signal aborts, also while a device hangs', async () => {
    addDevice('0000:3b:00.0');
    const late = AbortSignal.abort(new DOMException('late', 'TimeoutError'));
    const devices = createHostDevices({ sysRoot: root });
    await expect(devices.read(late)).rejects.toMatchObject({ code: 'TIMEOUT' });
    const abort = new AbortController();
    const hanging = createHostDevices({
      sysRoot: root,
      clock: manualClock(),
      readFile: () => {
        setImmediate(() => abort.abort());
        return new Promise(() => undefined);
      },
    });
    await expect(hanging.read(abort.signal)).rejects.toMatchObject({ code: 'CANCELLED' });
  });
});

describe('createHostDevices: the device nodes', () => {
  it('lists those of GPUs, by number', async () => {
    for (const name of [
      'nvidia10',
      'nvidia2',
      'nvidia0',
      'nvidiactl',
      'nvidia-uvm',
      'nvidia01',
      'nvidia-caps',
    ]) {
      symlinkSync('/dev/null', join(root, 'dev', name));
    }
    const { deviceNodes, gaps } = await read();
    expect(deviceNodes?.map(({ minorNumber }) => minorNumber)).toEqual([0, 2, 10]);
    expect(deviceNodes?.[0]).toEqual({ path: join(root, 'dev/nvidia0'), minorNumber: 0, accessible: true });
    expect(gaps).toEqual([]);
  });

  it('takes only character devices: a container runtime makes folders of missing ones', async () => {
    mkdirSync(join(root, 'dev/nvidia0'));
    symlinkSync('/nowhere', join(root, 'dev/nvidia1'));
    const { deviceNodes, gaps } = await read();
    expect(deviceNodes).toEqual([]);
    expect(gaps).toEqual([
      {
        field: 'hostDevices.deviceNodes',
        reason: 'error',
        detail: `${join(root, 'dev/nvidia0')} is not a character device`,
      },
    ]);
  });

  it('has null, not none, without /dev', async () => {
    const { deviceNodes, gaps } = await read({ devRoot: join(root, 'nowhere') });
    expect(deviceNodes).toBeNull();
    expect(gaps).toMatchObject([{ field: 'hostDevices.deviceNodes', reason: 'not-observable' }]);
  });
});

describe('link attributes', () => {
  it('speeds of every generation, in the old spelling too', () => {
    const speeds = {
      '2.5 GT/s PCIe': 2.5,
      '5.0 GT/s PCIe': 5,
      '8 GT/s': 8,
      '16.0 GT/s PCIe': 16,
      '64.0 GT/s PCIe': 64,
    };
    for (const [text, speed] of Object.entries(speeds)) expect(parseLinkSpeed(text)).toBe(speed);
    for (const text of [
      'Unknown',
      'Unknown speed',
      '',
      '0 GT/s',
      '-8 GT/s',
      '8 GT/s PCIe x',
      '133 MHz PCI-X',
    ]) {
      expect(parseLinkSpeed(text)).toBeUndefined();
    }
  });

  it('widths that links have', () => {
    expect(['1', '2', '4', '8', '12', '16', '32'].map(parseLinkWidth)).toEqual([1, 2, 4, 8, 12, 16, 32]);
    for (const text of ['0', '255', '63', '', 'x16', '1e1']) expect(parseLinkWidth(text)).toBeUndefined();
  });
});
