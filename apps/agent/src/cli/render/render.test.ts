import { PassThrough } from 'node:stream';
import { stripVTControlCharacters } from 'node:util';
import { createTerminal, type Terminal } from '@k8s-gpu-mcp/command-line';
import { type GpuNodeEvent, silentLogger, type WatchNotice } from '@k8s-gpu-mcp/core';
import { describe, expect, it, test } from 'vitest';
import { composeAgent } from '../../composition/compose-agent.ts';
import { resolveConfig } from '../../config.ts';
import { renderEvent, renderNotice } from './event.ts';
import { renderHealth } from './health.ts';
import { renderIncidents } from './incidents.ts';
import { renderInventory } from './inventory.ts';
import { renderProcesses } from './processes.ts';
import { renderTopology } from './topology.ts';

const terminalOf = (columns: number, environment: Record<string, string> = {}): Terminal =>
  createTerminal(Object.assign(new PassThrough(), { isTTY: true, columns }), environment);
const plain = { NO_COLOR: '1' };

async function answerOf(toolName: string, scenario: string) {
  const config = resolveConfig(
    'health',
    { backend: ['mock'], scenario: [scenario], nodeName: ['node-a'] },
    {},
  );
  const agent = await composeAgent(config, silentLogger);
  const result = await agent.tools.find(({ name }) => name === toolName)?.call({});
  await agent.close();
  if (!result || result.isError) throw new Error(result?.text ?? 'no such tool');
  return result.structuredContent;
}

const cases = [
  ['health', renderHealth, 'get_gpu_health'],
  ['inventory', renderInventory, 'get_gpu_inventory'],
  ['xid', renderIncidents, 'analyze_xid_errors'],
  ['topology', renderTopology, 'get_gpu_topology'],
  ['processes', renderProcesses, 'get_gpu_processes'],
] as const;

describe.each(cases)('%s', (_, render, tool) => {
  it('is the same text with and without colour', async () => {
    const answer = await answerOf(tool, 'mixed-faults');
    const coloured = render(answer, terminalOf(100));
    const uncoloured = render(answer, terminalOf(100, plain));
    expect(coloured).not.toBe(uncoloured);
    expect(stripVTControlCharacters(coloured)).toBe(uncoloured);
    expect(uncoloured).toContain('CRITICAL');
    expect(uncoloured).toContain('SIMULATED');
  });

  it('has its tables and quotes within a terminal of 80 columns', async () => {
    const text = render(await answerOf(tool, 'mixed-faults'), terminalOf(80, plain));
    const rows = text.split('\n').filter((line) => /^\s+\d+ {2}|^GPU|^ {2}\|/.test(line));
    expect(rows.length).toBeGreaterThan(0);
    for (const row of rows) expect(row.length).toBeLessThanOrEqual(80);
  });
});

test('inventory tells what differs between siblings, with the evidence', async () => {
  const text = renderInventory(await answerOf('get_gpu_inventory', 'vbios-drift'), terminalOf(200, plain));
  expect(text).toContain('rule drift.vbios-version');
  expect(text).toMatch(/evidence: .*vbiosVersion of GPU 6 = /);
});

const head = {
  node: 'node-a',
  observedAt: '2026-01-01T00:00:00.000Z',
  verdict: 'ok',
  summary: 'Summary.',
  gaps: [],
  coverage: { gpuBackend: { backend: 'stub', readable: true } },
  nextSteps: [],
};
const hostile = '\u001b]0;owned\u0007\u202eevil\r\nok    all is well';
const harmful = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]|^ok {4}all is well/m;

describe('topology', () => {
  const gpu = { numaNode: null, cpuAffinity: null, nvlink: null };
  const row = (text: string, start: RegExp) => text.split('\n').find((line) => start.test(line));

  it('has a column for every GPU, in their order and not in that of their digits', () => {
    const to = Object.fromEntries(
      Array.from({ length: 12 }, (_, index) => [index, index === 3 ? 'X' : 'SYS']),
    );
    const text = renderTopology({ ...head, matrix: [{ gpu: 3, to }], gpus: [] }, terminalOf(200, plain));
    const columns = Array.from({ length: 12 }, (_, index) => `GPU${index}`);
    expect(
      row(text, /^ +GPU0/)
        ?.trim()
        .split(/ +/),
    ).toEqual(columns);
    expect(row(text, /^GPU3/)?.split(/ +/).indexOf('X')).toBe(4);
  });

  it('tells a product without links from links that could not be read', () => {
    const gpus = [
      { ...gpu, index: 0, nvlink: { links: 0 } },
      { ...gpu, index: 1 },
      { ...gpu, index: 2, nvlink: { links: 18, active: 17 } },
    ];
    const text = renderTopology({ ...head, matrix: [], gpus }, terminalOf(200, plain));
    expect(row(text, /^ +0 /)).toMatch(/^ +0 {2}none +- +- +- +- +-$/);
    expect(row(text, /^ +1 /)).toMatch(/^ +1 {2}- +- +- +- +- +-$/);
    expect(row(text, /^ +2 /)).toContain('17 of 18');
  });

  it('shows what a PCIe link could be beside what it is, and a dash for what is unknown', () => {
    const pcie = { generation: 4, maxGeneration: 5, widthLanes: null, maxWidthLanes: 16 };
    const text = renderTopology(
      { ...head, matrix: [], gpus: [{ ...gpu, index: 0, pcie }] },
      terminalOf(200, plain),
    );
    expect(text).toContain('gen 4 of 5');
    expect(text).toContain('x- of x16');
  });
});

describe('processes', () => {
  const process = { pid: 4711, user: 'ann', command: 'train.py', name: 'python3', gpus: [] };
  const rendered = (...processes: object[]) =>
    renderProcesses({ ...head, gpus: [], processes }, terminalOf(300, plain));

  it('an amount that is unknown is a dash, and nothing is zero', () => {
    const state = 'ok';
    const gpus = [
      { index: 0, state, processCount: 0, memoryUsedBytes: 0, attributedBytes: 0, unattributedBytes: 0 },
      {
        index: 1,
        state,
        processCount: null,
        memoryUsedBytes: 3 * 1024 ** 2,
        attributedBytes: null,
        unattributedBytes: null,
      },
    ];
    const text = renderProcesses({ ...head, gpus, processes: [] }, terminalOf(200, plain));
    expect(text).toMatch(/^ +0 +0 +0 MiB +0 MiB +0 MiB$/m);
    expect(text).toMatch(/^ +1 +- +3 MiB +- +-$/m);
  });

  it.each([
    [{ podUid: 'pod-1', container: { id: 'c'.repeat(64) }, slurmJobId: '7' }, 'pod pod-1'],
    [{ slurmJobId: '7', container: { id: 'c'.repeat(64) } }, 'job 7'],
    [{ container: { id: '0123456789abcdef' } }, 'container 0123456789ab  '],
    [{}, `-${' '.repeat(6)}train.py`],
  ])('names the owner: %j', (owner, shown) => {
    expect(rendered({ ...process, ...owner })).toContain(shown);
  });

  it('says the state of one that cannot be ended, and its name where the command is unknown', () => {
    expect(rendered({ ...process, state: 'D', command: null })).toContain('[D] python3');
  });

  it('frees what the machine says of what a terminal obeys', () => {
    const gpus = [{ index: 0, memoryUsedBytes: null }];
    const text = rendered({
      ...process,
      user: hostile,
      command: hostile,
      podUid: hostile,
      state: hostile,
      gpus,
    });
    expect(text).not.toMatch(harmful);
    expect(text).toContain('evil');
  });
});

describe('events', () => {
  const event: GpuNodeEvent = {
    id: 1,
    revision: 0,
    kind: 'xid',
    sources: ['driver'],
    at: '2026-01-01T00:00:00.000Z',
    repeatCount: 1,
    xid: 79,
    gpu: { index: 3, uuid: null },
    pciAddress: '0000:5d:00',
    title: 'GPU has fallen off the bus',
    severity: 'fatal',
    verdict: 'critical',
    action: 'reboot-node',
    trusted: true,
  };
  const at = '2026-01-01T00:00:00.000Z';
  const shown = (more: Partial<GpuNodeEvent>, environment: Record<string, string> = plain) =>
    renderEvent({ ...event, ...more }, terminalOf(200, environment));

  it('are one line: when, how bad, where, what, and what to do', () => {
    expect(shown({})).toBe(
      `${at}  FATAL  GPU 3  Xid 79 GPU has fallen off the bus (from driver; action: reboot-node)\n`,
    );
    expect(stripVTControlCharacters(shown({}, {}))).toBe(shown({}));
    expect(shown({}, {})).not.toBe(shown({}));
  });

  it('tell who else told of it, how often, and who wrote it', () => {
    const { xid: _, ...withoutXid } = event;
    const again = renderEvent(
      {
        ...withoutXid,
        sxid: 20034,
        gpu: null,
        revision: 1,
        repeatCount: 4,
        sources: ['driver', 'kernel-log'],
        action: 'none',
        trusted: false,
        raw: 'nvidia-nvswitch3: SXid',
      },
      terminalOf(200, plain),
    );
    expect(again).toBe(
      `${at}  FATAL  0000:5d:00  SXid 20034 GPU has fallen off the bus (again; 4 times; from driver and kernel-log; written by a user-space program)\n  | nvidia-nvswitch3: SXid\n`,
    );
    expect(shown({ gpu: null, pciAddress: null })).toContain('no GPU named');
  });

  it('quote the log harmlessly', () => {
    expect(shown({ raw: hostile })).not.toMatch(harmful);
    expect(shown({ raw: hostile })).toMatch(/^ {2}\| .*evil/m);
  });

  it.each([
    ['blind', 'NOT SEEING'],
    ['restored', 'SEEING AGAIN'],
  ] as const)('%s is told as %s', (notice, words) => {
    const told: WatchNotice = { notice, at, gap: { field: 'events', reason: 'timeout', detail: hostile } };
    const text = renderNotice(told, terminalOf(200, plain));
    expect(text).toContain(`${at}  ${words}  events: `);
    expect(text).not.toMatch(harmful);
  });
});

describe('untrusted text', () => {
  it('is freed of what a terminal obeys, and quoted', () => {
    const answer = {
      node: 'node-a',
      observedAt: '2026-01-01T00:00:00.000Z',
      verdict: 'critical',
      summary: 'One incident.',
      gaps: [],
      coverage: { gpuBackend: { backend: 'stub', readable: true } },
      nextSteps: [],
      eventCount: 1,
      incidents: [
        {
          kind: 'xid',
          xid: 13,
          title: 'title',
          verdict: 'critical',
          action: 'check-app',
          pciAddress: null,
          count: 1,
          firstAt: null,
          lastAt: null,
          trusted: false,
          explanation: 'explanation',
          processes: [{ pid: 1, name: '\u001b]0;owned\u0007\u202eevil' }],
          raw: ['\u001b[2J\u009b31mNVRM: Xid\r\nok    all is well'],
        },
      ],
    };
    const text = renderIncidents(answer, terminalOf(200, plain));
    expect(text).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/);
    expect(text).not.toMatch(/^ok {4}all is well/m);
    expect(text).toContain('user-space program');
  });
});
