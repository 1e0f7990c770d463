import { describe, expect, test } from 'vitest';
import { h100Ref } from '../../test/h100.ts';
import { type RigOptions, record, rig, xidLine } from '../../test/rig.ts';
import { GpuError } from '../errors.ts';
import type { GpuNodeEvent } from '../events/node-event.ts';
import { createGpuResources, type GpuResourceOptions } from './gpu-resources.ts';

const uuidOf = (index: number) => h100Ref(index).uuid ?? '';

function resources(options: RigOptions = {}, more: Partial<GpuResourceOptions> = {}) {
  const { tools, answer, clock } = rig(options);
  const all = createGpuResources({ nodeName: 'gpu-node-7', tools, clock, ...more });
  const named = (name: string) =>
    all.find((each) => each.name === name) ?? expect.fail(`no resource ${name}`);
  return { all, named, answer };
}
const read = async (
  resource: { read: (variables: Record<string, string>) => Promise<string> },
  id?: string,
) => JSON.parse(await resource.read(id === undefined ? {} : { id })) as Record<string, unknown>;

test.each([
  ['gpu-inventory', 'inventory', 'get_gpu_inventory'],
  ['gpu-health', 'health', 'get_gpu_health'],
  ['gpu-xid', 'xid', 'analyze_xid_errors'],
])('%s is the whole answer of its tool', async (name, path, tool) => {
  const log = [record(xidLine(79, '0000:18:00', 'GPU has fallen off the bus.'))];
  const { named, answer } = resources({ log });
  expect(named(name)).toMatchObject({ uri: `gpu://gpu-node-7/${path}`, isTemplate: false });
  expect(await read(named(name))).toEqual(await answer(tool));
});

test('a node name that is no URI part is escaped', () => {
  const uris = createGpuResources({ nodeName: 'a/b c', tools: [] }).map(({ uri }) => uri);
  expect(uris).toContain('gpu://a%2Fb%20c/inventory');
  expect(uris).toContain('gpu://a%2Fb%20c/gpus/{id}');
});

test('without the tool it is a defect, not a crash', async () => {
  const [inventory] = createGpuResources({ nodeName: 'n', tools: [] });
  await expect(inventory?.read({})).rejects.toMatchObject({ code: 'INTERNAL' });
});

test('without a feed there is no resource of events', () => {
  expect(resources().all.map(({ name }) => name)).not.toContain('gpu-events');
});

describe('one GPU', () => {
  test.each([['3'], [uuidOf(3)], [h100Ref(3).pciAddress ?? ''], [encodeURIComponent(uuidOf(3))]])(
    'by %s: identity, verdict and readings of that one',
    async (id) => {
      const { named, answer } = resources();
      const gpu = await read(named('gpu'), id);
      const health = await answer('get_gpu_health', { gpu: 3 });
      expect(gpu).toMatchObject({
        node: 'gpu-node-7',
        verdict: health.verdict,
        summary: health.summary,
        findings: health.findings,
        gpu: { index: 3, uuid: uuidOf(3), name: h100Ref(3).name, verdict: health.verdict },
        readings: { thermal: { temperatureCelsius: expect.any(Number) }, power: expect.any(Object) },
      });
      expect(gpu).not.toHaveProperty('gpus');
    },
  );

  test.each(['64', 'GPU-ffffffff', 'nonsense', '', '%', '../0', 'x'.repeat(5_000)])(
    '%j is none: the error says what there is',
    async (id) => {
      const error = await resources()
        .named('gpu')
        .read({ id })
        .catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({ code: expect.stringMatching(/^(INVALID_INPUT|GPU_NOT_FOUND)$/) });
      expect((error as Error).message).toContain('get_gpu_inventory');
      expect((error as Error).message.length).toBeLessThan(2_100);
    },
  );

  test('a driver that is not there leaves nulls and gaps, and no other GPU of the bus', async () => {
    const { named } = resources({ describe: new GpuError('DRIVER_NOT_LOADED', 'no driver.') });
    const gpu = await read(named('gpu'), '3');
    expect(gpu).toMatchObject({ gpu: null, readings: null });
    expect(gpu['verdict']).not.toBe('ok');
    expect(gpu['gaps']).not.toEqual([]);
  });

  test('offers indices and UUIDs that begin with what was typed', async () => {
    const complete = resources().named('gpu').complete?.['id'] ?? expect.fail();
    expect(await complete('')).toEqual([
      ...Array.from({ length: 8 }, (_, index) => String(index)),
      ...Array.from({ length: 8 }, (_, index) => uuidOf(index)),
    ]);
    expect(await complete('7')).toEqual(['7']);
    expect(await complete(uuidOf(5).toLowerCase())).toEqual([uuidOf(5)]);
    expect(await complete('MIG')).toEqual([]);
  });

  test('offers nothing where the inventory cannot be had', async () => {
    const complete = createGpuResources({ nodeName: 'n', tools: [] }).find(({ name }) => name === 'gpu')
      ?.complete?.['id'];
    expect(await complete?.('')).toEqual([]);
  });
});

describe('live events', () => {
  const event: GpuNodeEvent = {
    id: 7,
    revision: 1,
    kind: 'xid',
    sources: ['kernel-log'],
    at: '2026-11-21T11:59:58.000Z',
    repeatCount: 2,
    xid: 79,
    gpu: { index: 0, uuid: uuidOf(0) },
    pciAddress: '0000:18:00',
    title: 'GPU has fallen off the bus',
    severity: 'fatal',
    verdict: 'critical',
    action: 'reboot-node',
    trusted: true,
    processName: 'evil\u001b[31m',
    raw: 'x'.repeat(1_000),
  };
  const gap = { field: 'kernelLog', reason: 'no-permission', detail: 'EACCES' } as const;
  const at = '2026-11-21T11:00:00.000Z';

  test('are told with what was missed, and text of the log made harmless', async () => {
    const snapshot = {
      listeningSince: at,
      events: [event],
      lost: 5,
      notices: [{ notice: 'blind' as const, gap, at, lostCount: 2 }],
    };
    const { named } = resources({}, { feed: { read: () => snapshot } });
    expect(named('gpu-events').uri).toBe('gpu://gpu-node-7/events');
    const told = await read(named('gpu-events'));
    expect(told).toMatchObject({
      apiVersion: 'v1',
      node: 'gpu-node-7',
      observedAt: '2026-11-21T12:00:00.000Z',
      listeningSince: at,
      events: [{ id: 7, revision: 1, xid: 79 }],
      lost: 5,
      notices: [{ at, notice: 'blind', ...gap, lostCount: 2 }],
    });
    expect(told['summary']).toMatch(/1 event heard.*Xid 79.*GPU 0.*5 more.*kernelLog cannot be listened to/);
    expect(JSON.stringify(told)).not.toContain('\\u001b');
    expect(JSON.stringify(told).length).toBeLessThan(2_000);
  });

  test('none, and nothing to listen to, is said and is not ok', async () => {
    const snapshot = { listeningSince: null, events: [], lost: 0, notices: [] };
    const told = await read(resources({}, { feed: { read: () => snapshot } }).named('gpu-events'));
    expect(told).toMatchObject({ listeningSince: null, events: [], lost: 0 });
    expect(told['summary']).toMatch(/No events heard yet. Nothing is listened to now/);
  });
});

describe('the Xid catalogue', () => {
  test.each(['13', '79', '119'])('tells Xid %s', async (code) => {
    const entry = JSON.parse(await resources().named('xid-catalog').read({ code }));
    expect(entry).toMatchObject({ code: Number(code) });
  });

  // NVIDIA Xid catalogue: the immediate action of 79 is RESTART_BM; 13 is first looked for in the program.
  test.each([
    ['79', 'reboot-node'],
    ['13', 'restart-app'],
  ])('tells our action for Xid %s beside the bucket of the vendor', async (code, action) => {
    const entry = JSON.parse(await resources().named('xid-catalog').read({ code }));
    expect(entry).toMatchObject({ action, immediate: expect.any(String) });
  });

  test.each(['0', '99999', '-1', '79.0', ' 79', '0x4f', 'x'.repeat(500), '', '../13', '\u0000'])(
    '%j is not in it; the error says what is',
    async (code) => {
      await expect(resources().named('xid-catalog').read({ code })).rejects.toMatchObject({
        code: 'INVALID_INPUT',
        message: expect.stringMatching(/^.{0,160}$/s),
        hint: expect.stringMatching(/numbers from \d+ to \d+/),
      });
    },
  );

  test('completes what was typed', async () => {
    const complete = resources().named('xid-catalog').complete?.['code'] ?? expect.fail();
    expect(await complete('79')).toEqual(['79']);
    const ones = await complete('1');
    expect(ones).toContain('119');
    expect(ones.every((code) => code.startsWith('1'))).toBe(true);
    expect(await complete('x')).toEqual([]);
    const all = await complete('');
    expect(new Set(all).size).toBe(all.length);
  });
});

test('planted fault: an answer of another tool would be seen', async () => {
  const { named, answer } = resources();
  expect(await read(named('gpu-health'))).not.toEqual(await answer('get_gpu_inventory'));
});
