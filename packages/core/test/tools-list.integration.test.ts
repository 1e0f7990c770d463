import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { GpuError } from '../src/errors.ts';
import {
  inMemoryAuditLog,
  inMemoryGpuControl,
  inMemoryHostProcesses,
  inMemoryKernelLog,
  inMemoryProcessControl,
  stubProvider,
} from '../src/testing.ts';
import { createNodeAllocationTool } from '../src/tools/cluster/node-device-allocation.ts';
import { createOperatorTools } from '../src/tools/operator/create-operator-tools.ts';
import { h100Node, h100Sample } from './h100.ts';
import { type HostClient, hosts } from './mcp-hosts.ts';
import { applicationFault, fellOffTheBus, type RigOptions, record, rig } from './rig.ts';

const golden = new URL('./tools-list.golden.json', import.meta.url);
/** One token is counted as four bytes of compact JSON. */
const tokens = (value: unknown) => Math.ceil(Buffer.byteLength(JSON.stringify(value)) / 4);

let client: HostClient;
let listed: Awaited<ReturnType<HostClient['listTools']>>;
beforeAll(async () => {
  client = await hosts['current SDK'](rig().tools);
  listed = await client.listTools();
});
afterAll(() => client.close());

describe('tools/list', () => {
  // A change of names, words or schemas is one that users see: UPDATE_GOLDEN=1 writes it, review decides. White space is the formatter's.
  test('is what was agreed on, to the letter', () => {
    if (process.env['UPDATE_GOLDEN'] === '1') writeFileSync(golden, JSON.stringify(listed.tools, null, 2));
    expect(existsSync(golden), 'run with UPDATE_GOLDEN=1 to write the golden file').toBe(true);
    const agreed: unknown = JSON.parse(readFileSync(golden, 'utf8'));
    expect(listed.tools).toEqual(agreed);
    expect(JSON.stringify(listed.tools), 'the order of keys').toBe(JSON.stringify(agreed));
  });

  test('costs less than 8,000 tokens with everything that an agent can have', async () => {
    const podResources = { list: async () => ({ containers: null, allocatable: null, gaps: [] }) };
    const ports = {
      podResources,
      gpuProvider: stubProvider(),
      kernelLog: inMemoryKernelLog([]),
      hostProcesses: inMemoryHostProcesses([]),
      gpuControl: inMemoryGpuControl(),
      processControl: inMemoryProcessControl([]),
      auditLog: inMemoryAuditLog(),
    };
    const other = await hosts['current SDK']([
      createNodeAllocationTool(ports, { nodeName: 'node' }),
      ...createOperatorTools(ports, { nodeName: 'node' }),
    ]);
    const more = await other.listTools();
    await other.close();
    expect(more.tools).toHaveLength(3);
    expect(tokens(listed) + tokens(more)).toBeLessThan(8_000);
  });
});

describe('answers are short', () => {
  const cost = async (name: string, options: RigOptions = {}, input: unknown = {}) =>
    tokens(await rig(options).answer(name, input));

  test.each([
    ['get_gpu_health', 800],
    ['get_gpu_inventory', 1_500],
    ['get_gpu_telemetry', 1_500],
    ['analyze_xid_errors', 800],
    ['get_gpu_topology', 1_500],
    ['get_gpu_processes', 800],
    ['compare_gpus', 1_200],
  ])('%s of a healthy 8-GPU node: under %d tokens', async (name, budget) => {
    expect(await cost(name)).toBeLessThan(budget);
  });

  const lines = ['18', '2a', '3a', '5d', '9a', 'ab', 'ba', 'db'].flatMap((bus) => [
    record(fellOffTheBus(`0000:${bus}:00`)),
    ...Array.from({ length: 200 }, () => record(applicationFault(`0000:${bus}:00`))),
  ]);
  const sick: RigOptions = {
    gpus: h100Node({
      0: new GpuError('GPU_LOST', 'NVML_ERROR_GPU_IS_LOST (15)'),
      1: new GpuError('GPU_HUNG', 'no answer for GPU 1 within the deadline'),
      2: h100Sample(2, { ecc: { uncorrectableVolatileCount: 12 }, rowRemap: { pending: true } }),
      3: h100Sample(3, {
        thermal: { marginCelsius: -4 },
        clocks: { eventReasons: ['hardware-thermal-slowdown'] },
      }),
    }),
    log: lines.slice(0, 402),
  };

  test.each(rig().tools.map(({ name }) => name))('%s of a sick one: under 2,500 tokens', async (name) => {
    expect(await cost(name, sick)).toBeLessThan(2_500);
  });

  test('a flood of lines does not make the answer longer', async () => {
    const flood = Array.from({ length: 12_000 }, () => record(applicationFault('0000:18:00')));
    const one = await cost('analyze_xid_errors', { log: flood.slice(0, 1) });
    const many = await cost('analyze_xid_errors', { log: flood });
    expect(many).toBeLessThan(one + 100);
  });

  test('the count is one of bytes', () => {
    expect(tokens('12345678901234')).toBe(4);
    expect(tokens('é'.repeat(7))).toBe(4);
  });
});
