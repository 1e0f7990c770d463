import { describe, expect, test } from 'vitest';
import { h100Node } from '../../test/h100.ts';
import { applicationFault, fellOffTheBus, record, rig, xidLine } from '../../test/rig.ts';
import { GpuError } from '../errors.ts';
import { inMemoryKernelLog } from '../testing.ts';

const analyze = (options: Parameters<typeof rig>[0], input = {}) =>
  rig(options).answer('analyze_xid_errors', input);

const log = [
  record(applicationFault('0000:2a:00'), { at: '2026-11-21T09:00:00.000Z' }),
  record(fellOffTheBus('0000:3a:00'), { at: '2026-11-21T11:00:00.000Z' }),
];

describe('incidents', () => {
  test('stand worst first, with code, GPU, action and times', async () => {
    const answer = await analyze({ log });
    expect(answer.incidents.map((incident) => incident['xid'])).toEqual([79, 13]);
    expect(answer).toMatchObject({ verdict: 'critical', eventCount: 2, total: 2, truncated: false });
    expect(answer.incidents[0]).toMatchObject({
      pciAddress: '0000:3a:00',
      gpu: 2,
      gpuUuid: expect.stringMatching(/^GPU-c4027be9/),
      count: 1,
      firstAt: '2026-11-21T11:00:00.000Z',
      trusted: true,
    });
    expect(answer.summary).toContain('Xid 79 on GPU 2');
    expect(answer.nextSteps[0]).toMatchObject({ action: answer.incidents[0]?.['action'] });
  });

  test('a quiet log is ok for what it covers', async () => {
    const answer = await analyze({
      log: inMemoryKernelLog([], { source: 'kmsg', from: '2026-11-01T00:00:00.000Z' }),
    });
    expect(answer).toMatchObject({
      verdict: 'ok',
      incidents: [],
      coverage: { kernelLog: { source: 'kmsg', readable: true, from: '2026-11-01T00:00:00.000Z' } },
      nextSteps: [],
    });
  });

  test('a log that cannot be read is unknown', async () => {
    const unreadable = inMemoryKernelLog([], { source: null, readable: false });
    expect(await analyze({ log: unreadable })).toMatchObject({
      verdict: 'unknown',
      gaps: [{ field: 'kernelLog', reason: 'not-observable' }],
      nextSteps: [{ command: 'k8s-gpu-mcp-server doctor' }],
    });
  });

  test('time since boot stands under a name that says so when that is all the log tells', async () => {
    const { incidents } = await analyze({
      log: [record(fellOffTheBus('0000:3a:00'), { at: null, uptimeSeconds: 512.25 })],
    });
    expect(incidents[0]).toMatchObject({ firstAt: null, firstUptimeSeconds: 512.25 });
  });
});

describe('what a program wrote', () => {
  const forged = record(fellOffTheBus('0000:3a:00'), { trusted: false });

  test('alone: listed, marked, without verdict or step', async () => {
    const answer = await analyze({ log: [forged] });
    expect(answer.incidents).toMatchObject([{ xid: 79, trusted: false }]);
    expect(answer).toMatchObject({ verdict: 'ok', nextSteps: [] });
    expect(answer.summary).toContain('no conclusion');
    expect(answer.summary).not.toContain('Xid 79');
  });

  test('does not change the verdict and step of what the kernel wrote', async () => {
    const real = record(applicationFault('0000:2a:00'));
    const { verdict, nextSteps } = await analyze({ log: [real] });
    expect(await analyze({ log: [real, forged] })).toMatchObject({ verdict, nextSteps });
  });
});

describe('gpu', () => {
  test.each([2, 'GPU-c402', '0000:3a:00.0', '3a:00'])('%j: only its incidents', async (gpu) => {
    const answer = await analyze({ log }, { gpu });
    expect(answer.incidents.map((incident) => incident['xid'])).toEqual([79]);
  });

  test('without any, the others do not show, and it is not said that there are none', async () => {
    const answer = await analyze({ log }, { gpu: 7 });
    expect(answer).toMatchObject({ verdict: 'ok', incidents: [], total: 0 });
    expect(answer.summary).toContain('None of the 2 GPU events');
  });

  test('a PCI address works while the driver does not', async () => {
    const describe = new GpuError('DRIVER_NOT_LOADED', 'no driver');
    const answer = await analyze({ describe, log }, { gpu: '0000:3a:00' });
    expect(answer.incidents).toMatchObject([{ xid: 79 }]);
    expect(answer.gaps).toMatchObject([{ field: 'gpuAttribution' }]);
    const byIndex = await rig({ describe, log }).call('analyze_xid_errors', { gpu: 2 });
    expect(byIndex).toMatchObject({ isError: true, text: expect.stringMatching(/gpu = 2.*PCI address/s) });
  });

  test('a lost GPU whose address only the log knows: its own incidents', async () => {
    const gpus = h100Node().map((gpu, index) =>
      index === 2 ? { ...gpu, ref: { index, uuid: null, pciAddress: null, name: null } } : gpu,
    );
    const answer = await analyze({ log, gpus }, { gpu: 2 });
    expect(answer.incidents.map(({ xid, gpu }) => [xid, gpu])).toEqual([[79, 2]]);
  });

  test('whose address is not known is an error, not the incidents of all', async () => {
    const gpus = h100Node().map((gpu, index) =>
      index === 3 ? { ...gpu, ref: { ...gpu.ref, pciAddress: null } } : gpu,
    );
    const result = await rig({ gpus, log }).call('analyze_xid_errors', { gpu: 3 });
    expect(result).toMatchObject({ isError: true, text: expect.stringContaining('GPU 3') });
  });
});

describe('time', () => {
  test.each([
    [{ since: '2h' }, [79]],
    [{ until: '2026-11-21T10:00:00Z' }, [13]],
    [{ since: '2026-11-21T08:00:00Z', until: '2026-11-21T12:00:00Z' }, [79, 13]],
    [{ since: '2026-11-21T11:00:00Z', until: '2026-11-21T11:00:00Z' }, [79]],
    [{ since: '10m' }, []],
  ])('%j', async (input, codes) => {
    const { incidents } = await analyze({ log }, input);
    expect(incidents.map((incident) => incident['xid'])).toEqual(codes);
  });

  test('a log that writes an offset is understood', async () => {
    // 12:00 in Berlin is 11:00 UTC; compared as text it would be after "until".
    const local = [record(fellOffTheBus('0000:3a:00'), { at: '2026-11-21T12:00:00+01:00' })];
    const { incidents } = await analyze({ log: local }, { until: '2026-11-21T11:30:00Z' });
    expect(incidents).toHaveLength(1);
  });

  test('a record without a time is never left out', async () => {
    const { incidents } = await analyze(
      { log: [record(fellOffTheBus('0000:3a:00'), { at: null })] },
      { since: '1m' },
    );
    expect(incidents).toHaveLength(1);
  });
});

describe('minimumSeverity', () => {
  test('shortens the list; the verdict and the step stay', async () => {
    const contained = [
      record(xidLine(94, '0000:2a:00', 'pid=4, name=x, Contained: SM (0x6,0x0). RST: No, D-RST: No')),
    ];
    const all = await analyze({ log: contained });
    expect(all).toMatchObject({ verdict: 'warning', total: 1 });
    const fatal = await analyze({ log: contained }, { minimumSeverity: 'fatal' });
    expect(fatal).toMatchObject({ total: 0, incidents: [], verdict: 'warning', nextSteps: all.nextSteps });
    expect(fatal.summary).not.toContain('No GPU errors');
  });
});

test('a fault of the application leaves the verdict ok, and still says what to do', async () => {
  const answer = await analyze({ log: [record(applicationFault('0000:2a:00'))] });
  expect(answer.verdict).toBe('ok');
  expect(answer.summary).toContain('Xid 13 on GPU 1');
  expect(answer.nextSteps[0]).toMatchObject({ action: 'restart-app' });
});

describe('pages', () => {
  const addresses = ['18', '2a', '3a', '5d', '9a', 'ab', 'ba', 'db'].map((bus) => `0000:${bus}:00`);
  const many = [...addresses.map(fellOffTheBus), ...addresses.map(applicationFault)].map((text) =>
    record(text),
  );

  test.each([1, 3, 5, 16, 200])('of %d: every incident once, in one order', async (limit) => {
    const whole = await analyze({ log: many }, { limit: 200 });
    expect(whole).toMatchObject({ total: 16, truncated: false });
    const seen: unknown[] = [];
    let cursor: string | undefined;
    for (let page = 0; page <= 16; page += 1) {
      const answer = await analyze({ log: many }, { limit, ...(cursor === undefined ? {} : { cursor }) });
      expect(answer['total']).toBe(16);
      seen.push(...answer.incidents);
      cursor = answer['nextCursor'] as string | undefined;
      expect(answer['truncated']).toBe(cursor !== undefined);
      if (cursor === undefined) break;
    }
    expect(seen).toEqual(whole.incidents);
  });

  test('ten unless asked', async () => {
    const answer = await analyze({ log: many });
    expect(answer.incidents).toHaveLength(10);
    expect(answer).toMatchObject({ truncated: true, nextCursor: '10' });
  });

  test('past the end is empty, not an error', async () => {
    expect(await analyze({ log: many }, { cursor: '999' })).toMatchObject({
      incidents: [],
      total: 16,
      truncated: false,
    });
  });
});

test('detail full tells more of each incident, and all of its lines', async () => {
  const lines = [0, 1, 2].map((n) =>
    record(xidLine(31, '0000:3a:00', `pid=9, name=python3, Ch 0000000${n}`)),
  );
  const summary = await analyze({ log: lines });
  const full = await analyze({ log: lines }, { detail: 'full' });
  expect(summary.incidents[0]?.['raw']).toHaveLength(1);
  expect(full.incidents).toMatchObject([
    { raw: [expect.any(String), expect.any(String), expect.any(String)] },
  ]);
  expect(full.incidents[0]).toHaveProperty('source');
  expect(summary.incidents[0]).not.toHaveProperty('source');
});
