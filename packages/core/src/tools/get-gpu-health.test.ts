import { describe, expect, test } from 'vitest';
import { h100Node, h100Sample } from '../../test/h100.ts';
import { applicationFault, fellOffTheBus, record, rig, turn } from '../../test/rig.ts';
import { GpuError } from '../errors.ts';
import type { KernelLogRequest } from '../ports/kernel-log.ts';
import { inMemoryKernelLog } from '../testing.ts';

const health = (options: Parameters<typeof rig>[0], input = {}) =>
  rig(options).answer('get_gpu_health', input);
const unreadableLog = inMemoryKernelLog([], {
  source: null,
  readable: false,
  skipped: [{ source: 'kmsg', reason: 'EPERM' }],
});

describe('a healthy node', () => {
  test('is ok with nothing to do', async () => {
    expect(await health({})).toMatchObject({
      verdict: 'ok',
      score: 100,
      summary: '8 GPUs: 8 ok.',
      findings: [],
      gaps: [],
      nextSteps: [],
    });
  });

  test('one GPU of it', async () => {
    const answer = await health({}, { gpu: 'GPU-c402' });
    expect(answer.summary).toBe('1 GPU: 1 ok.');
    expect(answer.gpus).toMatchObject([{ index: 2 }]);
  });
});

describe('the log', () => {
  test('an Xid of the kernel is a finding of its GPU, and of no other', async () => {
    const answer = await health({ log: [record(fellOffTheBus('0000:3a:00'))] });
    expect(answer.verdict).toBe('critical');
    expect(answer.gpus.map((gpu) => gpu['verdict'])).toEqual([
      'ok',
      'ok',
      'critical',
      'ok',
      'ok',
      'ok',
      'ok',
      'ok',
    ]);
    expect(answer.findings).toMatchObject([{ ruleId: 'log.xid-79', gpu: 2 }]);
    expect(answer.summary).toContain('GPU 2: ');
    expect(answer.nextSteps[0]).toMatchObject({ reason: expect.stringContaining('GPU 2') });
    expect(answer.nextSteps[1]).toMatchObject({ tool: 'analyze_xid_errors' });
  });

  test.each(['0000:3a:00', '00000000:3A:00.0', '3a:00.0'])(
    'joins with a driver that says %s',
    async (pciAddress) => {
      const gpus = h100Node().map((gpu, index) =>
        index === 2 ? { ...gpu, ref: { ...gpu.ref, pciAddress } } : gpu,
      );
      const answer = await health({ gpus, log: [record(fellOffTheBus('0000:3a:00'))] });
      expect(answer.findings).toMatchObject([{ ruleId: 'log.xid-79', gpu: 2 }]);
    },
  );

  test('a GPU that fell off its bus and is no longer counted still makes the node critical', async () => {
    const answer = await health({ gpus: h100Node({}, 7), log: [record(fellOffTheBus('0000:db:00'))] });
    expect(answer.gpus.every((gpu) => gpu['verdict'] === 'ok')).toBe(true);
    expect(answer.verdict).toBe('critical');
    expect(answer['score']).toBe(40);
    expect(answer.findings).toHaveLength(1);
    expect(answer.findings[0]).not.toHaveProperty('gpu');
    expect(answer.summary).toContain('Node: ');
    expect(answer.nextSteps[0]).toMatchObject({ reason: expect.stringContaining('Node: ') });
  });

  test('but is no matter of the one GPU that was asked for', async () => {
    const answer = await health(
      { gpus: h100Node({}, 7), log: [record(fellOffTheBus('0000:db:00'))] },
      { gpu: 0 },
    );
    expect(answer).toMatchObject({ verdict: 'ok', findings: [] });
  });

  test("what a program wrote in the driver's words supports no verdict", async () => {
    const forged = record(fellOffTheBus('0000:3a:00'), { trusted: false });
    const uncounted = record(fellOffTheBus('0000:ff:00'), { trusted: false });
    expect(await health({ log: [forged, uncounted] })).toMatchObject({
      verdict: 'ok',
      findings: [],
      nextSteps: [],
    });
  });

  test('an application fault says nothing of the GPU', async () => {
    expect(await health({ log: [record(applicationFault('0000:3a:00'))] })).toMatchObject({
      verdict: 'ok',
      findings: [],
    });
  });

  test('is asked for the last day, or what was asked', async () => {
    const asked: (string | undefined)[] = [];
    const log = inMemoryKernelLog([]);
    const read = (request: KernelLogRequest) => {
      asked.push(request.since);
      return log.read(request);
    };
    await health({ log: { read } });
    await health({ log: { read } }, { since: '90m' });
    expect(asked).toEqual(['2026-11-20T12:00:00.000Z', '2026-11-21T10:30:00.000Z']);
  });

  test('that cannot be read is said in summary, coverage, gaps and next step; the readings still count', async () => {
    const answer = await health({ log: unreadableLog });
    expect(answer).toMatchObject({
      verdict: 'ok',
      summary: expect.stringContaining('The kernel log could not be read'),
      gaps: [{ field: 'kernelLog', reason: 'not-observable', detail: 'kmsg: EPERM' }],
      coverage: { kernelLog: { readable: false } },
      nextSteps: [{ command: 'k8s-gpu-mcp-server doctor' }],
    });
  });

  test('whose adapter fails does not take the GPUs with it', async () => {
    const { answer, errors } = rig({ log: { read: () => Promise.reject(new TypeError('secret detail')) } });
    const told = await answer('get_gpu_health');
    expect(told).toMatchObject({ verdict: 'ok', gaps: [{ field: 'kernelLog', reason: 'error' }] });
    expect(JSON.stringify(told)).not.toContain('secret detail');
    expect(errors).toMatchObject([{ error: expect.any(TypeError) }]);
  });
});

describe('a sick node', () => {
  test('seven good GPUs and a lost one is a result', async () => {
    const answer = await health({ gpus: h100Node({ 5: new GpuError('GPU_LOST', 'GPU is lost') }) });
    expect(answer).toMatchObject({ verdict: 'critical', score: 40 });
    expect(answer.summary).toMatch(/^8 GPUs: 1 critical \(GPU 5\), 7 ok\. GPU 5: /);
    expect(answer.gpus[5]).toMatchObject({
      index: 5,
      state: 'lost',
      verdict: 'critical',
      action: 'reboot-node',
    });
    expect(answer.nextSteps[0]).toMatchObject({ action: 'reboot-node' });
  });

  test('a GPU that may not be read makes the node unknown, without a number, and sends to the doctor', async () => {
    const answer = await health({ gpus: h100Node({ 5: new GpuError('NO_PERMISSION', 'denied') }) });
    expect(answer).toMatchObject({ verdict: 'unknown', score: null });
    expect(answer.summary).toMatch(/1 unknown \(GPU 5\), 7 ok/);
    expect(answer.nextSteps).toContainEqual(
      expect.objectContaining({ command: 'k8s-gpu-mcp-server doctor' }),
    );
  });

  test('no GPUs: nothing to judge is not ok', async () => {
    expect(await health({ gpus: [] })).toMatchObject({ verdict: 'unknown', score: null, gpus: [] });
  });

  test('the one step names only GPUs that have that finding', async () => {
    const gpus = h100Node({
      1: h100Sample(1, { recovery: { action: 'reset' } }),
      4: h100Sample(4, { recovery: { action: 'reset' } }),
      6: h100Sample(6, {
        thermal: { marginCelsius: -5 },
        clocks: { eventReasons: ['hardware-thermal-slowdown'] },
      }),
    });
    // What the driver asks for goes before the stronger action of another finding, as in explain_failure.
    const [step] = (await health({ gpus })).nextSteps;
    expect(step).toMatchObject({
      action: 'reset-gpu',
      reason: expect.stringMatching(/^GPU 1, 4: .*"reset"/),
    });
    const hot = h100Node({ 6: gpus[6]?.sample });
    expect((await health({ gpus: hot })).nextSteps[0]).toMatchObject({
      action: 'check-mechanicals',
      reason: expect.stringMatching(/^GPU 6: /),
    });
  });

  test('names the same action as explain_failure, for the node and for the GPU', async () => {
    const gpus = h100Node({
      5: h100Sample(5, { recovery: { action: 'drain-and-reset' }, rowRemap: { failureOccurred: true } }),
    });
    const explained = await rig({ gpus }).answer('explain_failure', {});
    const answer = await health({ gpus });
    expect(answer.nextSteps[0]?.['action']).toBe(explained['action']);
    expect(explained['action']).toBe('reset-gpu');
    expect(answer.gpus[5]?.['action']).toBe('reset-gpu');
    // Without the driver's word the vendor's own stands: the two are not the same by accident.
    const silent = h100Node({ 5: h100Sample(5, { rowRemap: { failureOccurred: true } }) });
    expect((await health({ gpus: silent })).gpus[5]?.['action']).toBe('run-field-diagnostic');
  });

  test('a summary stops at 20 findings and says how many there are; full has all', async () => {
    const worn = (index: number) =>
      h100Sample(index, {
        rowRemap: { pending: true },
        pcie: { currentLinkWidthLanes: 8 },
        thermal: { marginCelsius: -3 },
      });
    const gpus = h100Node(Object.fromEntries(Array.from({ length: 8 }, (_, index) => [index, worn(index)])));
    const answer = await health({ gpus });
    expect(answer.findings).toHaveLength(20);
    expect(answer).toMatchObject({ total: 24, truncated: true });
    expect((await health({ gpus }, { detail: 'full' })).findings).toHaveLength(24);
  });
});

test('the log is read while the GPUs are: neither waits for the other', async () => {
  let asked = false;
  const read = () => {
    asked = true;
    return new Promise<never>(() => {});
  };
  const { call } = rig({ gpus: h100Node({ 0: 'hang' }), log: { read } });
  void call('get_gpu_health');
  await turn();
  expect(asked).toBe(true);
});
