import { describe, expect, test } from 'vitest';
import { h100Node, h100Ref, h100Sample } from '../test/h100.ts';
import type { GpuRef } from './domain/gpu.ts';
import type { MigDevice } from './domain/readings/mig.ts';
import { GpuError, type GpuErrorCode } from './errors.ts';
import { GpuReader } from './gpu-reader.ts';
import { silentLogger } from './ports/runtime.ts';
import { parseGpuSelector, resolveGpu } from './selector.ts';
import { fixedClock, type StubGpu, stubProvider } from './testing.ts';

const never = new AbortController().signal;
const migUuid = 'MIG-0b1c2d3e-4f50-5617-8293-a4b5c6d7e8f9';
const oldMigUuid = 'MIG-GPU-c4027be9-91d3-4a5f-b6e8-13fa9c5d7032/2/0';

const slice = (index: number, uuid: string): MigDevice => ({
  index,
  uuid,
  gpuInstanceId: 1 + index,
  computeInstanceId: 0,
  profile: '1g.10gb',
  memoryTotalBytes: 10_200_547_328,
  memoryUsedBytes: 0,
  multiprocessorCount: 16,
  gpuSliceCount: 1,
  computeSliceCount: 1,
  placementStart: index,
  placementSize: 1,
});

function node(
  changed: Readonly<Record<number, StubGpu['sample']>> = {},
  refs: Record<number, Partial<GpuRef>> = {},
) {
  const stubs = h100Node(changed).map((gpu, index) => ({ ...gpu, ref: { ...gpu.ref, ...refs[index] } }));
  const reader = new GpuReader(stubProvider({ gpus: stubs }), fixedClock(), silentLogger);
  const gpus = stubs.map((_, index) => ({ ...h100Ref(index), ...refs[index] }));
  return {
    find: async (selector: string | number) => (await resolveGpu(selector, gpus, reader, never)).index,
  };
}

async function failure(work: Promise<unknown>, code: GpuErrorCode): Promise<GpuError> {
  const error = await work.then(
    (value) => new Error(`resolved with ${JSON.stringify(value)}`),
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(GpuError);
  expect((error as GpuError).code).toBe(code);
  return error as GpuError;
}

describe('what names GPU 2', () => {
  test.each([
    2,
    '2',
    ' 2 ',
    'GPU-c4027be9-91d3-4a5f-b6e8-13fa9c5d7032',
    'gpu-C4027BE9-91D3-4A5F-B6E8-13FA9C5D7032',
    'c4027be9-91d3-4a5f-b6e8-13fa9c5d7032',
    'GPU-c402',
    'c402',
    'c4027be9-9',
    '0000:3a:00.0',
    '0000:3a:00',
    '00000000:3A:00.0',
    '3a:00.0',
    'PCI:0000:3a:00',
  ])('%j', async (selector) => {
    expect(await node().find(selector)).toBe(2);
  });

  test.each([migUuid, migUuid.toLowerCase(), oldMigUuid])(
    'the MIG instance %s it holds',
    async (selector) => {
      const holding = (...uuids: string[]) => ({
        mig: { enabled: true, devices: uuids.map((uuid, i) => slice(i, uuid)) },
      });
      const changed = {
        1: h100Sample(1, holding('MIG-11111111-4f50-5617-8293-a4b5c6d7e8f9')),
        2: h100Sample(2, holding(migUuid, oldMigUuid)),
      };
      expect(await node(changed).find(selector)).toBe(2);
    },
  );
});

test('a prefix is not any part', async () => {
  await failure(node().find('91d3-4a5f'), 'GPU_NOT_FOUND');
});

test('four digits are an index, five a part of a UUID', () => {
  expect(parseGpuSelector('1023')).toEqual({ kind: 'index', index: 1023 });
  expect(parseGpuSelector('10230')).toEqual({ kind: 'uuid', prefix: '10230' });
});

describe('what names none', () => {
  test('an ambiguous prefix lists its matches and asks for more', async () => {
    const twin = node({}, { 5: { uuid: 'GPU-c4027be9-0000-0000-0000-000000000000' } });
    const error = await failure(twin.find('c4027be9'), 'INVALID_INPUT');
    expect(error.message).toContain('"c4027be9"');
    expect(error.message).toContain('GPUs 2, 5');
    expect(error.hint).toContain('get_gpu_inventory');
    expect(await twin.find('c4027be9-9')).toBe(2);
  });

  test.each([8, '8', 'GPU-ffff', '0000:ff:00.0', migUuid])(
    '%j is not here; the range is told',
    async (selector) => {
      const error = await failure(node().find(selector), 'GPU_NOT_FOUND');
      expect(error.message).toContain(JSON.stringify(selector));
      expect(error.message).toContain('GPUs 0 to 7');
      expect(error.message).toContain('is not on this node');
      expect(error.hint).toContain('get_gpu_inventory');
    },
  );

  test('a GPU that could not be identified might be the one: nothing is claimed', async () => {
    const lost = node({}, { 6: { uuid: null, pciAddress: null, name: null } });
    for (const selector of ['GPU-3d9a6c18', '0000:ba:00.0']) {
      const error = await failure(lost.find(selector), 'GPU_NOT_FOUND');
      expect(error.message).toContain('GPU 6 could not be');
      expect(error.message).not.toContain('is not on this node');
    }
    expect(await lost.find(6)).toBe(6);
  });

  test('nor of a MIG instance when a GPU that may hold it hangs', async () => {
    const lost = node({ 4: new GpuError('GPU_LOST', 'lost') });
    const error = await failure(lost.find(migUuid), 'GPU_NOT_FOUND');
    expect(error.message).toContain('GPU 4 could not be');
  });

  test.each([
    [[], 'no GPUs'],
    [[h100Ref(0)], 'one GPU, index 0'],
  ])('%#: a node with few GPUs', async (gpus, range) => {
    const reader = new GpuReader(stubProvider(), fixedClock(), silentLogger);
    const error = await failure(resolveGpu(3, gpus, reader, never), 'GPU_NOT_FOUND');
    expect(error.message).toContain(range);
  });
});

test.each([
  '',
  '   ',
  '-1',
  '1.5',
  'abc',
  'GPU-',
  'GPU-12',
  'gpu0',
  'all',
  'GPU-5f3a0e52-6c1d-4b7e-9a44-0d9f7c3b1e10-and-more',
  'MIG-',
  'MIG-0b1c2d3e',
  'MIG-GPU-c4027be9-91d3-4a5f-b6e8-13fa9c5d7032/2',
  '0000:3b:00.9',
  "0'; DROP TABLE gpus",
  '../../etc/passwd',
  '\u0000',
  '\ud800',
  'x'.repeat(10_000),
  Number.NaN,
  -1,
  0.5,
])('%j is malformed: the error names the value and what is allowed', (selector) => {
  let error: unknown;
  try {
    parseGpuSelector(selector);
  } catch (thrown) {
    error = thrown;
  }
  expect(error).toMatchObject({ code: 'INVALID_INPUT' });
  const { message, hint } = error as GpuError;
  expect(message).toContain(JSON.stringify(selector).slice(0, 80));
  for (const allowed of ['index', 'UUID', 'PCI address', 'MIG UUID']) expect(message).toContain(allowed);
  expect(message.length).toBeLessThan(400);
  expect(hint).toContain('get_gpu_inventory');
});
