import { describe, expect, test } from 'vitest';
import { formatPciAddress, formatPciDevice, parsePciAddress, pciDeviceKey } from './pci-address.ts';

describe('spellings of one device join on one key', () => {
  test.each([
    // The driver's log, its tools, sysfs, lspci, and the log with its prefix.
    ['0000:3b:00', '0000:3b:00'],
    ['00000000:3B:00.0', '0000:3b:00'],
    ['0000:3b:00.0', '0000:3b:00'],
    ['3b:00.0', '0000:3b:00'],
    ['3b:00', '0000:3b:00'],
    ['PCI:0000:3b:00', '0000:3b:00'],
    ['pci:0000:3B:00', '0000:3b:00'],
    [' 0000:3b:00.0\n', '0000:3b:00'],
    // GB200: one PCI domain per GPU.
    ['0018:01:00', '0018:01:00'],
    ['00000018:01:00.0', '0018:01:00'],
    ['18:01:00', '0018:01:00'],
    // A domain that needs more than four digits (virtual machines on Hyper-V).
    ['10000:00:1f', '10000:00:1f'],
    ['0001a3f0:00:02.0', '1a3f0:00:02'],
    ['ffffffff:ff:1f.7', 'ffffffff:ff:1f'],
  ])('%j', (spelling, key) => {
    expect(pciDeviceKey(spelling)).toBe(key);
  });

  test('two devices, domains or buses never join', () => {
    const keys = ['0000:3b:00', '0000:3b:01', '0000:3c:00', '0018:3b:00', '10000:3b:00'].map(pciDeviceKey);
    expect(new Set(keys).size).toBe(5);
  });
});

test.each([
  '',
  '0',
  '3b',
  'gpu',
  '0000:3b:00.8', // functions end at 7
  '0000:3b:00.0.0',
  '123456789:3b:00', // nine digits
  '0000:3bb:00',
  '0000:3g:00',
  '0000-3b-00',
  'MIG-0000:3b:00',
  '0000:3b:00 and more',
  'GPU-5f3a0e52-6c1d-4b7e-9a44-0d9f7c3b1e10',
])('%j is no address', (text) => {
  expect(parsePciAddress(text)).toBeUndefined();
});

test('nothing has no key', () => {
  expect(pciDeviceKey(null)).toBeUndefined();
  expect(pciDeviceKey(undefined)).toBeUndefined();
});

test('formats as the log and as sysfs print it', () => {
  const address = parsePciAddress('00000000:AF:0A.3');
  expect(address).toEqual({ domain: 0, bus: 0xaf, device: 0x0a, function: 3 });
  expect(formatPciDevice(address!)).toBe('0000:af:0a');
  expect(formatPciAddress(address!)).toBe('0000:af:0a.3');
  expect(formatPciAddress({ domain: 0x18, bus: 1, device: 0 })).toBe('0018:01:00.0');
});

test('every formatted address parses to itself', () => {
  for (const domain of [0, 0x18, 0xffff, 0x10000, 0xffffffff]) {
    for (const bus of [0, 0x3b, 0xff]) {
      for (const device of [0, 0x1f]) {
        const address = { domain, bus, device, function: 1 };
        expect(parsePciAddress(formatPciAddress(address))).toEqual(address);
      }
    }
  }
});
