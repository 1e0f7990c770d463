import { describe, expect, test } from 'vitest';
import { h100Node, h100Sample } from '../../test/h100.ts';
import { applicationFault, fellOffTheBus, type RigOptions, record, rig } from '../../test/rig.ts';
import { GpuError } from '../errors.ts';
import { inMemoryKernelLog } from '../testing.ts';
import { createGpuTools } from './create-gpu-tools.ts';
import type { ToolResult } from './tool.ts';

const names = [
  'get_gpu_health',
  'explain_failure',
  'get_gpu_inventory',
  'get_gpu_telemetry',
  'analyze_xid_errors',
  'get_gpu_topology',
  'get_gpu_processes',
  'compare_gpus',
  'get_gpu_timeline',
  'get_incident_report',
];

/** Nodes in every condition. */
const nodes: Readonly<Record<string, RigOptions>> = {
  healthy: {},
  'no GPUs': { gpus: [] },
  'one GPU lost': { gpus: h100Node({ 3: new GpuError('GPU_LOST', 'GPU is lost') }) },
  'nothing may be read': {
    gpus: Array.from({ length: 2 }, () => ({ sample: new GpuError('NO_PERMISSION', 'denied') })),
  },
  'readings with gaps': {
    gpus: h100Node({ 0: h100Sample(0, { ecc: { uncorrectableVolatileCount: null } }) }),
  },
  sick: {
    gpus: h100Node({
      1: h100Sample(1, { ecc: { uncorrectableVolatileCount: 9 }, rowRemap: { pending: true } }),
    }),
    log: [record(fellOffTheBus('0000:18:00')), record(applicationFault('0000:2a:00'))],
  },
  'no driver': { describe: new GpuError('LIBRARY_NOT_FOUND', 'libnvidia-ml.so.1 was not found') },
  'no log': {
    log: inMemoryKernelLog([], {
      source: null,
      readable: false,
      skipped: [{ source: 'kmsg', reason: 'EPERM' }],
    }),
  },
};

function structured(result: ToolResult) {
  if (result.isError) throw new Error(result.text);
  return result;
}

describe('every tool', () => {
  test('is listed in a fixed order, read-only by its hints, with words for people', () => {
    const { tools } = rig();
    expect(tools.map((tool) => tool.name)).toEqual(names);
    for (const tool of tools) {
      expect(tool.annotations).toEqual({
        readOnlyHint: true,
        destructiveHint: false,
        idempotentHint: true,
        openWorldHint: false,
      });
      expect(tool.title).toMatch(/^[A-Z]/);
      expect(tool.description.length).toBeGreaterThan(60);
    }
  });

  describe.each(Object.entries(nodes))('on a node: %s', (_, options) => {
    test.each(names.flatMap((name) => [[name, 'summary'] as const, [name, 'full'] as const]))(
      '%s (%s) answers in its own schema, the text is the same object',
      async (name, detail) => {
        const { tools, call } = rig(options);
        const { structuredContent, text } = structured(await call(name, { detail }));
        const { outputSchema } = tools.find((tool) => tool.name === name) ?? expect.fail();
        const { success, error } = outputSchema.safeParse(structuredContent);
        expect(success, error?.message).toBe(true);
        expect(JSON.parse(text)).toEqual(structuredContent);
        expect(text).toBe(JSON.stringify(structuredContent));
        expect(structuredContent).toMatchObject({
          apiVersion: 'v1',
          node: 'gpu-node-7',
          observedAt: '2026-11-21T12:00:00.000Z',
          coverage: { gpuBackend: { backend: 'stub', simulated: true } },
        });
        expect(structuredContent['summary']).toMatch(/^[A-Z0-9].*\.$/s);
      },
    );
  });

  test('the schema check finds an answer that lacks a part', async () => {
    for (const tool of rig().tools) {
      const { structuredContent } = structured(await tool.call({}));
      for (const key of ['apiVersion', 'summary', 'gaps', 'coverage', 'nextSteps']) {
        const { [key]: _, ...rest } = structuredContent;
        expect(tool.outputSchema.safeParse(rest).success, `${tool.name} without ${key}`).toBe(false);
      }
    }
  });

  test('a defect is logged, and answered with a line that gives nothing away', async () => {
    const clockless = { now: () => Number.NaN, after: () => () => {} };
    const logged: unknown[] = [];
    const logger = {
      debug() {},
      info() {},
      warn() {},
      error: (_: string, fields?: object) => logged.push(fields),
    };
    const ports = { gpuProvider: nodeOf(), kernelLog: inMemoryKernelLog([]), clock: clockless, logger };
    const [tool] = createGpuTools(ports, { nodeName: 'n' });
    const result = await tool?.call({});
    expect(result).toMatchObject({
      isError: true,
      text: expect.stringContaining('INTERNAL: get_gpu_health failed'),
    });
    expect(result?.text).not.toMatch(/RangeError|Invalid time|at /);
    expect(logged).toMatchObject([{ tool: 'get_gpu_health', error: expect.any(RangeError) }]);
  });

  test.each([0, 999, 600_001, Number.NaN])('a deadline of %d ms is refused', (deadlineMilliseconds) => {
    expect(() => rig({ deadlineMilliseconds })).toThrow(/1000 to 600000/);
  });
});

const nodeOf = () => ({
  manifest: {
    contractVersion: 1,
    backend: 'stub',
    vendor: 'nvidia',
    simulated: true,
    sections: [],
    mig: false,
  } as const,
  describeNode: async () => ({
    driverVersion: null,
    libraryVersion: null,
    computeApiVersion: null,
    driverBranch: null,
    confidentialComputingEnabled: null,
    gpus: [],
    gaps: [],
  }),
  readGpu: () => Promise.reject(new GpuError('GPU_NOT_FOUND', 'none')),
  close: async () => {},
});

describe('bad input', () => {
  const gpuAllowed = /index.*UUID.*PCI address/;
  const common: [input: unknown, field: string, value: string, allowed: RegExp][] = [
    [{ gup: 1 }, '"gup"', 'gup', /arguments are: gpu/],
    [{ gpu: 0, verbose: true }, '"verbose"', 'verbose', /arguments are: gpu/],
    [{ gpu: -1 }, 'gpu', '-1', gpuAllowed],
    [{ gpu: 1024 }, 'gpu', '1024', gpuAllowed],
    [{ gpu: 1.5 }, 'gpu', '1.5', gpuAllowed],
    [{ gpu: '' }, 'gpu', '""', gpuAllowed],
    [{ gpu: true }, 'gpu', 'true', gpuAllowed],
    [{ gpu: null }, 'gpu', 'null', gpuAllowed],
    [{ gpu: ['0'] }, 'gpu', '["0"]', gpuAllowed],
    [{ gpu: 'GPU-zz' }, 'gpu', '"GPU-zz"', gpuAllowed],
    [{ gpu: '0000:3b:00.9' }, 'gpu', '"0000:3b:00.9"', gpuAllowed],
    [{ gpu: '\u0000' }, 'gpu', '"\\u0000"', gpuAllowed],
    [{ gpu: 'x'.repeat(5_000) }, 'gpu', '"xxx', gpuAllowed],
    [{ gpu: 8 }, 'gpu', '8', /GPUs 0 to 7/],
    [{ gpu: 'GPU-ffff' }, 'gpu', '"GPU-ffff"', /GPUs 0 to 7/],
    [{ detail: 'all' }, 'detail', '"all"', /"summary" or "full"/],
    [{ detail: 1 }, 'detail', '1', /"summary" or "full"/],
    ['gpu=1', 'arguments', '"gpu=1"', /expected object/],
    [[], 'arguments', '[]', /expected object/],
    [7, 'arguments', '7', /expected object/],
  ];
  const time = /2026-01-31T12:00:00Z.*30m, 2h, 1d/;
  const own: [tool: string, input: unknown, field: string, value: string, allowed: RegExp][] = [
    ['get_gpu_health', { since: 'yesterday' }, 'since', '"yesterday"', time],
    ['get_gpu_health', { since: 3600 }, 'since', '3600', /expected string/],
    ['get_gpu_health', { since: '2026-02-31' }, 'since', '"2026-02-31"', time],
    ['analyze_xid_errors', { since: '5 minutes' }, 'since', '"5 minutes"', time],
    ['analyze_xid_errors', { until: 'now' }, 'until', '"now"', time],
    ['analyze_xid_errors', { since: '1h', until: '2h' }, 'since', '2026-11-21T11:00', /before until/],
    ['analyze_xid_errors', { since: '2027-01-01' }, 'since', '2027-01-01', /before now/],
    ['analyze_xid_errors', { cursor: 'next' }, 'cursor', '"next"', /nextCursor/],
    ['analyze_xid_errors', { cursor: '-5' }, 'cursor', '"-5"', /nextCursor/],
    ['analyze_xid_errors', { cursor: 10 }, 'cursor', '10', /expected string/],
    ['analyze_xid_errors', { limit: 0 }, 'limit', '0', /1 to 200/],
    ['analyze_xid_errors', { limit: 201 }, 'limit', '201', /1 to 200/],
    ['analyze_xid_errors', { limit: '5' }, 'limit', '"5"', /1 to 200/],
    ['analyze_xid_errors', { limit: 2.5 }, 'limit', '2.5', /1 to 200/],
    [
      'analyze_xid_errors',
      { minimumSeverity: 'bad' },
      'minimumSeverity',
      '"bad"',
      /fatal, critical, warning, info/,
    ],
    ['get_gpu_telemetry', { sections: ['ecc', 'fans'] }, 'sections.1', '"fans"', /thermal, power/],
    ['get_gpu_telemetry', { window: 9 }, 'window', '9', /1 to 8: this server answers within 10 s/],
    ['get_gpu_telemetry', { window: 0.5 }, 'window', '0.5', /1 to 8/],
    ['get_gpu_telemetry', { window: '5s' }, 'window', '"5s"', /1 to 8/],
    [
      'get_gpu_telemetry',
      { window: 2, intervalMilliseconds: 99 },
      'intervalMilliseconds',
      '99',
      /at least 100/,
    ],
    [
      'get_gpu_telemetry',
      { window: 2, intervalMilliseconds: 3000 },
      'intervalMilliseconds',
      '3000',
      /to 2000/,
    ],
    ['get_gpu_telemetry', { intervalMilliseconds: 500 }, 'intervalMilliseconds', '500', /needs window/],
    ['get_gpu_telemetry', { sections: 'ecc' }, 'sections', '"ecc"', /thermal, power/],
    ['get_gpu_telemetry', { sections: [] }, 'sections', '[]', /thermal, power/],
    ['get_gpu_health', { since: '2027-01-01' }, 'since', '2027-01-01', /before now/],
    ['get_gpu_processes', { cursor: 'next' }, 'cursor', '"next"', /nextCursor/],
    ['get_gpu_processes', { limit: 0 }, 'limit', '0', /1 to 200/],
    ['get_gpu_processes', { limit: 2.5 }, 'limit', '2.5', /1 to 200/],
    ['compare_gpus', { topics: ['heat'] }, 'topics.0', '"heat"', /thermal, pcie/],
    ['compare_gpus', { topics: [] }, 'topics', '[]', /thermal, pcie/],
    ['compare_gpus', { topics: 'pcie' }, 'topics', '"pcie"', /thermal, pcie/],
    ['compare_gpus', { window: 9 }, 'window', '9', /1 to 8.*within 10 s/],
    ['compare_gpus', { window: '5s' }, 'window', '"5s"', /1 to 8/],
  ];

  test.each([...names.flatMap((name) => common.map((row) => [name, ...row] as const)), ...own])(
    '%s %j: the error names %s, %s, what is allowed, and the tool to call',
    async (name, input, field, value, allowed) => {
      const { call, answer, errors } = rig();
      const result = await call(name, input);
      expect(result.isError).toBe(true);
      expect(result).not.toHaveProperty('structuredContent');
      expect(result.text).toContain(field);
      expect(result.text).toContain(value);
      expect(result.text).toMatch(allowed);
      expect(result.text).toMatch(new RegExp(`${name}|get_gpu_inventory`));
      expect(result.text.length).toBeLessThan(1_000);
      expect(errors).toEqual([]);
      expect((await answer(name)).summary).not.toBe('');
    },
  );

  test('several faults are told at once', async () => {
    const result = await rig().call('analyze_xid_errors', { limit: 0, detail: 'x', gpuu: 1 });
    for (const field of ['limit = 0', 'detail = "x"', '"gpuu"']) expect(result.text).toContain(field);
  });

  test('arguments left out, or null, are the defaults', async () => {
    const { call } = rig();
    const plain = await call('get_gpu_health', {});
    expect(await call('get_gpu_health', undefined)).toEqual(plain);
    expect(await call('get_gpu_health', null)).toEqual(plain);
  });

  test('a value that cannot be printed does no harm', async () => {
    const loop: Record<string, unknown> = {};
    loop['self'] = loop;
    const { call } = rig();
    expect((await call('get_gpu_health', { gpu: loop })).text).toContain('gpu = object');
    expect((await call('get_gpu_health', { gpu: 10n })).isError).toBe(true);
    expect((await call('get_gpu_health', JSON.parse('{"__proto__": {"gpu": 1}}'))).isError).toBe(true);
  });
});
