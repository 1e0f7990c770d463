import { describe, expect, test } from 'vitest';
import { h100Node, h100Ref } from '../../../test/h100.ts';
import { fellOffTheBus, h100Bus, h100Host, record, rig } from '../../../test/rig.ts';
import { GpuError } from '../../errors.ts';
import type { IncidentReport } from './incident-report.ts';

// Message texts: open-gpu-kernel-modules; leptonai/gpud has a log of such a loss.
const uuid = 'GPU-b6c3b2be-c55b-d076-fa0e-d464e4c7e08b';
const other = 'GPU-11111111-c55b-d076-fa0e-d464e4c7e08b';
const at = (time: string) => ({ at: `2026-11-21T${time}.000Z` });
const named = (id = uuid) => record(`NVRM: GPU at PCI:0000:3a:00: ${id}`, at('11:30:00'));
const loss = record(fellOffTheBus('0000:3a:00'), at('11:30:01'));
const serial = record('NVRM: GPU 0000:3a:00.0: GPU serial number is 1653723052734.', at('11:30:02'));
const boot = record('Linux version 6.8.0-60-generic (buildd@lcy02) (gcc 13.3.0) #63-Ubuntu SMP', {
  ...at('11:30:00'),
  uptimeSeconds: 0,
});

/** The driver lists GPU 2 and can no longer tell anything of it. */
const lost = h100Node();
lost[2] = {
  ref: { ...h100Ref(2), name: null, uuid: null, pciAddress: null },
  sample: new GpuError('GPU_LOST', 'NVML_ERROR_GPU_IS_LOST (15)'),
};
type Options = NonNullable<Parameters<typeof rig>[0]>;
const ask = (log: Options['log'] & object, options: Options = {}, input = {}) =>
  rig({ gpus: lost, log, ...options }).answer('get_incident_report', { gpu: 2, ...input });
const gpuOf = async (...asked: Parameters<typeof ask>) =>
  ((await ask(...asked))['report'] as IncidentReport).gpus[0];

describe('a GPU that no longer tells what it is', () => {
  test('is named by the log of its loss', async () => {
    expect(await gpuOf([named(), loss, serial])).toMatchObject({
      index: 2,
      state: 'lost',
      pciAddress: '0000:3a:00.0',
      uuid,
      serial: '1653723052734',
      identityFrom: 'kernel-log',
    });
  });

  test('without a line of its serial the text says so', async () => {
    const text = String((await ask([named(), loss], {}, { format: 'markdown' }))['markdown']);
    expect(text).toContain(`- uuid: \`${uuid}\``);
    expect(text).toContain('- pciAddress: `0000:3a:00.0`');
    expect(text).toContain('- serial: not readable');
  });

  test('the bus tells its address where the log does not', async () => {
    const host = h100Host({ pciGpus: h100Bus({ 2: { respondsOnBus: false } }) });
    expect(await gpuOf([], { host })).toMatchObject({
      pciAddress: '0000:3a:00.0',
      uuid: null,
      serial: null,
      identityFrom: 'pci-bus',
    });
  });

  test.each([
    ['two boards at one address', [named(), named(other), loss, serial]],
    ['a line of an earlier boot', [named(), serial, boot, loss]],
    ['a line of a program', [{ ...named(), trusted: false as const }, loss]],
    ['a line of another address', [record(`NVRM: GPU at PCI:0000:4c:00: ${uuid}`, at('11:30:00')), loss]],
  ])('%s names nothing', async (_, log) => {
    expect(await gpuOf(log)).toMatchObject({ pciAddress: '0000:3a:00.0', uuid: null, serial: null });
  });

  test('the loss of a board that the driver lists elsewhere is not its own', async () => {
    const gpu = await gpuOf([named(h100Ref(5).uuid ?? ''), loss, serial]);
    expect(gpu).toMatchObject({ pciAddress: null, uuid: null, serial: null });
  });

  test('nothing at all is told as nothing', async () => {
    const gpu = await gpuOf([]);
    expect(gpu).toMatchObject({ pciAddress: null, uuid: null, serial: null });
    expect(gpu).not.toHaveProperty('identityFrom');
  });
});

test('a GPU that tells what it is is believed, whatever the log says', async () => {
  const gpu = await gpuOf([named(), loss, serial], { gpus: h100Node() });
  expect(gpu).toMatchObject({ uuid: h100Ref(2).uuid, serial: expect.stringMatching(/^16505/) });
  expect(gpu).not.toHaveProperty('identityFrom');
});
