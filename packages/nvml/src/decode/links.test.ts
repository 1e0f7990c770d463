import {
  commonAncestors,
  fabricHealthSummaries,
  fabricMisconfigurations,
  fabricStates,
  peerAccessStatuses,
} from '@k8s-gpu-mcp/core';
import { describe, expect, it } from 'vitest';
import {
  decodeAffinity,
  decodeBitErrorRate,
  decodeClusterUuid,
  decodeCommonAncestor,
  decodeFabricHealthFlag,
  decodeFabricHealthSummary,
  decodeFabricMisconfiguration,
  decodeFabricState,
  decodeFabricStatus,
  decodeNvLinkVersion,
  decodePciAddress,
  decodePeerStatus,
  decodeRemoteDeviceType,
} from './links.ts';

const reasonOf = (reading: object) => ('reason' in reading ? reading.reason : undefined);

describe('NVLink', () => {
  it.each([
    [1, '1'],
    [2, '2'],
    [3, '2.2'],
    [4, '3'],
    [5, '3.1'],
    [6, '4'],
    [7, '5'],
    [8, '6'],
  ])('version number %i is generation %s', (number, generation) => {
    expect(decodeNvLinkVersion('call', number)).toEqual({ value: generation });
  });

  it('does not guess versions', () => {
    expect(reasonOf(decodeNvLinkVersion('call', 0))).toBe('not-observable');
    expect(reasonOf(decodeNvLinkVersion('call', 9))).toBe('error');
  });

  it.each([
    [0, 'gpu'],
    [1, 'npu'],
    [2, 'switch'],
    [255, 'unknown'],
  ])('remote device type %i is %s', (number, type) => {
    expect(decodeRemoteDeviceType('call', number)).toEqual({ value: type });
  });

  it('does not guess remote device types', () => {
    expect(reasonOf(decodeRemoteDeviceType('call', 3))).toBe('error');
  });

  it.each([
    ['00000000:1B:00.0', '0000:1b:00.0'],
    ['0000:3b:00.7', '0000:3b:00.7'],
    ['00010000:9D:1F.0', '10000:9d:1f.0'],
  ])('spells %s as sysfs does: %s', (text, expected) => {
    expect(decodePciAddress('call', text)).toEqual({ value: expected });
  });

  it.each([
    ['FFFFFFFF:FF:FF.F', 'unsupported'],
    ['', 'unsupported'],
    ['switch 3', 'error'],
  ])('takes "%s" for no address', (text, reason) => {
    expect(reasonOf(decodePciAddress('call', text))).toBe(reason);
  });

  it.each([
    // mantissa in bits 8 to 11, exponent in bits 0 to 7
    [0x30c, 3e-12],
    [0xf06, 15e-6],
    [0x100, 1],
    [0x0ff, 0],
    [0xfff, 0],
    [0xfee, 15e-238],
  ])('decodes the bit error rate 0x%s', (encoded, rate) => {
    expect(decodeBitErrorRate('call', encoded)).toEqual({ value: rate });
  });

  it.each([0x1000, -1, 0.5, 0x200, Number.NaN])('takes %s for no bit error rate', (encoded) => {
    expect(reasonOf(decodeBitErrorRate('call', encoded))).toBe('error');
  });
});

describe('fabric', () => {
  it('has a word for every number of the header, and no more', () => {
    expect([0, 1, 2, 3].map((number) => decodeFabricState('call', number).value)).toEqual([...fabricStates]);
    expect([0, 1, 2, 3].map((number) => decodeFabricHealthSummary('call', number).value)).toEqual([
      ...fabricHealthSummaries,
    ]);
    expect(
      [1, 2, 3, 4, 5, 6, 7, 8].map((number) => decodeFabricMisconfiguration('call', number << 8).value),
    ).toEqual([...fabricMisconfigurations]);
    for (const reading of [
      decodeFabricState('call', 4),
      decodeFabricHealthSummary('call', 4),
      decodeFabricMisconfiguration('call', 9 << 8),
    ]) {
      expect(reasonOf(reading)).toBe('error');
    }
    expect(reasonOf(decodeFabricMisconfiguration('call', 0xff))).toBe('unsupported');
  });

  it.each([
    ['degradedBandwidth', 0],
    ['routeRecovery', 2],
    ['routeUnhealthy', 4],
    ['accessTimeoutRecovery', 6],
  ] as const)('reads %s from bits of its own', (part, shift) => {
    const others = ~(3 << shift);
    // 1 is true, 2 is false, 0 is "not reported", whatever the neighbours say.
    for (const noise of [0, others]) {
      expect(decodeFabricHealthFlag('call', part, (1 << shift) | noise).value).toBe(true);
      expect(decodeFabricHealthFlag('call', part, (2 << shift) | noise).value).toBe(false);
      expect(reasonOf(decodeFabricHealthFlag('call', part, noise))).toBe('unsupported');
      expect(reasonOf(decodeFabricHealthFlag('call', part, (3 << shift) | noise))).toBe('error');
    }
  });

  it('names how registration ended', () => {
    expect(decodeFabricStatus(0).value).toBe('NVML_SUCCESS');
    expect(decodeFabricStatus(17).value).toBe('NVML_ERROR_OPERATING_SYSTEM');
    expect(decodeFabricStatus(4242).value).toBe('unknown NVML return code 4242');
  });

  it('prints a cluster UUID, and none of zeros', () => {
    const bytes = Uint8Array.from({ length: 16 }, (_, position) => position * 17);
    expect(decodeClusterUuid('call', bytes)).toEqual({ value: '00112233-4455-6677-8899-aabbccddeeff' });
    expect(reasonOf(decodeClusterUuid('call', new Uint8Array(16)))).toBe('unsupported');
  });
});

describe('topology', () => {
  it('has a word for every number of the header, and no more', () => {
    expect([0, 10, 20, 30, 40, 50].map((level) => decodeCommonAncestor('call', level).value)).toEqual([
      ...commonAncestors,
    ]);
    expect([0, 1, 2, 3, 4, 5, 6].map((number) => decodePeerStatus('call', number).value)).toEqual([
      ...peerAccessStatuses,
    ]);
    expect(reasonOf(decodeCommonAncestor('call', 60))).toBe('error');
    expect(reasonOf(decodePeerStatus('call', 7))).toBe('error');
  });

  it('reads masks of any length, least bit first', () => {
    const mask = new Uint8Array(1024);
    expect(reasonOf(decodeAffinity('call', mask))).toBe('not-observable');
    mask[0] = 0b1000_0111;
    mask[1] = 0b1;
    mask[1023] = 0b1000_0000;
    expect(decodeAffinity('call', mask)).toEqual({ value: '0-2,7-8,8191' });
  });
});
