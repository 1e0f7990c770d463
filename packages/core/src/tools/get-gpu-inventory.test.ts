import { describe, expect, test } from 'vitest';
import { type Changes, h100Node, h100Sample } from '../../test/h100.ts';
import { type RigOptions, rig } from '../../test/rig.ts';
import { GpuError } from '../errors.ts';

const inventory = (options: RigOptions = {}, input = {}) => rig(options).answer('get_gpu_inventory', input);
const withOne = (changes: Changes) => ({ gpus: h100Node({ 3: h100Sample(3, changes) }) });

describe('a node of equal GPUs', () => {
  test('has no drift, no finding and no verdict', async () => {
    const answer = await inventory();
    expect(answer).toMatchObject({ gpuCount: 8, drift: [], findings: [], nextSteps: [], gaps: [] });
    expect(answer).not.toHaveProperty('verdict');
    expect(answer.gpus.every((gpu) => gpu['tier'] === 'datacenter-nvlink')).toBe(true);
  });

  test('full tells the settings that are compared, the links and the node', async () => {
    const answer = await inventory({}, { detail: 'full', gpu: 0 });
    expect(answer).toMatchObject({ driverBranch: 'r580_00', confidentialComputingEnabled: false });
    expect(answer.gpus[0]).toMatchObject({
      brand: 'nvidia',
      moduleId: 1,
      enforcedPowerLimitWatts: 700,
      maxPcieGeneration: 5,
      maxPcieLinkWidthLanes: 16,
      nvlinkCount: 18,
      activeNvlinkCount: 18,
      migMaxDeviceCount: 7,
    });
  });
});

describe('drift between siblings', () => {
  test.each<[string, Changes, unknown, unknown]>([
    ['vbiosVersion', { identity: { vbiosVersion: '96.00.61.00.01' } }, '96.00.74.00.01', '96.00.61.00.01'],
    [
      'inforomVersion',
      { identity: { inforomVersion: 'G520.0200.00.04' } },
      'G520.0200.00.05',
      'G520.0200.00.04',
    ],
    ['boardPartNumber', { identity: { boardPartNumber: 'other' } }, '692-2G520-0200-000', 'other'],
    ['eccEnabled', { ecc: { enabled: false } }, true, false],
    ['eccPendingEnabled', { ecc: { pendingEnabled: false } }, true, false],
    ['migEnabled', { mig: { enabled: true } }, false, true],
    ['migPendingEnabled', { mig: { pendingEnabled: true } }, false, true],
    ['requestedPowerLimitWatts', { power: { requestedLimitWatts: 500 } }, 700, 500],
    ['enforcedPowerLimitWatts', { power: { enforcedLimitWatts: 500 } }, 700, 500],
    ['persistenceModeEnabled', { identity: { persistenceModeEnabled: false } }, true, false],
    ['computeMode', { identity: { computeMode: 'prohibited' } }, 'default', 'prohibited'],
    ['maxPcieGeneration', { pcie: { maxGeneration: 4 } }, 5, 4],
    ['maxPcieLinkWidthLanes', { pcie: { maxLinkWidthLanes: 8 } }, 16, 8],
  ])('%s', async (field, changes, majority, other) => {
    const answer = await inventory(withOne(changes));
    expect(answer['drift']).toEqual([
      {
        field,
        product: 'NVIDIA H100 80GB HBM3',
        majority,
        values: [
          { value: majority, gpus: [0, 1, 2, 4, 5, 6, 7] },
          { value: other, gpus: [3] },
        ],
      },
    ]);
    expect(answer.findings).toMatchObject([{ ruleId: expect.stringMatching(/^drift\./), gpu: 3 }]);
  });

  test('of the VBIOS is a warning with a step; of the MIG mode it is only told', async () => {
    const vbios = await inventory(withOne({ identity: { vbiosVersion: 'other' } }));
    expect(vbios).toMatchObject({ verdict: 'warning', nextSteps: [{ action: 'update-software' }] });
    expect(vbios.summary).toContain('VBIOS version differs');
    const mig = await inventory(withOne({ mig: { enabled: true } }));
    expect(mig).not.toHaveProperty('verdict');
    expect(mig).toMatchObject({ findings: [{ verdict: 'ok' }], nextSteps: [] });
  });

  test('is not between products, nor from what could not be read', async () => {
    const other = h100Sample(3, { identity: { name: 'NVIDIA L4', vbiosVersion: 'other' } });
    expect((await inventory({ gpus: h100Node({ 3: other }) }))['drift']).toEqual([]);
    expect((await inventory(withOne({ identity: { vbiosVersion: null } })))['drift']).toEqual([]);
    const lost = await inventory({ gpus: h100Node({ 3: new GpuError('GPU_LOST', 'lost') }) });
    expect(lost['drift']).toEqual([]);
    expect(lost.verdict).toBe('critical');
  });

  test('the worst comes first in the summary, and how many more there are', async () => {
    const answer = await inventory(
      withOne({ mig: { enabled: true }, ecc: { enabled: false }, identity: { vbiosVersion: 'x' } }),
    );
    expect(answer.findings.map(({ verdict }) => verdict)).toEqual(['warning', 'warning', 'ok']);
    expect(answer.summary).toMatch(/And 1 more\.$/);
  });
});

test('gaps of readings that an inventory does not show are left out', async () => {
  const gap = (field: string) => ({ gpu: 0, field, reason: 'no-permission', detail: 'x' }) as const;
  const fields = ['power.drawWatts', 'pcie.replayCount', 'nvlink.links.replayErrorCount', 'ecc.locations'];
  const shown = ['power.enforcedLimitWatts', 'nvlink.links', 'identity.serial', 'memory.totalBytes'];
  const sample = h100Sample(0, {}, [...fields, ...shown].map(gap));
  const answer = await inventory({ gpus: h100Node({ 0: sample }) });
  expect(answer.gaps.map(({ field }) => field)).toEqual(shown);
});

test('8 GPUs fit 1,500 tokens', async () => {
  expect(Buffer.byteLength(JSON.stringify(await inventory())) / 4).toBeLessThan(1_500);
});
