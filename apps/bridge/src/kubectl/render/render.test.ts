import type { Terminal } from '@k8s-gpu-mcp/command-line';
import type { StructuredContent } from '@k8s-gpu-mcp/core';
import { describe, expect, test } from 'vitest';
import { presentHealth } from '../../../../gateway/src/answers/health.ts';
import { presentInventory } from '../../../../gateway/src/answers/inventory.ts';
import { presentProcesses } from '../../../../gateway/src/answers/processes.ts';
import { presentXidErrors } from '../../../../gateway/src/answers/xid.ts';
import { agentAnswer, asking, failed, fanOut, ok } from '../../../../gateway/test/agent-answers.ts';
import { healthView, inventoryView, renderCluster, xidView } from './cluster.ts';
import { renderDiagnosis } from './diagnosis.ts';
import { renderNodeHealth, renderNodeIncidents, renderNodeInventory } from './node.ts';
import { loadOf, renderTopOfCluster, renderTopOfNode } from './top.ts';

const terminalOf = (columns: number, hasColor = false): Terminal => ({
  hasColor,
  columns,
  style: (style, text) => (hasColor ? `<${style}>${text}</>` : text),
  write: async () => {},
});
const pipe = terminalOf(Number.POSITIVE_INFINITY);

/** The cells of the row that begins with this one; columns are two spaces apart. */
const rowOf = (text: string, first: string): readonly string[] =>
  text
    .split('\n')
    .find((line) => line.trim().startsWith(`${first}  `))
    ?.trim()
    .split(/ {2,}/) ?? [];
const linesFrom = (text: string, first: string) =>
  text.split('\n').findIndex((line) => line.startsWith(first));

/** What a terminal could take for a command: controls but the line feed, C1 among them, and what turns or hides text. */
const isHarmless = (text: string) =>
  !/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/.test(text);

describe('the cluster', () => {
  test('health: counts, then the worst finding, then a row for each node, worst first', async () => {
    const answer = presentHealth(
      asking('get_gpu_health'),
      fanOut([
        ok('gpu-a', await agentAnswer('get_gpu_health', 'healthy-8xh100')),
        ok('gpu-b', await agentAnswer('get_gpu_health', 'fallen-off-bus')),
        failed('gpu-c', 'timeout'),
      ]),
    );
    const text = renderCluster(answer, healthView, pipe);
    expect(text.split('\n')[0]).toMatch(/^3 nodes: 1 CRITICAL, 1 UNKNOWN, 1 OK {2}/);
    expect(text).toContain('SIMULATED GPUs on 2');
    // The scenario's GPU 3 is off its bus, for which the vendor's action is a restart of the machine.
    expect(rowOf(text, 'gpu-b').slice(0, 5)).toEqual(['gpu-b', 'CRITICAL', '8', '0', 'reboot-node']);
    expect(rowOf(text, 'gpu-c').slice(0, 2)).toEqual(['gpu-c', 'UNKNOWN']);
    expect(rowOf(text, 'gpu-c').at(-1)).toBe('timeout: It is timeout.');
    expect(rowOf(text, 'gpu-a').slice(0, 3)).toEqual(['gpu-a', 'OK', '8']);
    const order = ['3 nodes', 'Worst', 'gpu-b', 'gpu-c', 'gpu-a', 'Next'].map((each) =>
      linesFrom(text, each),
    );
    expect(order).toEqual([...order].sort((a, b) => a - b));
    expect(text).toContain('kubectl mcp diagnose gpu-b');
  });

  test('inventory: products, drivers, and what is set up differently', async () => {
    const lost = await agentAnswer('get_gpu_inventory', 'fallen-off-bus');
    const well = await agentAnswer('get_gpu_inventory', 'healthy-8xh100');
    const other = { ...well, driverVersion: '535.1' };
    const answer = presentInventory(
      asking('get_gpu_inventory'),
      fanOut([ok('gpu-a', well), ok('gpu-b', other), ok('gpu-c', well), ok('gpu-d', lost)]),
    );
    const text = renderCluster(answer, inventoryView, pipe);
    expect(rowOf(text, 'gpu-a')).toEqual(
      expect.arrayContaining(['gpu-a', '-', '8', '8 x NVIDIA H100 80GB HBM3']),
    );
    expect(text).toMatch(/driverVersion: NVIDIA H100 80GB HBM3: .*535\.1 on 1 \(gpu-b\)/);
  });

  test('xid: each kind of incident with its nodes', async () => {
    const answer = presentXidErrors(
      asking('analyze_xid_errors'),
      fanOut([
        ok('gpu-a', await agentAnswer('analyze_xid_errors', 'fallen-off-bus')),
        ok('gpu-b', await agentAnswer('analyze_xid_errors', 'healthy-8xh100')),
      ]),
    );
    const text = renderCluster(answer, xidView, pipe);
    expect(text).toMatch(/CRITICAL {2}Xid 79 \(GPU has fallen off the bus\) +1 +1 +gpu-a .*reboot-node/);
  });

  test('top: what is down first, then the most utilized; missing is not zero', async () => {
    const scenarios = { 'gpu-a': 'healthy-8xh100', 'gpu-b': 'fallen-off-bus' } as const;
    const outcomes = await Promise.all(
      Object.entries(scenarios).map(async ([node, scenario]) =>
        ok(node, await agentAnswer('get_gpu_processes', scenario)),
      ),
    );
    const holders = presentProcesses(
      asking('get_gpu_processes'),
      fanOut([...outcomes, failed('gpu-c', 'timeout')]),
    );
    const gpu = (index: number, gpuPercent: number | null) => ({
      index,
      state: 'ok',
      utilization: { gpuPercent },
      memory: { usedBytes: 2 ** 30, totalBytes: 4 * 2 ** 30 },
      power: { drawWatts: 100 },
      thermal: { temperatureCelsius: 40 + index },
    });
    const readings: Readonly<Record<string, StructuredContent>> = {
      'gpu-a': { telemetry: { gpus: [gpu(0, 20), gpu(1, 40)] } },
      'gpu-b': { telemetry: { gpus: [gpu(0, 90), { index: 3, state: 'lost' }] } },
    };
    const nodes = (holders['nodes'] as readonly StructuredContent[]).map((row) => ({
      ...row,
      ...readings[String(row['node'])],
    }));
    const text = renderTopOfCluster({ ...holders, nodes }, pipe);
    // Mean 30 of 20 and 40, 2 of 8 GiB, 200 W, 41 degrees.
    expect(rowOf(text, 'gpu-a').slice(4, 9)).toEqual(['30 %', '40 %', '2 of 8 GiB', '200 W', '41 C']);
    // Only one of its two GPUs told anything.
    expect(text).toContain('90 % (1 of 2)');
    expect(rowOf(text, 'gpu-b').at(-1)).toBe('GPU 3 is lost');
    expect(rowOf(text, 'gpu-c')).toEqual(expect.arrayContaining(['UNKNOWN', '-']));
    expect(linesFrom(text, 'gpu-b')).toBeLessThan(linesFrom(text, 'gpu-a'));
    expect(loadOf({ telemetry: { gpus: [gpu(0, null)] } }).utilizationPercents).toEqual([]);
  });

  test('a command that does not judge health never says OK of a node, and health does', async () => {
    const well = (tool: string) => agentAnswer(tool, 'healthy-8xh100');
    const answers = {
      inventory: presentInventory(
        asking('get_gpu_inventory'),
        fanOut([ok('gpu-a', await well('get_gpu_inventory'))]),
      ),
      xid: presentXidErrors(
        asking('analyze_xid_errors'),
        fanOut([ok('gpu-a', await well('analyze_xid_errors'))]),
      ),
      top: presentProcesses(
        asking('get_gpu_processes'),
        fanOut([ok('gpu-a', await well('get_gpu_processes'))]),
      ),
    };
    const texts = [
      renderCluster(answers.inventory, inventoryView, pipe),
      renderCluster(answers.xid, xidView, pipe),
      renderTopOfCluster(answers.top, pipe),
      renderNodeInventory(await well('get_gpu_inventory'), pipe),
      renderNodeIncidents(await well('analyze_xid_errors'), pipe),
      renderTopOfNode({ ...(await well('get_gpu_processes')), verdict: 'ok' }, pipe),
    ];
    for (const text of texts) {
      expect(text).toContain('No fault in what this command reads; kubectl mcp health judges.');
      expect(text).not.toMatch(/\bOK\b|\b1 ok\b/);
    }
    // Planted fault: beside a fault, and for what could not be read, the line would be a lie.
    const lost = await agentAnswer('analyze_xid_errors', 'fallen-off-bus');
    const mixed = presentXidErrors(
      asking('analyze_xid_errors'),
      fanOut([ok('gpu-a', lost), ok('gpu-b', await well('analyze_xid_errors'))]),
    );
    const unheard = presentXidErrors(asking('analyze_xid_errors'), fanOut([failed('gpu-c', 'timeout')]));
    for (const text of [
      renderCluster(mixed, xidView, pipe),
      renderCluster(unheard, xidView, pipe),
      renderNodeIncidents(lost, pipe),
    ])
      expect(text).not.toMatch(/No fault|\bOK\b|\d ok\b/);
    expect(renderCluster(mixed, xidView, pipe)).toMatch(/^2 nodes: 1 CRITICAL /);
  });

  test('a narrow top has no power, no highest and no marks; a wide one has', () => {
    const gpu = (index: number) => ({
      index,
      state: 'ok',
      utilization: { gpuPercent: 50 },
      memory: { usedBytes: 2 ** 30, totalBytes: 2 ** 31 },
      power: { drawWatts: 100 },
      thermal: { temperatureCelsius: 40 },
    });
    const row = { node: 'gpu-a', status: 'ok', verdict: 'ok', gpuCount: 2, heldGpuCount: 1 };
    const telemetry = { gpus: [gpu(0), { index: 1, state: 'ok' }] };
    const holders = [{ name: 'python3', memoryUsedBytes: 2 ** 30, podUid: 'c'.repeat(36) }];
    const answer = { scope: 'cluster', nodes: [{ ...row, telemetry, holders }] };
    const narrow = renderTopOfCluster(answer, terminalOf(80));
    expect(narrow).toMatch(/^NODE +GPUS +HELD +UTIL +MEMORY +HOTTEST +TOP HOLDER$/m);
    expect(rowOf(narrow, 'gpu-a').slice(0, 6)).toEqual(['gpu-a', '2', '1', '50 %', '1 of 2 GiB', '40 C']);
    expect(Math.max(...narrow.split('\n').map((line) => line.length))).toBeLessThanOrEqual(80);
    const wide = renderTopOfCluster(answer, terminalOf(130));
    expect(wide).toMatch(/ HIGHEST +MEMORY +POWER +HOTTEST /);
    expect(wide).toContain('50 % (1 of 2)');
  });

  test('a narrow xid has times to the minute', () => {
    const lastAt = '2026-11-21T16:17:04.123Z';
    const incident = {
      title: 'Xid 79',
      verdict: 'critical',
      count: 1,
      nodeCount: 1,
      nodes: ['gpu-a'],
      lastAt,
    };
    const row = { node: 'gpu-a', status: 'ok', verdict: 'critical', incidentCount: 1, incidents: [incident] };
    const answer = { scope: 'cluster', nodes: [row], incidents: [incident] };
    expect(renderCluster(answer, xidView, terminalOf(80)).match(/2026-11-21T16:17Z/g)).toHaveLength(2);
    expect(renderCluster(answer, xidView, terminalOf(80))).not.toContain(':04');
    expect(renderCluster(answer, xidView, terminalOf(130)).split(lastAt)).toHaveLength(3);
  });

  test('counts one as one, and ends a sentence before a quote', () => {
    const answer = {
      scope: 'cluster',
      nodes: [{ node: 'gpu-a', status: 'error', verdict: 'unknown', reason: 'error of its tool', said: 'x' }],
      findings: [{ node: 'gpu-a', verdict: 'warning', what: 'w' }],
      findingGroupCount: 2,
      total: 2,
    };
    const text = renderCluster(answer, healthView, pipe);
    expect(text).toContain('and 1 more kind of findings: see --json');
    expect(text).toContain('and 1 more node: give');
    expect(text).toContain('error: error of its tool. It said: "x"');
    expect(renderCluster({ ...answer, findingGroupCount: 3 }, healthView, pipe)).toContain('2 more kinds of');
  });

  test('says how many nodes are not listed', () => {
    const text = renderCluster(
      { scope: 'cluster', nodes: [{ node: 'a', status: 'ok' }], total: 9 },
      healthView,
      pipe,
    );
    expect(text).toContain('and 8 more nodes');
  });
});

describe('one node', () => {
  const on = (tool: string, scenario: 'healthy-8xh100' | 'fallen-off-bus') => agentAnswer(tool, scenario);

  test('health has a row for each GPU', async () => {
    const text = renderNodeHealth(await on('get_gpu_health', 'fallen-off-bus'), pipe);
    expect(text).toMatch(/^gpu-a {2}CRITICAL/);
    expect(rowOf(text, '3').slice(0, 5)).toEqual(['3', 'CRITICAL', '0', 'lost', 'reboot-node']);
    expect(rowOf(text, '0').slice(0, 4)).toEqual(['0', 'OK', '100', 'ok']);
  });

  test('inventory has no memory for a GPU that is lost', async () => {
    const text = renderNodeInventory(await on('get_gpu_inventory', 'fallen-off-bus'), pipe);
    expect(rowOf(text, '3').slice(0, 3)).toEqual(['3', 'lost', '-']);
    expect(text).toContain('NVIDIA H100 80GB HBM3');
  });

  test('xid quotes the log behind a bar', async () => {
    const text = renderNodeIncidents(await on('analyze_xid_errors', 'fallen-off-bus'), pipe);
    expect(text).toMatch(/CRITICAL {2}Xid 79 GPU has fallen off the bus {2}GPU 3/);
    expect(text).toMatch(/^ {2}\| .*NVRM: Xid/m);
  });

  test('diagnose says whose fault it is and what to do', async () => {
    const text = renderDiagnosis(await on('explain_failure', 'fallen-off-bus'), pipe);
    expect(text.split('\n')[0]).toBe(
      'CRITICAL  GPU 3  not your code: hardware (GPU off its bus) (confidence high)',
    );
    expect(text).toMatch(/Do now\n {2}reboot-node: /);
  });

  test('diagnose is not sure of nothing', async () => {
    const text = renderDiagnosis(await on('explain_failure', 'healthy-8xh100'), pipe);
    expect(text.split('\n')[0]).toBe('OK  nothing wrong is seen');
  });

  test('a tool without a command is one for the assistant', () => {
    const step = { action: 'none', reason: 'Evidence.', tool: 'get_incident_report' };
    const text = renderNodeHealth({ node: 'gpu-a', nextSteps: [step] }, pipe);
    expect(text).toContain('Evidence. (in your assistant: get_incident_report)');
  });

  test('top puts readings beside holders', async () => {
    const holders = await on('get_gpu_processes', 'healthy-8xh100');
    const telemetry = await on('get_gpu_telemetry', 'healthy-8xh100');
    const gpus = telemetry['gpus'] as readonly StructuredContent[];
    const first = gpus[0]?.['utilization'] as { readonly gpuPercent: number };
    const text = renderTopOfNode({ ...holders, telemetry }, pipe);
    expect(rowOf(text, '0').slice(1, 3)).toEqual(['ok', `${Math.round(first.gpuPercent)} %`]);
    expect(text).toContain('train.py');
  });
});

describe('what a terminal gets', () => {
  const hostile = '\u001b]0;pwned\u0007\u001b[2J\u009b31m\r\u202eevil\n  OK  fine';
  const nasty = (depth = 0): StructuredContent => ({
    ...Object.fromEntries(
      [
        'node',
        'status',
        'reason',
        'said',
        'summary',
        'observedAt',
        'verdict',
        'title',
        'what',
        'action',
        'state',
        'uuid',
      ].map((name) => [name, hostile]),
    ),
    scope: 'cluster',
    ...(depth > 2
      ? {}
      : Object.fromEntries(
          [
            'nodes',
            'findings',
            'gaps',
            'nextSteps',
            'gpus',
            'incidents',
            'processes',
            'holders',
            'hypotheses',
            'terminations',
            'ways',
            'events',
            'drift',
            'values',
          ].map((name) => [name, [nasty(depth + 1), null, 7]]),
        )),
    raw: [hostile],
    subject: { namespace: hostile, pod: hostile, owner: { kind: hostile, name: hostile } },
    pod: { namespace: hostile, name: hostile },
    owner: { kind: hostile, name: hostile },
    wouldChange: [hostile],
    telemetry: depth > 2 ? hostile : nasty(depth + 1),
    coverage: {
      gpuBackend: { backend: hostile, readable: hostile, detail: hostile },
      kernelLog: { readable: hostile, source: hostile },
    },
  });
  const renderers = {
    health: (content: StructuredContent) => renderCluster(content, healthView, pipe),
    inventory: (content: StructuredContent) => renderCluster(content, inventoryView, pipe),
    xid: (content: StructuredContent) => renderCluster(content, xidView, pipe),
    top: (content: StructuredContent) => renderTopOfCluster(content, pipe),
    'health NODE': (content: StructuredContent) => renderNodeHealth(content, pipe),
    'inventory NODE': (content: StructuredContent) => renderNodeInventory(content, pipe),
    'xid NODE': (content: StructuredContent) => renderNodeIncidents(content, pipe),
    'top NODE': (content: StructuredContent) => renderTopOfNode(content, pipe),
    diagnose: (content: StructuredContent) => renderDiagnosis(content, pipe),
  };

  test.each(Object.entries(renderers))(
    '%s: nothing that could move the cursor, whatever the cluster says',
    (_, render) => {
      const text = render(nasty());
      expect(isHarmless(text)).toBe(true);
      expect(text).toContain('evil');
      // A made-up line cannot begin where ours do.
      expect(text).not.toMatch(/^ {2}OK {2}fine/m);
    },
  );

  test.each(Object.entries(renderers))(
    '%s: an answer without anything, or of another shape, is no crash',
    (_, render) => {
      for (const content of [
        {},
        { nodes: 7, gpus: 'x', findings: {}, coverage: [], nextSteps: null },
        { summary: 'x'.repeat(10_000_000) },
      ])
        expect(render(content).length).toBeLessThan(10_000);
    },
  );

  test('the check would see a control character', () => {
    expect(isHarmless(`ok ${hostile}`)).toBe(false);
    expect(isHarmless('\u009b31m')).toBe(false);
  });

  test('tables stay within a narrow terminal where they can, and lose the columns that hold nothing', async () => {
    const answer = presentHealth(
      asking('get_gpu_health'),
      fanOut([
        ok('a'.repeat(60), await agentAnswer('get_gpu_health', 'fallen-off-bus')),
        ok('gpu-a', await agentAnswer('get_gpu_health', 'healthy-8xh100')),
      ]),
    );
    const text = renderCluster(answer, healthView, terminalOf(80));
    expect(Math.max(...text.split('\n').map((line) => line.length))).toBeLessThanOrEqual(80);
    const [well = {}] = [{ ...answer, nodes: [{ node: 'gpu-a', status: 'ok', verdict: 'ok', gpuCount: 8 }] }];
    expect(renderCluster(well, healthView, pipe)).toMatch(/^NODE {3}VERDICT {2}GPUS$/m);
  });

  test('colour does not count as width', async () => {
    const answer = presentHealth(
      asking('get_gpu_health'),
      fanOut([
        ok('gpu-a', await agentAnswer('get_gpu_health', 'fallen-off-bus')),
        failed('gpu-c', 'timeout'),
      ]),
    );
    const plain = renderCluster(answer, healthView, terminalOf(100));
    const colored = renderCluster(answer, healthView, terminalOf(100, true));
    expect(colored).not.toBe(plain);
    expect(colored.replaceAll(/<(?:\w+)>|<\/>/g, '')).toBe(plain);
  });
});
