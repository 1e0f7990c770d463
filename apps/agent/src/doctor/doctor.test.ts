import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { GpuError } from '@k8s-gpu-mcp/core';
import { inMemoryKernelLog, stubProvider } from '@k8s-gpu-mcp/core/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { verdictOf } from '../cli/commands/doctor.ts';
import { checkBackend, checkKernelLogs, checkLibraries } from './backend-checks.ts';
import { checkDevices, checkNode, checkProcess } from './host-checks.ts';
import { type HostFacts, readHostFacts } from './host-facts.ts';

const facts = (more: Partial<HostFacts> = {}): HostFacts => ({
  userId: 0,
  capabilities: { sysAdmin: true, syslog: true },
  kernelModuleVersion: '580.95.05',
  deviceNodes: ['nvidia0', 'nvidia1', 'nvidiactl'],
  pciGpus: [
    { address: '0000:1b:00.0', driver: 'nvidia' },
    { address: '0000:43:00.0', driver: 'nvidia' },
  ],
  container: null,
  isHostPidNamespace: true,
  ...more,
});
const statuses = (checks: readonly { name: string; status: string }[]) =>
  Object.fromEntries(checks.map(({ name, status }) => [name, status]));

describe('readHostFacts', () => {
  let root: string;
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'doctor-'));
  });
  afterEach(() => rm(root, { recursive: true }));
  const put = async (path: string, text: string) => {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), text);
  };

  it('reads what the files say', async () => {
    // CapEff with bit 21 (CAP_SYS_ADMIN) set and bit 34 (CAP_SYSLOG) not.
    await put('proc/self/status', 'Name:\tnode\nUid:\t1000\t1001\t1000\t1000\nCapEff:\t0000000000200000\n');
    await put('sys/module/nvidia/version', '580.95.05\n');
    await put('dev/nvidia0', '');
    await put('dev/nvidia-uvm', '');
    await put('dev/null', '');
    await put('sys/bus/pci/devices/0000:1b:00.0/vendor', '0x10de\n');
    await put('sys/bus/pci/devices/0000:1b:00.0/class', '0x030200\n');
    await symlink('../../drivers/vfio-pci', join(root, 'sys/bus/pci/devices/0000:1b:00.0/driver'));
    // An NVSwitch (bridge) and a GPU of another vendor are no NVIDIA GPUs.
    await put('sys/bus/pci/devices/0000:05:00.0/vendor', '0x10de\n');
    await put('sys/bus/pci/devices/0000:05:00.0/class', '0x068000\n');
    await put('sys/bus/pci/devices/0000:06:00.0/vendor', '0x1002\n');
    await put('sys/bus/pci/devices/0000:06:00.0/class', '0x030000\n');
    await put('.dockerenv', '');
    expect(readHostFacts({}, root)).toEqual({
      userId: 1001,
      capabilities: { sysAdmin: true, syslog: false },
      kernelModuleVersion: '580.95.05',
      deviceNodes: ['nvidia-uvm', 'nvidia0'],
      pciGpus: [{ address: '0000:1b:00.0', driver: 'vfio-pci' }],
      container: 'a Docker container',
      isHostPidNamespace: null,
    });
  });

  it('says null for what it cannot see', () => {
    expect(readHostFacts({}, root)).toEqual({
      userId: null,
      capabilities: null,
      kernelModuleVersion: null,
      deviceNodes: [],
      pciGpus: null,
      container: null,
      isHostPidNamespace: null,
    });
  });
});

describe('host checks', () => {
  it.each([
    ['20.19.0', 'ok'],
    ['24.1.0', 'ok'],
    ['20.18.3', 'fail'],
    ['18.20.0', 'fail'],
  ])('Node.js %s is %s', (version, status) => {
    expect(checkNode(version).status).toBe(status);
  });

  it('a machine in order', () => {
    expect(statuses(checkDevices(facts(), 2))).toEqual({
      'kernel module': 'ok',
      'pci bus': 'ok',
      'device nodes': 'ok',
    });
    expect(statuses(checkProcess(facts()))).toEqual({ permissions: 'ok', container: 'ok' });
  });

  it('a GPU on the bus that the driver does not count', () => {
    const check = checkDevices(facts(), 1).find(({ name }) => name === 'pci bus');
    expect(check).toMatchObject({
      status: 'warn',
      detail: expect.stringContaining('0000:43:00.0 (nvidia); the driver counts 1'),
    });
  });

  it('no GPU, no driver, no device nodes', () => {
    const checks = checkDevices(
      facts({ pciGpus: [], kernelModuleVersion: null, deviceNodes: [] }),
      undefined,
    );
    expect(statuses(checks)).toEqual({ 'kernel module': 'fail', 'pci bus': 'fail', 'device nodes': 'warn' });
    for (const { fix } of checks) expect(fix).toBeTruthy();
  });

  it('too little permission, and a container that sees its own process ids', () => {
    const poor = facts({
      userId: 1000,
      capabilities: { sysAdmin: false, syslog: false },
      container: 'a Kubernetes pod',
      isHostPidNamespace: false,
    });
    expect(checkProcess(poor)).toMatchObject([
      { status: 'warn', fix: expect.stringContaining('CAP_SYSLOG') },
      { status: 'warn', fix: expect.stringContaining('hostPID') },
    ]);
  });
});

describe('backend checks', () => {
  it('counts GPUs and warns that they are simulated', async () => {
    const { checks, gpuCount } = await checkBackend(stubProvider({ gpus: [{}, {}] }));
    expect(gpuCount).toBe(2);
    expect(statuses(checks)).toEqual({ 'gpu backend': 'ok', simulated: 'warn' });
  });

  it.each([
    ['cannot be asked', { describe: new GpuError('NO_PERMISSION', 'not yours') }, 'fail'],
    ['has no GPU', { gpus: [] }, 'fail'],
    ['has one that cannot be identified', { gpus: [{}, { ref: { uuid: null } }] }, 'warn'],
  ] as const)('a driver that %s', async (_, options, status) => {
    const { checks } = await checkBackend(stubProvider({ ...options, manifest: { simulated: false } }));
    expect(statuses(checks)).toEqual({ 'gpu backend': status });
  });

  it('opens only libraries that exist, and closes each', async () => {
    const opened: ReturnType<typeof stubProvider>[] = [];
    const open = () => {
      const provider = stubProvider({ describe: new GpuError('LIBRARY_INVALID', 'not an NVML library') });
      opened.push(provider);
      return provider;
    };
    const checks = await checkLibraries(['/does/not/exist.so', '/'], open);
    expect(statuses(checks)).toEqual({ koffi: 'ok', 'nvml library': 'fail' });
    expect(checks[1]?.detail).toContain('not an NVML library');
    expect(opened.map(({ calls }) => calls.close)).toEqual([1]);
  });

  it('a library that loads is fine even when the driver does not answer', async () => {
    const open = () => stubProvider({ describe: new GpuError('DRIVER_NOT_LOADED', 'no driver') });
    expect(statuses(await checkLibraries(['/'], open))).toEqual({ koffi: 'ok', 'nvml library': 'ok' });
  });

  it('a helper process that dies is the fault of native code', async () => {
    const open = () => stubProvider({ describe: new GpuError('ADAPTER_CRASHED', 'it died') });
    expect(statuses(await checkLibraries(['/'], open))).toEqual({ koffi: 'fail', 'nvml library': 'warn' });
  });

  it('one readable kernel log is enough', async () => {
    const readable = { name: 'syslog', log: inMemoryKernelLog([]) };
    const skipped = [{ source: 'kmsg', reason: 'EPERM' }];
    const closed = { name: 'kmsg', log: inMemoryKernelLog([], { readable: false, skipped }) };
    const both = await checkKernelLogs([closed, readable]);
    expect(both.map(({ status }) => status)).toEqual(['ok', 'ok']);
    expect(both[0]?.detail).toContain('EPERM');
    expect((await checkKernelLogs([closed]))[0]).toMatchObject({ status: 'warn', detail: 'EPERM' });
  });
});

describe('verdict', () => {
  it('is that of the worst check', () => {
    const of = (...list: ('ok' | 'warn' | 'fail')[]) =>
      verdictOf(list.map((status) => ({ name: '', status, detail: '' })));
    expect([of('ok'), of('ok', 'warn'), of('warn', 'fail')]).toEqual(['ok', 'warning', 'critical']);
  });
});
