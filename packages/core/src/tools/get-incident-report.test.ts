import { describe, expect, test } from 'vitest';
import { h100Node, h100Ref, h100Sample } from '../../test/h100.ts';
import { applicationFault, fellOffTheBus, h100Host, record, rig, xidLine } from '../../test/rig.ts';
import type { GpuSample } from '../domain/gpu.ts';
import { GpuError } from '../errors.ts';
import { inMemoryKernelLog, type StubGpu } from '../testing.ts';
import type { IncidentReport } from './report/incident-report.ts';

type Options = Parameters<typeof rig>[0];
const tool = 'get_incident_report';
const ask = (options: Options, input = {}) => rig(options).answer(tool, input);
const reportOf = (answer: Readonly<Record<string, unknown>>) => answer['report'] as IncidentReport;
const textOf = (answer: Readonly<Record<string, unknown>>) => String(answer['markdown']);
const at = (time: string) => ({ at: `2026-11-21T${time}.000Z` });

/** Nothing runs on it and nothing of its memory is used. */
const idle = { memory: { usedBytes: 4 * 1024 ** 2 } } as const;
const wellNode = (changed: Readonly<Record<number, StubGpu['sample']>> = {}) =>
  h100Node({
    ...Object.fromEntries(Array.from({ length: 8 }, (_, index) => [index, h100Sample(index, idle)])),
    ...changed,
  });
const fault = record(applicationFault('0000:2a:00'), at('11:50:00'));
const lossLine = fellOffTheBus('0000:3a:00');
const loss = record(lossLine, at('11:30:00'));
const gone = new GpuError('GPU_LOST', 'NVML_ERROR_GPU_IS_LOST (15)');

/** A node whose GPU 2 a test changes between calls. */
function changingNode(first: GpuSample = h100Sample(2, idle)) {
  const gpus: StubGpu[] = wellNode({ 2: first });
  return {
    gpus,
    set(sample: NonNullable<StubGpu['sample']>) {
      gpus[2] = { ref: h100Ref(2), sample };
    },
  };
}

describe('the report', () => {
  test('conclusion, serials, firmware, raw lines, coverage', async () => {
    const answer = await ask({ gpus: wellNode({ 2: gone }), log: [loss], host: h100Host() }, { gpu: 2 });
    expect(answer).toMatchObject({
      apiVersion: 'v1',
      verdict: 'critical',
      notYourCode: true,
      cause: 'gpu-bus',
      action: 'reboot-node',
      reportId: expect.stringMatching(/^rep-[0-9a-f]{16}$/),
      report: {
        driverVersion: '580.159.04',
        gpus: [{ index: 2, state: 'lost', uuid: h100Ref(2).uuid, pciAddress: '0000:3a:00.0', serial: null }],
        incidents: [{ xid: 79, gpu: 2, standing: 'primary', raw: [lossLine] }],
        events: [{ at: '2026-11-21T11:30:00.000Z', gpu: 2, what: expect.stringMatching(/^Xid 79: /) }],
        omitted: {},
      },
      coverage: { kernelLog: { readable: true }, gpuBackend: { readable: true } },
      nextSteps: [{ action: 'reboot-node' }, { command: 'nvidia-bug-report.sh' }],
    });
    expect(answer).not.toHaveProperty('markdown');
  });

  test('a healthy GPU has its serial, part number and firmware', async () => {
    expect(reportOf(await ask({ gpus: wellNode() }, { gpu: 4 })).gpus).toMatchObject([
      {
        index: 4,
        state: 'ok',
        name: 'NVIDIA H100 80GB HBM3',
        serial: '1650523041259',
        boardPartNumber: '692-2G520-0200-000',
        moduleId: 5,
        vbiosVersion: '96.00.74.00.01',
        inforomVersion: 'G520.0200.00.05',
        gspFirmwareVersion: '580.159.04',
        counters: [],
      },
    ]);
  });

  test('counters before and after', async () => {
    const node = changingNode();
    const { answer, clock } = rig({ gpus: node.gpus });
    await answer('get_gpu_health');
    clock.advance(60_000);
    node.set(
      h100Sample(2, { ...idle, ecc: { correctableVolatileCount: 17_700 }, pcie: { replayCount: null } }),
    );
    const [gpu] = reportOf(await answer(tool, { gpu: 2 })).gpus;
    expect(gpu).toMatchObject({
      countersBeforeAt: '2026-11-21T12:00:00.000Z',
      counters: [
        { field: 'ecc.correctableVolatileCount', before: 0, after: 17_700 },
        { field: 'pcie.replayCount', before: 0, after: null },
      ],
    });
    const full = reportOf(await answer(tool, { gpu: 2, detail: 'full' })).gpus[0]?.counters ?? [];
    expect(full).toContainEqual({ field: 'rowRemap.pending', before: false, after: false });
    expect(full.length).toBe(2 + (gpu?.zeroCounterCount ?? 0));
  });

  test('the serial of a GPU that fell off its bus is the one it told before', async () => {
    const node = changingNode();
    const { answer, clock } = rig({ gpus: node.gpus, log: [loss] });
    await answer('get_gpu_health');
    clock.advance(60_000);
    node.set(gone);
    const report = await answer(tool, { gpu: 2 });
    expect(reportOf(report).gpus).toMatchObject([
      { state: 'lost', serial: '1650523041233', identityAt: '2026-11-21T12:00:00.000Z' },
    ]);
  });

  test('without a question it is about the GPU that is concluded on', async () => {
    const answer = await ask({ gpus: wellNode({ 2: gone }), log: [loss, fault] });
    expect(reportOf(answer).gpus.map(({ index }) => index)).toEqual([2]);
  });

  test('events stand oldest first, also where an older one lasts longer', async () => {
    const long = ['11:00:00', '11:04:00', '11:08:00'].map((time) =>
      record(applicationFault('0000:3a:00'), at(time)),
    );
    // The worse one, which the incidents begin with.
    const short = record(lossLine, at('11:05:00'));
    const log = [...long, short].sort((a, b) => ((a.at ?? '') < (b.at ?? '') ? -1 : 1));
    const { events } = reportOf(await ask({ gpus: wellNode(), log }, { gpu: 2 }));
    expect(events.map((event) => event.at)).toEqual([at('11:00:00').at, at('11:05:00').at]);
  });
});

describe('Markdown', () => {
  test('has the same facts as text, and the same id', async () => {
    const options = { gpus: wellNode({ 2: gone }), log: [loss], host: h100Host() };
    const json = await ask(options, { gpu: 2 });
    const answer = await ask(options, { gpu: 2, format: 'markdown' });
    expect(answer).not.toHaveProperty('report');
    expect(answer['reportId']).toBe(json['reportId']);
    const text = textOf(answer);
    for (const words of [
      `# GPU incident report ${String(json['reportId'])}`,
      '- Node: `gpu-node-7`, driver `580.159.04`',
      '- Verdict: **critical** (not your code; cause gpu-bus',
      '- Action: **reboot-node**',
      '### GPU 2 (lost)',
      `- uuid: \`${h100Ref(2).uuid}\``,
      `\`\`\`text\n${lossLine}\n\`\`\``,
      '## Coverage',
      '1 did not answer in full',
    ]) {
      expect(text).toContain(words);
    }
    expect(text).toContain(answer.summary);
  });

  test('what a driver or a file calls itself does not leave its code span', async () => {
    const hostile = 'x` [click](https://example.org) `` \u001b[31m\n# y';
    const gpus = wellNode({ 0: h100Sample(0, { ...idle, identity: { serial: hostile } }) });
    const describe = { driverVersion: hostile, computeApiVersion: hostile };
    const text = textOf(await ask({ gpus, describe, log: [] }, { gpu: 0, format: 'markdown' }));
    expect(text.split("`x' [click](https://example.org) ''  # y`")).toHaveLength(4);
    expect(text.replace(/`[^`\n]*`/g, '')).not.toContain('click');
  });

  test('a counter that cannot be read any more is not a zero', async () => {
    const node = changingNode();
    const { answer, clock } = rig({ gpus: node.gpus });
    await answer('get_gpu_health');
    clock.advance(60_000);
    node.set(h100Sample(2, { ...idle, pcie: { replayCount: null } }));
    expect(textOf(await answer(tool, { gpu: 2, format: 'markdown' }))).toContain(
      '| pcie.replayCount | 0 | not read |',
    );
  });
});

describe('what it is asked about', () => {
  const log = [loss, record(applicationFault('0000:3a:00'), at('11:35:00')), fault];

  test.each([
    2,
    '2',
    'GPU-c4027be9-91d3-4a5f-b6e8-13fa9c5d7032',
    'gpu-c402',
    'c4027be9',
    '0000:3a:00.0',
    '00000000:3A:00.0',
    '3a:00.0',
    '0000:3a:00',
  ])('gpu = %j', async (gpu) => {
    const report = reportOf(await ask({ gpus: wellNode(), log }, { gpu }));
    expect(report.gpus.map(({ index }) => index)).toEqual([2]);
    expect(report.incidents.map(({ xid }) => xid)).toEqual(expect.arrayContaining([79, 13]));
    expect(report.incidents.every((incident) => incident.gpu === 2)).toBe(true);
  });

  test.each(['analyze_xid_errors', 'explain_failure'])(
    'an incident by the id that %s gave',
    async (giver) => {
      const { answer } = rig({ gpus: wellNode({ 2: gone }), log });
      const { incidents } = await answer(giver);
      const chosen = incidents.find(({ xid }) => xid === 79) ?? expect.fail(`${giver} shows no incident`);
      const report = reportOf(await answer(tool, { incident: chosen['id'] }));
      expect(report.incidents[0]).toMatchObject({ id: chosen['id'], xid: 79 });
      expect(report.gpus.map(({ index }) => index)).toEqual([2]);
    },
  );

  test('an incident that began before the day that is read by default', async () => {
    const old = ['2026-11-20T12:02:00.000Z', '2026-11-20T12:04:00.000Z'].map((time) =>
      record(lossLine, { at: time }),
    );
    const { answer, clock } = rig({ gpus: wellNode(), log: old });
    const id = (await answer('analyze_xid_errors')).incidents[0]?.['id'];
    // By now its first line is older than a day.
    clock.advance(3 * 60_000);
    expect(reportOf(await answer(tool, { incident: id })).incidents).toMatchObject([{ id, count: 2 }]);
  });

  test('a time: what happened then comes first', async () => {
    const answer = await ask({ gpus: wellNode(), log }, { at: '2026-11-21T11:51:00Z' });
    expect(answer).toMatchObject({
      cause: 'application-fault',
      report: { incidents: [{ xid: 13, gpu: 1 }] },
    });
    const old = record(lossLine, { at: '2026-11-10T10:00:00.000Z' });
    const then = await ask(
      { gpus: wellNode({ 2: gone }), log: [old, ...log] },
      { at: '2026-11-10T10:01:00Z' },
    );
    expect(reportOf(then).incidents[0]).toMatchObject({ xid: 79, firstAt: old.at });
  });

  test('a GPU that the driver does not list, by its place on the bus', async () => {
    const answer = await ask(
      { gpus: wellNode(), log: [record(fellOffTheBus('0000:ff:00'), at('11:00:00'))] },
      { gpu: '0000:ff:00.0' },
    );
    expect(reportOf(answer)).toMatchObject({ gpus: [], incidents: [{ xid: 79, pciAddress: '0000:ff:00' }] });
  });
});

describe('bad input is refused by name, with what to do', () => {
  test.each([
    [{ gpu: 1, at: '5m' }, /gpu = 1 and at = "5m".*Give one of them/s],
    [{ gpu: 1, incident: 'x', at: '5m' }, /gpu = 1 and incident = "x" and at = "5m"/],
    [{ incident: 'xid-79@nowhere' }, /incident = "xid-79@nowhere".*analyze_xid_errors/s],
    [{ incident: '' }, /incident = "".*1 to 200 characters/],
    [{ at: 'yesterday' }, /at = "yesterday".*2026-01-31T12:00:00Z/],
    [{ at: '2027-01-01T00:00:00Z' }, /at = "2027-01-01T00:00:00Z" is in the future.*before now/],
    [{ since: 'tomorrow' }, /since = "tomorrow"/],
    [{ since: '2027-01-01' }, /since = .*before now/],
    [{ format: 'pdf' }, /format = "pdf": expected "json" or "markdown"/],
    [{ redact: 'yes' }, /redact = "yes"/],
    [{ gpu: 31 }, /gpu = 31 .*GPUs 0 to 7/],
    [{ gpu: 'nonsense!' }, /gpu = "nonsense!"/],
    [{ gpu: '0000:ee:00.0' }, /gpu = "0000:ee:00.0"/],
  ])('%j', async (input, message) => {
    const { call, errors } = rig({ gpus: wellNode(), log: [loss] });
    expect(await call(tool, input)).toMatchObject({ isError: true, text: expect.stringMatching(message) });
    expect(errors).toEqual([]);
  });
});

describe('what cannot be read is said', () => {
  const describeError = new GpuError('DRIVER_UNRESPONSIVE', 'no answer');

  test('the driver', async () => {
    const options = { describe: describeError, log: [loss], host: h100Host() };
    const answer = await ask(options);
    expect(answer).toMatchObject({
      verdict: 'critical',
      report: { driverVersion: null, gpus: [], incidents: [{ xid: 79 }] },
      gaps: expect.arrayContaining([expect.objectContaining({ field: 'gpuBackend' })]),
      coverage: { gpuBackend: { readable: false, detail: 'DRIVER_UNRESPONSIVE' } },
    });
    expect(reportOf(await ask(options, { gpu: '3a:00.0' })).incidents).toMatchObject([{ xid: 79 }]);
    const byIndex = await rig(options).call(tool, { gpu: 2 });
    expect(byIndex).toMatchObject({ isError: true, text: expect.stringMatching(/gpu = 2 .*PCI address/s) });
    expect(textOf(await ask(options, { format: 'markdown' }))).toContain('(DRIVER_UNRESPONSIVE)');
  });

  test('one GPU that hangs', async () => {
    const { call, clock } = rig({ gpus: wellNode({ 2: 'hang' }), log: [] });
    const called = call(tool, { gpu: 2 });
    for (let second = 0; second < 12; second += 1) {
      await new Promise<void>((resolve) => setImmediate(resolve));
      clock.advance(1_000);
    }
    expect(await called).toMatchObject({
      isError: false,
      structuredContent: { verdict: 'critical', report: { gpus: [{ index: 2, state: 'hung' }] } },
    });
  });

  test('a node without GPUs', async () => {
    const answer = await ask({ gpus: [], log: [] });
    expect(answer.verdict).toBe('unknown');
    expect(reportOf(answer)).toMatchObject({ gpus: [], incidents: [], events: [], omitted: {} });
  });

  test('an empty log is not an unreadable one', async () => {
    const empty = textOf(await ask({ gpus: wellNode(), log: [] }, { format: 'markdown' }));
    expect(empty).toContain('Kernel log read from');
    const log = inMemoryKernelLog([], { source: null, readable: false });
    expect(textOf(await ask({ gpus: wellNode(), log }, { format: 'markdown' }))).toContain(
      'The kernel log could not be read.',
    );
  });

  test('a line that a program wrote comes last and concludes nothing', async () => {
    const forged = record(fellOffTheBus('0000:2a:00'), { ...at('11:58:00'), trusted: false });
    const options = { gpus: wellNode(), log: [fault, forged] };
    const answer = await ask(options, { gpu: 1 });
    expect(answer).toMatchObject({ cause: 'application-fault', notYourCode: false });
    expect(reportOf(answer).incidents.map(({ trusted }) => trusted)).toEqual([true, false]);
    expect(textOf(await ask(options, { gpu: 1, format: 'markdown' }))).toContain(
      'A program wrote it, not the kernel',
    );
  });
});

describe('the same facts give the same report', () => {
  const lines = [loss, fault, record(xidLine(94, '0000:5d:00', 'pid=99, name=x, Contained'), at('10:00:00'))];
  const idOf = async (options: Options, input = {}) => (await ask(options, input))['reportId'];
  const base = { gpus: wellNode({ 2: gone }), log: lines };

  test('whatever the form', async () => {
    const id = await idOf(base);
    for (const input of [
      { detail: 'full' },
      { format: 'markdown' },
      { format: 'markdown', detail: 'full' },
    ]) {
      expect(await idOf(base, input)).toBe(id);
    }
  });

  test('at another time, with another baseline time', async () => {
    const early = rig(base);
    await early.answer('get_gpu_health');
    const late = rig(base);
    late.clock.advance(600_000);
    await late.answer('get_gpu_health');
    late.clock.advance(1_000);
    const [one, other] = [await early.answer(tool), await late.answer(tool)];
    expect(other['reportId']).toBe(one['reportId']);
    const { observedAt: _, ...rest } = one;
    expect(other).toMatchObject({ ...rest, report: expect.anything() });
  });

  test('in another order', async () => {
    const id = await idOf(base);
    expect(await idOf({ ...base, log: lines.toReversed() })).toBe(id);
    const shared = { kinds: ['compute'], memoryUsedBytes: 2 ** 30, smPercent: null } as const;
    const rest = {
      gpuInstanceId: null,
      computeInstanceId: null,
      memoryPercent: null,
      encoderPercent: null,
      decoderPercent: null,
    };
    const running = [11, 12, 13].map((pid) => ({ pid, ...shared, ...rest }));
    const node = (order: typeof running) => wellNode({ 5: h100Sample(5, { processes: { running: order } }) });
    expect(await idOf({ gpus: node(running.toReversed()) }, { gpu: 5 })).toBe(
      await idOf({ gpus: node(running) }, { gpu: 5 }),
    );
  });

  test('and other facts another', async () => {
    const ids = [
      await idOf(base, { gpu: 2 }),
      await idOf({ ...base, log: lines.slice(1) }, { gpu: 2 }),
      await idOf({ ...base, log: [record(`${lossLine} `, at('11:31:00')), ...lines.slice(1)] }, { gpu: 2 }),
      await idOf(
        { ...base, log: [record(`${lossLine} again`, at('11:30:00')), ...lines.slice(1)] },
        { gpu: 2 },
      ),
      await idOf({ ...base, gpus: wellNode() }, { gpu: 2 }),
      await idOf(
        { ...base, gpus: wellNode({ 2: h100Sample(2, { ...idle, pcie: { replayCount: 1 } }) }) },
        { gpu: 2 },
      ),
      await idOf({ ...base, describe: { driverVersion: '580.1' } }, { gpu: 2 }),
    ];
    expect(new Set(ids).size).toBe(ids.length);
  });
});

test('the description is short', () => {
  expect(rig().tools.find(({ name }) => name === tool)?.description.length).toBeLessThanOrEqual(250);
});
