import { describe, expect, test } from 'vitest';
import { h100Links, h100Node, h100Sample } from '../../test/h100.ts';
import { siblingRig, tokens } from '../../test/sibling-rig.ts';
import { GpuError } from '../errors.ts';
import { inMemoryHostDevices } from '../testing.ts';

const topology = (options: Parameters<typeof siblingRig>[0] = {}, input = {}) =>
  siblingRig(options).answer('get_gpu_topology', input);

const pciGpu = {
  vendorId: '10de',
  deviceId: '2330',
  deviceClass: '3d',
  driver: 'nvidia',
  respondsOnBus: true,
  currentSpeedGigatransfersPerSecond: null,
  maxSpeedGigatransfersPerSecond: null,
  currentLinkWidthLanes: null,
  maxLinkWidthLanes: null,
} as const;

describe('a healthy HGX', () => {
  test('matrix, links, NUMA and affinity', async () => {
    const answer = await topology();
    expect(answer).toMatchObject({ verdict: 'ok', findings: [], nextSteps: [] });
    expect(answer.summary).toBe('8 GPUs, ways between pairs: NV18 x 28.');
    expect(answer.matrix.map(({ gpu }) => gpu)).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    expect(answer.matrix[2]?.to).toEqual({
      0: 'NV18',
      1: 'NV18',
      2: 'X',
      3: 'NV18',
      4: 'NV18',
      5: 'NV18',
      6: 'NV18',
      7: 'NV18',
    });
    expect(answer.gpus[5]).toEqual({
      index: 5,
      state: 'ok',
      pciAddress: '0000:ab:00.0',
      numaNode: '1',
      cpuAffinity: '48-95,144-191',
      nvlink: { links: 18, active: 18, version: '4', speedMegabytesPerSecond: 26_562, to: { switch: 18 } },
      pcie: { generation: 5, maxGeneration: 5, widthLanes: 16, maxWidthLanes: 16 },
      fabric: 'completed',
    });
  });

  test('costs under 1,500 tokens', async () => {
    expect(tokens(await topology())).toBeLessThan(1_500);
  });

  test('detail full adds each link and peer', async () => {
    const links = h100Links({ 7: { replayErrorCount: 2 } });
    const gpus = h100Node({ 0: h100Sample(0, { nvlink: { links } }) });
    const { gpus: rows } = await topology({ gpus }, { detail: 'full' });
    expect(rows[0]).toMatchObject({
      nvlink: { errorCounts: { replayErrorCount: 2 } },
      fabric: { state: 'completed', status: 'NVML_SUCCESS' },
      peers: expect.arrayContaining([
        { index: 1, pciePath: 'NODE', read: 'ok', write: 'ok', nvlink: 'ok', atomics: 'ok', pcie: 'ok' },
      ]),
    });
    const shown = rows[0]?.['links'] as Record<string, unknown>[];
    expect(shown).toHaveLength(18);
    expect(shown[7]).toMatchObject({ link: 7, replayErrorCount: 2, crcDataErrorCount: 0 });
    expect(shown[7]).not.toHaveProperty('receiveErrorCount');
  });
});

test('one GPU: its row only, judged beside its siblings', async () => {
  const links = h100Links({ 0: { active: false } });
  const gpus = h100Node({ 3: h100Sample(3, { nvlink: { links } }) });
  const sick = await topology({ gpus }, { gpu: 3 });
  expect(sick.matrix).toMatchObject([{ gpu: 3, to: { 0: 'NV17', 3: 'X' } }]);
  expect(sick).toMatchObject({
    verdict: 'critical',
    gpus: [{ index: 3, nvlink: { active: 17, inactiveLinks: [0] } }],
    findings: [{ ruleId: 'topology.nvlink-inactive', gpu: 3 }],
  });
  expect(sick.nextSteps[0]).toMatchObject({ action: 'monitor' });
  expect(sick.nextSteps[1]).toMatchObject({ tool: 'analyze_xid_errors' });
  expect(await topology({ gpus }, { gpu: 4 })).toMatchObject({ verdict: 'ok', findings: [] });
});

describe('what could not be read', () => {
  test('a lost GPU: critical, its siblings are told', async () => {
    const gpus = h100Node({ 3: new GpuError('GPU_LOST', 'GPU is lost') });
    const answer = await topology({ gpus });
    expect(answer).toMatchObject({ verdict: 'critical' });
    expect(answer.summary).toContain('GPU 3 is lost.');
    expect(answer.gpus[3]).toMatchObject({ state: 'lost', numaNode: null, cpuAffinity: null, nvlink: null });
    expect(answer.matrix[0]?.to).toMatchObject({ 1: 'NV18' });
    expect(answer.nextSteps).toMatchObject([{ tool: 'get_gpu_health' }]);
  });

  test('no links and no peers to judge by is unknown, never ok', async () => {
    const gpus = h100Node({}, 1).map((gpu) => ({
      ...gpu,
      sample: h100Sample(0, { nvlink: { links: null }, topology: { peers: null } }),
    }));
    expect(await topology({ gpus })).toMatchObject({ verdict: 'unknown', gpus: [{ nvlink: null }] });
  });

  test('links that could not be read although the product has them are unknown', async () => {
    const gap = {
      gpu: 0,
      field: 'nvlink.links',
      reason: 'error',
      detail: 'NVML_ERROR_UNKNOWN (999)',
    } as const;
    const gpus = h100Node({ 0: h100Sample(0, { nvlink: { links: null } }, [gap]) });
    expect(await topology({ gpus })).toMatchObject({ verdict: 'unknown', gaps: [gap] });
  });

  test('a product without NVLink whose peers are known is ok', async () => {
    const gpus = h100Node({ 0: h100Sample(0, { nvlink: { links: [] }, topology: { peers: [] } }) }, 1);
    const answer = await topology({ gpus });
    expect(answer).toMatchObject({ verdict: 'ok', gpus: [{ nvlink: { links: 0 } }] });
    expect(answer.summary).toBe('GPU 0, no other GPU to reach.');
  });

  test('the driver as a whole', async () => {
    const describe = new GpuError('DRIVER_NOT_LOADED', 'no driver');
    expect(await topology({ describe })).toMatchObject({ verdict: 'unknown', matrix: [], gpus: [] });
  });
});

describe('the PCI bus', () => {
  const gpus = h100Node({ 0: new GpuError('GPU_HUNG', 'no answer for GPU 0') });

  test('tells the NUMA node of a GPU whose driver does not answer', async () => {
    const hostDevices = inMemoryHostDevices({
      pciGpus: [{ ...pciGpu, pciAddress: '0000:18:00.0', numaNode: 0 }],
    });
    const answer = await topology({ gpus, hostDevices });
    expect(answer.gpus[0]).toMatchObject({ state: 'hung', numaNode: '0' });
  });

  test('that fails is a gap, not a failed answer', async () => {
    const hostDevices = {
      read: () => Promise.reject(new GpuError('NO_PERMISSION', 'EACCES on /sys')),
    };
    const answer = await topology({ gpus, hostDevices });
    expect(answer.gaps).toContainEqual({
      field: 'pciBus',
      reason: 'no-permission',
      detail: 'EACCES on /sys',
    });
  });
});
