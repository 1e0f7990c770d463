import { describe, expect, test } from 'vitest';
import { h100Node, h100Ref, h100Sample } from '../../test/h100.ts';
import { deviceNodesOf, fellOffTheBus, h100Bus, h100Host, record, rig, turn } from '../../test/rig.ts';
import { GpuError } from '../errors.ts';
import type { HostDevices } from '../ports/host-devices.ts';

const tools = ['get_gpu_health', 'get_gpu_inventory'] as const;
const covered = { readable: true, gpuCount: 8, deviceNodeCount: 8 };

describe.each(tools)('%s with the bus at hand', (name) => {
  test('a machine on which all agree: nothing is found, the coverage says what was seen', async () => {
    const answer = await rig({ host: h100Host() }).answer(name);
    expect(answer.coverage['pciBus']).toEqual(covered);
    expect(answer).toMatchObject({ findings: [], gaps: [], nextSteps: [] });
  });

  test('without the port nothing is said of it', async () => {
    expect((await rig().answer(name)).coverage).not.toHaveProperty('pciBus');
  });

  test('a GPU that the driver does not list makes the node critical', async () => {
    const answer = await rig({ gpus: h100Node({}, 7), host: h100Host() }).answer(name);
    expect(answer).toMatchObject({
      verdict: 'critical',
      findings: [
        { ruleId: 'gpu.missing-from-driver', action: 'monitor', evidence: [{ value: '0000:db:00.0' }] },
      ],
    });
    expect(answer.summary).toContain('0000:db:00.0');
    expect(answer.findings[0]).not.toHaveProperty('gpu');
  });

  test('but is no matter of the one GPU that was asked for', async () => {
    const answer = await rig({ gpus: h100Node({}, 7), host: h100Host() }).answer(name, { gpu: 0 });
    expect(answer.findings).toEqual([]);
  });

  test('a GPU without its device file, by the minor number the driver tells', async () => {
    const gpus = h100Node({ 4: h100Sample(4, { identity: { minorNumber: 9 } }) });
    const host = h100Host({ deviceNodes: deviceNodesOf(0, 1, 2, 3, 4, 5, 6, 7) });
    const answer = await rig({ gpus, host }).answer(name);
    expect(answer.findings).toMatchObject([
      { ruleId: 'gpu.without-device-node', gpu: 4, verdict: 'warning' },
    ]);
  });

  test('a bus that cannot be read is a gap, and the GPUs are told all the same', async () => {
    const gap = { field: 'pciBus', reason: 'no-permission', detail: 'EACCES' } as const;
    const host = h100Host({ pciGpus: null, deviceNodes: null, gaps: [gap] });
    const answer = await rig({ host }).answer(name);
    expect(answer.coverage['pciBus']).toEqual({ readable: false, gpuCount: null, deviceNodeCount: null });
    expect(answer).toMatchObject({ gaps: [gap], findings: [], gpus: { length: 8 } });
  });

  test('an adapter that fails does not take the GPUs with it, and its words are not shown', async () => {
    const host: HostDevices = { read: () => Promise.reject(new TypeError('secret detail')) };
    const { answer, errors } = rig({ host });
    const told = await answer(name);
    expect(told).toMatchObject({ gaps: [{ field: 'pciBus', reason: 'error' }], gpus: { length: 8 } });
    expect(JSON.stringify(told)).not.toContain('secret');
    expect(errors).toMatchObject([{ error: expect.any(TypeError) }]);
  });

  test('an adapter that is deaf to its signal holds nothing up', async () => {
    const { clock, call } = rig({ host: { read: () => new Promise(() => {}) } });
    const work = call(name);
    await turn();
    clock.advance(9_500);
    await turn();
    clock.advance(300);
    expect(await work).toMatchObject({
      structuredContent: { gaps: [{ field: 'pciBus', reason: 'timeout' }], gpus: { length: 8 } },
    });
  });
});

describe('get_gpu_health', () => {
  test('a dead configuration space makes its GPU critical though the driver answers', async () => {
    const host = h100Host({ pciGpus: h100Bus({ 2: { respondsOnBus: false } }) });
    const answer = await rig({ host }).answer('get_gpu_health');
    expect(answer.gpus[2]).toMatchObject({ index: 2, verdict: 'critical', action: 'monitor' });
    expect(answer.gpus[3]).toMatchObject({ verdict: 'ok' });
  });

  test('and is confirmed when the driver has lost it too', async () => {
    const host = h100Host({ pciGpus: h100Bus({ 2: { respondsOnBus: false } }) });
    const gpus = h100Node({ 2: new GpuError('GPU_LOST', 'GPU is lost') });
    const answer = await rig({ host, gpus }).answer('get_gpu_health');
    expect(
      answer.findings.filter(({ action }) => action === 'reboot-node').map(({ ruleId }) => ruleId),
    ).toEqual(expect.arrayContaining(['gpu.lost', 'gpu.config-space-dead']));
  });

  test('also when the driver no longer knows where the GPU is: one address is left over', async () => {
    const host = h100Host({ pciGpus: h100Bus({ 2: { respondsOnBus: false } }) });
    const node = h100Node({ 2: new GpuError('GPU_LOST', 'GPU is lost') });
    const gpus = node.map((gpu, index) =>
      index === 2 ? { ...gpu, ref: { ...h100Ref(2), uuid: null, pciAddress: null, name: null } } : gpu,
    );
    const { answer } = rig({ host, gpus });
    const health = await answer('get_gpu_health');
    expect(health.findings.map(({ ruleId, gpu, action }) => [ruleId, gpu, action])).toEqual([
      ['gpu.lost', 2, 'reboot-node'],
      ['gpu.config-space-dead', 2, 'reboot-node'],
    ]);
    const inventory = await answer('get_gpu_inventory');
    expect(inventory.findings).toMatchObject([
      {
        ruleId: 'gpu.config-space-dead',
        gpu: 2,
        action: 'reboot-node',
        evidence: [{}, {}, { value: 'lost' }],
      },
    ]);
    expect(inventory.nextSteps[0]).toMatchObject({ action: 'reboot-node' });
  });

  test('a GPU lent to a virtual machine is told and changes nothing', async () => {
    const host = h100Host({ pciGpus: h100Bus({ 7: { driver: 'vfio-pci' } }) });
    const answer = await rig({ host, gpus: h100Node({}, 7) }).answer('get_gpu_health');
    expect(answer).toMatchObject({
      verdict: 'ok',
      score: 100,
      summary: '7 GPUs: 7 ok.',
      findings: [{ ruleId: 'gpu.bound-to-other-driver', verdict: 'ok' }],
      nextSteps: [],
    });
  });

  test('what the identity lacks is no gap of the verdict, but the minor number is', async () => {
    const denied = (field: string) => ({ gpu: 0, field, reason: 'no-permission', detail: 'x' }) as const;
    const sample = h100Sample(0, { identity: { minorNumber: null, serial: null } }, [
      denied('identity.minorNumber'),
      denied('identity.serial'),
    ]);
    const answer = await rig({ host: h100Host(), gpus: h100Node({ 0: sample }) }).answer('get_gpu_health');
    expect(answer.gaps).toEqual([denied('identity.minorNumber')]);
  });

  test('a crash of the library is a warning that asks only to be watched', async () => {
    const gpus = h100Node({ 6: new GpuError('ADAPTER_CRASHED', 'the helper was ended by SIGSEGV') });
    const answer = await rig({ gpus }).answer('get_gpu_health');
    expect(answer.verdict).toBe('warning');
    expect(answer.gpus[6]).toMatchObject({ state: 'unreadable', verdict: 'warning', action: 'monitor' });
    expect(answer.findings).toMatchObject([
      { ruleId: 'driver.library-crashed', gpu: 6, evidence: [{ value: 'the helper was ended by SIGSEGV' }] },
      { ruleId: 'gpu.unreadable' },
    ]);
  });

  test('a GPU that the driver is slow for stands out, and full tells the time of each', async () => {
    const timed = (index: number, probeMilliseconds: number) => ({ ...h100Sample(index), probeMilliseconds });
    const gpus = h100Node(
      Object.fromEntries(
        Array.from({ length: 8 }, (_, index) => [index, timed(index, index === 5 ? 4_200 : 21)]),
      ),
    );
    const answer = await rig({ gpus }).answer('get_gpu_health', { detail: 'full' });
    expect(answer.findings).toMatchObject([{ ruleId: 'driver.slow', gpu: 5, verdict: 'warning' }]);
    expect(answer.findings[0]?.['what']).toContain('4.2 s');
    expect(answer.gpus.map((gpu) => gpu['probeMilliseconds'])).toEqual([21, 21, 21, 21, 21, 4_200, 21, 21]);
  });
});

describe('while the driver as a whole cannot be asked', () => {
  const describe_ = new GpuError('DRIVER_UNRESPONSIVE', 'the driver hung');

  test.each(tools)('%s lists the GPUs of the bus, without an index, and is never ok', async (name) => {
    const answer = await rig({ describe: describe_, host: h100Host() }).answer(name);
    expect(answer.verdict).toBe('unknown');
    expect(answer.gpus).toHaveLength(8);
    expect(answer.gpus[0]).toMatchObject({
      index: null,
      uuid: null,
      state: 'unreadable',
      verdict: 'unknown',
      pciAddress: h100Ref(0).pciAddress,
      deviceId: '2330',
      driver: 'nvidia',
      respondsOnBus: true,
      currentLinkWidthLanes: 16,
    });
    expect(answer.coverage).toMatchObject({ pciBus: covered, gpuBackend: { readable: false } });
    expect(answer.summary).toContain('The PCI bus has 8 GPUs.');
    expect(answer.findings).toEqual([]);
  });

  test.each(tools)('%s says what the bus shows of a GPU', async (name) => {
    const host = h100Host({ pciGpus: h100Bus({ 5: { respondsOnBus: false } }) });
    const answer = await rig({ describe: describe_, host }).answer(name);
    expect(answer.verdict).toBe('critical');
    expect(answer.gpus.map((gpu) => gpu['verdict'])).toEqual([
      ...Array.from({ length: 5 }, () => 'unknown'),
      'critical',
      'unknown',
      'unknown',
    ]);
    expect(answer.findings).toMatchObject([{ ruleId: 'gpu.config-space-dead', action: 'monitor' }]);
    expect(answer.nextSteps[0]).toMatchObject({ action: 'monitor' });
    expect(answer.nextSteps[0]).not.toHaveProperty('tool');
  });

  test('the kernel log of the same address confirms it', async () => {
    const host = h100Host({ pciGpus: h100Bus({ 5: { respondsOnBus: false } }) });
    const log = [record(fellOffTheBus('0000:ab:00'))];
    const answer = await rig({ describe: describe_, host, log }).answer('get_gpu_health');
    const actions = Object.fromEntries(answer.findings.map(({ ruleId, action }) => [ruleId, action]));
    expect(actions).toEqual({ 'log.xid-79': expect.any(String), 'gpu.config-space-dead': 'reboot-node' });
    expect(answer.gpus[5]).toMatchObject({ verdict: 'critical', score: null });
  });

  test.each(tools)('%s: a crash of the library is a finding of the node', async (name) => {
    const crash = new GpuError('ADAPTER_CRASHED', 'the helper was ended by SIGABRT');
    const answer = await rig({ describe: crash }).answer(name);
    expect(answer).toMatchObject({ verdict: 'warning', findings: [{ ruleId: 'driver.library-crashed' }] });
  });

  test.each(tools)('%s: GPUs without a kernel driver, told once', async (name) => {
    const unbound = Object.fromEntries(Array.from({ length: 8 }, (_, index) => [index, { driver: null }]));
    const describe = new GpuError('DRIVER_NOT_LOADED', 'no driver');
    const host = h100Host({ pciGpus: h100Bus(unbound), deviceNodes: [] });
    const answer = await rig({ describe, host }).answer(name);
    expect(answer.verdict).toBe('warning');
    expect(answer.findings).toMatchObject([{ ruleId: 'gpu.without-driver', evidence: { length: 8 } }]);
  });

  test.each(tools)('%s tells the bus even when the driver hangs until the deadline', async (name) => {
    const { clock, call } = rig({ describe: 'hang', host: h100Host() });
    const work = call(name);
    await turn();
    clock.advance(9_500);
    expect(await work).toMatchObject({ structuredContent: { verdict: 'unknown', gpus: { length: 8 } } });
  });
});
