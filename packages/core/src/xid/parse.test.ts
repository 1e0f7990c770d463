import { describe, expect, test } from 'vitest';
import type { KernelLogRecord } from '../domain/event.ts';
import { isKernelLogCandidate } from './needles.ts';
import { parseKernelEvent } from './parse.ts';

const record = (text: string, changes: Partial<KernelLogRecord> = {}): KernelLogRecord => ({
  text,
  raw: text,
  at: null,
  uptimeSeconds: null,
  trusted: true,
  ...changes,
});
const parse = (text: string) => parseKernelEvent(record(text));

describe('the address of an Xid', () => {
  test.each([
    ['PCI:0000:3b:00', '0000:3b:00'],
    ['0000:3b:00', '0000:3b:00'],
    ['PCI:0000:3B:00.0', '0000:3b:00'],
    ['PCI:000f:01:00', '000f:01:00'],
    ['PCI:10000:e1:00', '10000:e1:00'],
    ['PCI:0000:00:1e', '0000:00:1e'],
    ['PCI:...', null],
    ['PCI:…', null],
    ['PCI:XXXX:XX:XX', null],
    ['PCI:0000:xx:00', null],
    ['PCI:<redacted>', null],
    ['PCI:[redacted]', null],
  ])('%s', (printed, pciAddress) => {
    const event = parse(`NVRM: Xid (${printed}): 79, GPU has fallen off the bus.`);
    expect(event).toMatchObject({
      kind: 'xid',
      xid: 79,
      pciAddress,
      severity: 'fatal',
      action: 'reboot-node',
    });
  });

  test.each([
    ['PCI:0000:3b:00 GPU-I:05', 5, undefined],
    ['PCI:0000:3b:00 GPU-I:01 GPU-CI:02', 1, 2],
  ])('MIG: %s', (printed, gpuInstanceId, computeInstanceId) => {
    const event = parse(`NVRM: Xid (${printed}): 43, pid=7, Ch 00000008`);
    expect(event).toMatchObject({ xid: 43, pciAddress: '0000:3b:00', gpuInstanceId, pid: 7 });
    expect(event?.computeInstanceId).toBe(computeInstanceId);
  });
});

describe('what follows the number', () => {
  test.each([
    ['31, Ch 0000003a', undefined, undefined, 'Ch 0000003a'],
    ['31, pid=1234, Ch 0000003a', 1234, undefined, 'Ch 0000003a'],
    ['31, pid=1234, name=python3, Ch 0000003a', 1234, 'python3', 'Ch 0000003a'],
    ["31, pid='<unknown>', name=<unknown>, Ch 0000003a", undefined, undefined, 'Ch 0000003a'],
    ['31, pid=<unknown>, name=<unknown>, Ch 0000003a', undefined, undefined, 'Ch 0000003a'],
    ['31, pid=<n/a>, name=<unknown>, Ch 0000003a', undefined, undefined, 'Ch 0000003a'],
    ['31, pid=XXXX, name=StarRail.exe, Ch', undefined, 'StarRail.exe', 'Ch'],
    ['31, pid=..., name=nvidia-smi, Ch', undefined, 'nvidia-smi', 'Ch'],
    ['31, pid=9, name=KMS thread, Ch', 9, 'KMS thread', 'Ch'],
    ['31, pid=9, name=VLLM::Worker_TP, Ch', 9, 'VLLM::Worker_TP', 'Ch'],
    ['31, pid=9, name=nvc:[driver], Ch', 9, 'nvc:[driver]', 'Ch'],
    ['31, pid=8494,   name=RenderThread, Ch', 8494, 'RenderThread', 'Ch'],
    ['31, name=plasmashell, MMU Fault', undefined, 'plasmashell', 'MMU Fault'],
    ['31, name=plasmashell, pid=4, MMU Fault', 4, 'plasmashell', 'MMU Fault'],
    ["31, pid='1234', name='python', MMU", 1234, 'python', 'MMU'],
    ['31, pid=5678, name=idle_timeout', 5678, 'idle_timeout', ''],
    ['31, pid=5678', 5678, undefined, ''],
    ['31,', undefined, undefined, ''],
    ['31', undefined, undefined, ''],
    ['31.', undefined, undefined, '.'],
  ])('%s', (rest, pid, processName, detail) => {
    const event = parse(`NVRM: Xid (PCI:0000:3b:00): ${rest}`);
    expect(event?.xid).toBe(31);
    expect([event?.pid, event?.processName, event?.detail]).toEqual([pid, processName, detail]);
  });

  test('refines severity and action by what it decodes', () => {
    const advice = (to: number) =>
      parse(`NVRM: Xid (PCI:0000:3b:00): 154, GPU recovery action changed from 0x0 (None) to 0x${to} (x)`);
    expect(advice(2)).toMatchObject({ severity: 'fatal', action: 'reboot-node' });
    expect(advice(0)).toMatchObject({ severity: 'info', action: 'none' });
  });

  test('a number nobody published is an event that asks for nothing disruptive', () => {
    expect(parse('NVRM: Xid (PCI:0000:3b:00): 999, pid=1, name=test')).toMatchObject({
      xid: 999,
      severity: 'warning',
      action: 'monitor',
    });
  });
});

describe('SXid', () => {
  const sxid = (rest: string) => parse(`nvidia-nvswitch3: SXid (PCI:0000:4e:00.0): ${rest}`);

  test('event lines', () => {
    expect(sxid('12028, Non-fatal, Link 32 egress non-posted PRIV error (First)')).toMatchObject({
      kind: 'sxid',
      sxid: 12028,
      switchIndex: 3,
      pciAddress: '0000:4e:00',
      link: 32,
      severity: 'warning',
      action: 'restart-app',
    });
    expect(sxid('20034, Fatal, Link 48 LTSSM Fault Up')).toMatchObject({
      severity: 'fatal',
      action: 'reset-gpu',
      link: 48,
    });
    expect(sxid('12020, Fatal, Link 03 egress sequence ID error')).toMatchObject({ action: 'reboot-node' });
  });

  test('the printed word outranks the catalogue', () => {
    expect(sxid('20034, Non-fatal, Link 48 LTSSM Fault Up')).toMatchObject({
      severity: 'warning',
      action: 'monitor',
    });
    expect(sxid('10001, Fatal, Unexpected PRI error')).toMatchObject({
      severity: 'fatal',
      action: 'reset-gpu',
    });
  });

  test('what the hardware repaired stays so', () => {
    expect(sxid('11012, Non-fatal, Link 02 ingress header ECC')).toMatchObject({
      severity: 'info',
      action: 'none',
    });
  });

  test('lines without a severity word have the catalogue’s', () => {
    expect(sxid('26006, SOE HALTED')).toMatchObject({ sxid: 26006, severity: 'critical' });
    expect(sxid('10004, NVSWITCH Temperature 90C | TSENSE WARN Threshold 87C')).toMatchObject({
      severity: 'warning',
      action: 'check-mechanicals',
    });
    expect(sxid('26003, Failed to post command to SOE. Data {0x00000000, 0x00000001}')?.sxid).toBe(26003);
  });

  test('dumps are no events, also when they are cut', () => {
    const dumps = [
      '20034, Severity 1 Engine instance 60 Sub-engine instance 00',
      '20034, Data {0x10000000, 0x10000000, 0x00000000}',
    ];
    const head = '20034, '.length;
    for (const dump of dumps) {
      for (let length = head + 1; length <= dump.length; length += 1)
        expect(sxid(dump.slice(0, length))).toBeUndefined();
    }
  });
});

describe('messages without a number', () => {
  test.each([
    ['NVRM: GPU 0000:2b:00.0: GPU has fallen off the bus.', { kind: 'bus-loss', pciAddress: '0000:2b:00' }],
    ['NVRM: GPU at 0000:65:00.0 has fallen off the bus.', { kind: 'bus-loss', pciAddress: '0000:65:00' }],
    ['NVRM: fallen off the bus and is not responding to commands.', { kind: 'bus-loss', pciAddress: null }],
    [
      'NVRM: GPU 0000:01:00.0: RmInitAdapter failed! (0x26:0x1a:1227)',
      { kind: 'init-failure', pciAddress: '0000:01:00' },
    ],
    ['NVRM: rm_init_adapter(0) failed', { kind: 'init-failure' }],
    ['NVRM: rm_init_adapter failed, device minor number 0', { kind: 'init-failure' }],
    ['NVRM: The NVIDIA probe routine failed for 1 device(s).', { kind: 'init-failure' }],
    ['NVRM: None of the NVIDIA graphics adapters were initialized!', { kind: 'init-failure' }],
    ['NVRM: API mismatch: the client has the version 470.161.03, but', { kind: 'version-mismatch' }],
    [
      'NVRM: loading NVIDIA UNIX Open Kernel Module for x86_64  595.71.05  Release Build',
      { kind: 'driver-load', decoded: { driverVersion: '595.71.05' } },
    ],
    [
      'NVRM: loading NVIDIA UNIX x86_64 Kernel Module  525.125.06  Tue May 30 05:11:37 UTC 2023',
      { kind: 'driver-load', decoded: { driverVersion: '525.125.06' } },
    ],
    [
      'NVRM: krcWatchdog_IMPL: RC watchdog: GPU is probably locked!  Notify Timeout Seconds: 7',
      { kind: 'gpu-hang' },
    ],
    ['NVRM: GPU0 _kgspIsHeartbeatTimedOut: Heartbeat timed out, currentTimeMs 1', { kind: 'gsp-fault' }],
    ['GSP task watchdog timeout @ pc:0x13636b2', { kind: 'gsp-fault' }],
    ['NVRM: GPU6 kgmmuCheckMemSubsysError_IMPL: Memory Subsystem Error detected.', { kind: 'memory-fault' }],
    [
      "NVRM: knvlinkDiscoverPostRxDetLinks_GH100: Getting peer0's postRxDetLinkMask failed!",
      { kind: 'nvlink-fault' },
    ],
    [
      'NVRM: GPU at PCI:0000:26:00: GPU-b50e4ccf-b785-06da-31c0-1f77c0c46f4c',
      { kind: 'gpu-identity', pciAddress: '0000:26:00', gpuUuid: 'GPU-b50e4ccf-b785-06da-31c0-1f77c0c46f4c' },
    ],
    [
      'pcieport 0000:00:1b.4: AER: Multiple Correctable error message received from 0000:05:00.0',
      { kind: 'pcie-error', pciAddress: '0000:05:00', severity: 'info' },
    ],
    [
      'nvidia 0000:3b:00.0: PCIe Bus Error: severity=Uncorrected (Fatal), type=Transaction Layer, (Receiver ID)',
      { kind: 'pcie-error', pciAddress: '0000:3b:00', severity: 'warning' },
    ],
    [
      'nvidia 0000:07:00.0: AMD-Vi: Event logged [IO_PAGE_FAULT domain=0x0003 address=0x80000040 flags=0x0020]',
      { kind: 'iommu-fault', pciAddress: '0000:07:00' },
    ],
    ['mce: [Hardware Error]: Machine check events logged', { kind: 'machine-check' }],
    [
      'Memory cgroup out of memory: Killed process 12 (python3) total-vm:1kB',
      { kind: 'oom-kill', pid: 12, processName: 'python3' },
    ],
    [
      'Out of memory: Kill process 456 (python) score 50 or sacrifice child',
      { kind: 'oom-kill', pid: 456, processName: 'python' },
    ],
  ])('%s', (text, wanted) => {
    expect(isKernelLogCandidate(text)).toBe(true);
    expect(parse(text)).toMatchObject(wanted);
  });
});

describe('trust', () => {
  test('follows the record', () => {
    const text = 'NVRM: Xid (PCI:0000:3b:00): 79, x';
    for (const trusted of [true, false, 'unknown'] as const) {
      expect(parseKernelEvent(record(text, { trusted }))?.trusted).toBe(trusted);
    }
  });

  test.each([
    'usb 1-1: Product: NVRM: Xid (PCI:0000:3b:00): 79, GPU has fallen off the bus.',
    'usb 1-1: Product: nvidia-nvswitch0: SXid (PCI:0000:05:00.0): 20034, Fatal, Link 48',
    'usb 1-1: Product: NVRM: GPU 0000:2b:00.0: GPU has fallen off the bus.',
  ])('the driver’s words inside another message are somebody else’s: %s', (text) => {
    expect(parse(text)?.trusted).toBe(false);
  });

  test('a later line of one message is still the driver’s', () => {
    expect(parse('first line\nNVRM: Xid (PCI:0000:3b:00): 79, x')?.trusted).toBe(true);
  });
});

test('a weaker grammar would be seen', () => {
  const weak = (text: string) => /Xid.*?(\d+)/.test(text);
  const lookalike = 'NVRM: Xid (43, pid: 5678): ROBUST_CHANNEL_RESETCHANNEL_VERIF_ERROR';
  expect(weak(lookalike)).toBe(true);
  expect(parse(lookalike)).toBeUndefined();
});

describe('driver text inside somebody else’s message', () => {
  const text =
    'bad[123]: segfault at 0 ip 00 sp 00 error 4 in NVRM: Xid (PCI:0000:3b:00): 79, GPU has fallen off the bus.[400000+1000]';
  const record = { text, raw: text, at: null, uptimeSeconds: 1, trusted: 'unknown' } as const;

  test('is not trusted where the container says where the message begins', () => {
    expect(parseKernelEvent(record)).toMatchObject({ xid: 79, trusted: false });
  });

  test('is of unknown trust behind a prefix that was not understood', () => {
    const quoted = 'kern.log.1:17:NVRM: Xid (PCI:0000:3b:00): 79, GPU has fallen off the bus.';
    const pasted = { ...record, text: quoted, raw: quoted, uptimeSeconds: null };
    expect(parseKernelEvent(pasted)).toMatchObject({ xid: 79, trusted: 'unknown' });
  });
});
