import { hostname } from 'node:os';
import { describe, expect, it } from 'vitest';
import { HostCheck, isLoopbackAddress, normalizeHost, OriginCheck } from './security.ts';

describe('normalizeHost', () => {
  it.each([
    ['LocalHost:8080', 'localhost'],
    ['example.com.', 'example.com'],
    ['10.0.0.1:80', '10.0.0.1'],
    ['[::1]:80', '[::1]'],
    ['::1', '[::1]'],
    ['[0:0:0:0:0:0:0:1]', '[::1]'],
    ['evil@localhost', undefined],
    ['localhost/x', undefined],
    ['localhost:80:80', undefined],
    ['a b', undefined],
    ['', undefined],
    ['[::zz]', undefined],
  ])('%s', (value, expected) => {
    expect(normalizeHost(value)).toBe(expected);
  });
});

describe('isLoopbackAddress', () => {
  it.each(['127.0.0.1', '127.8.9.10', '::1', '[::1]', 'localhost', '::ffff:127.0.0.1'])(
    '%s is',
    (address) => {
      expect(isLoopbackAddress(address)).toBe(true);
    },
  );
  it.each([
    '0.0.0.0',
    '::',
    '10.1.2.3',
    '128.0.0.1',
    'example.com',
    'localhost.example.com',
    '127.0.0.1.nip.io',
    '',
  ])('%s is not', (address) => {
    expect(isLoopbackAddress(address)).toBe(false);
  });
});

describe('HostCheck', () => {
  let interfaces = ['10.42.0.7', 'fe80::1'];
  const check = new HostCheck(
    { boundAddress: '192.0.2.10', allowedHosts: ['gpu.example.com', 'other.example.com:8443'] },
    () => interfaces,
  );
  it.each([
    'localhost',
    'localhost:8080',
    '127.0.0.1:1',
    '[::1]:8080',
    '192.0.2.10:8080',
    '10.42.0.7:8080',
    '[fe80::1]:8080',
    'gpu.example.com',
    'GPU.example.com:443',
    'other.example.com',
    'gpu-agent.monitoring.svc:8080',
    'gpu-agent.monitoring.svc.cluster.local',
    hostname(),
  ])('%s passes', (host) => {
    expect(check.allows(host)).toBe(true);
  });
  it.each([
    undefined,
    '',
    'evil.example.com',
    'localhost.evil.example.com',
    'evil@localhost',
    '203.0.113.5',
    '10.42.0.8:8080',
    '[fe80::2]',
    'svc.evil.example.com',
    'x.svc.cluster.local.evil.example.com',
    'x.svc.evil.com',
    '.svc',
  ])('%s does not', (host) => {
    expect(check.allows(host)).toBe(false);
  });
  it('sees an address that appears later', () => {
    interfaces = ['10.42.0.8'];
    expect(check.allows('10.42.0.8')).toBe(true);
    expect(check.allows('10.42.0.7')).toBe(false);
  });
});

describe('OriginCheck', () => {
  const check = new OriginCheck(['https://console.example.com', 'any.example.com', 'moz-extension://abc']);
  it.each([
    undefined,
    'http://localhost',
    'http://localhost:6274',
    'https://127.0.0.1:1',
    'http://[::1]:80',
    'https://console.example.com',
    'http://any.example.com:81',
    'moz-extension://abc',
  ])('%s passes', (origin) => {
    expect(check.allows(origin)).toBe(true);
  });
  it.each([
    '',
    'null',
    'http://console.example.com',
    'https://console.example.com:444',
    'https://evil.example.com',
    'http://localhost.evil.example.com',
    'file://localhost/x',
    'moz-extension://def',
    'not a url',
  ])('%s does not', (origin) => {
    expect(check.allows(origin)).toBe(false);
  });
});
