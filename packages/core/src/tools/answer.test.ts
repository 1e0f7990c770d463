import { describe, expect, test } from 'vitest';
import { unsupported } from '../../test/h100.ts';
import type { Gap } from '../domain/gap.ts';
import { GpuError } from '../errors.ts';
import { fixedClock, inMemoryKernelLog, stubProvider } from '../testing.ts';
import { answerSchema, backendUnreadable, gpuBackendCoverage, makeAnswer, presentGaps } from './answer.ts';
import { createToolkit } from './create-gpu-tools.ts';
import type { Toolkit } from './toolkit.ts';

const denied = (gpu: number, detail = 'NVML_ERROR_NO_PERMISSION (4)'): Gap => ({
  gpu,
  field: 'ecc.sramThresholdExceeded',
  reason: 'no-permission',
  detail,
});

function toolkitOf(simulated: boolean): Toolkit {
  const clock = fixedClock('2026-05-05T05:05:05.000Z');
  const gpuProvider = stubProvider({ manifest: { simulated, backend: 'nvml' } });
  return createToolkit({ gpuProvider, kernelLog: inMemoryKernelLog([]), clock }, { nodeName: 'gpu-node-7' });
}

describe('presentGaps', () => {
  test('a summary leaves out what the product does not have; full tells it', () => {
    const gaps = [unsupported(0, 'thermal.fanSpeedPercent'), denied(0)];
    expect(presentGaps(gaps, 'summary', 1)).toEqual([denied(0)]);
    expect(presentGaps(gaps, 'full', 1)).toEqual(gaps);
  });

  test('an equal gap of every GPU is told once, without gpu', () => {
    const { gpu: _, ...everyGpu } = denied(0);
    expect(
      presentGaps(
        [0, 1, 2].map((gpu) => denied(gpu)),
        'summary',
        3,
      ),
    ).toEqual([everyGpu]);
  });

  test('a gap of some GPUs names each: it must not look like one of all', () => {
    expect(presentGaps([denied(2), denied(5)], 'summary', 8)).toEqual([denied(2), denied(5)]);
  });

  test('the same gap twice on one of two GPUs is not one of both', () => {
    expect(presentGaps([denied(0), denied(0)], 'summary', 2)).toEqual([denied(0), denied(0)]);
  });

  test('the sections that a GPU misses for one reason are one gap of a summary', () => {
    const lost = (field: string, detail = 'GPU 3 is lost'): Gap => ({
      gpu: 3,
      field,
      reason: 'gpu-lost',
      detail,
    });
    const link: Gap = { gpu: 3, field: 'nvlink.links.active', reason: 'error', detail: 'x' };
    const log: Gap = { field: 'kernelLog', reason: 'not-observable', detail: 'x' };
    // The inventory, too, failed to read the identity.
    const gaps = [lost('identity', 'no handle (15)'), lost('identity'), lost('ecc'), link, lost('pcie'), log];
    expect(presentGaps(gaps, 'summary', 8)).toEqual([lost('identity, ecc, pcie'), link, log]);
    expect(presentGaps(gaps, 'full', 8)).toEqual(gaps);
    const apart = [lost('ecc'), lost('pcie', 'another cause'), { ...lost('mig'), gpu: 4 }];
    expect(presentGaps(apart, 'summary', 8)).toEqual(apart);
  });

  test('different details stay apart', () => {
    const gaps = [denied(0, 'a'), denied(1, 'b')];
    expect(presentGaps(gaps, 'summary', 2)).toEqual(gaps);
  });

  test('one GPU keeps its index, and the node its gaps', () => {
    const node: Gap = { field: 'kernelLog', reason: 'no-permission', detail: 'EPERM' };
    expect(presentGaps([denied(0), node], 'summary', 1)).toEqual([denied(0), node]);
  });
});

describe('makeAnswer', () => {
  test('puts the envelope round the payload, and leaves out what was not given', () => {
    const toolkit = toolkitOf(false);
    const answer = makeAnswer(toolkit, 'summary', {
      summary: 'All well.',
      payload: { gpus: [] },
      gaps: [],
      gpuBackend: gpuBackendCoverage(toolkit, undefined),
      nextSteps: [],
    });
    expect(answer).toEqual({
      apiVersion: 'v1',
      node: 'gpu-node-7',
      observedAt: '2026-05-05T05:05:05.000Z',
      summary: 'All well.',
      gpus: [],
      gaps: [],
      coverage: { gpuBackend: { backend: 'nvml', readable: true } },
      nextSteps: [],
    });
    expect(answerSchema({}).safeParse(answer).success).toBe(true);
  });

  test('readings that are invented say so', () => {
    expect(gpuBackendCoverage(toolkitOf(true), undefined)).toMatchObject({ simulated: true });
  });
});

describe('backendUnreadable', () => {
  const error = new GpuError('LIBRARY_NOT_FOUND', 'libnvidia-ml.so.1 was not found');

  test('is unknown, says why and what to fix, and claims nothing', () => {
    const answer = backendUnreadable(toolkitOf(false), error, { gpus: [] });
    expect(answer).toMatchObject({
      verdict: 'unknown',
      gpus: [],
      gaps: [{ field: 'gpuBackend', reason: 'error', detail: expect.stringContaining('libnvidia-ml') }],
      coverage: { gpuBackend: { readable: false, detail: expect.stringContaining('LIBRARY_NOT_FOUND') } },
      nextSteps: [{ action: 'none', reason: error.hint, command: 'k8s-gpu-mcp-server doctor' }],
    });
    expect(answer['summary']).toContain('LIBRARY_NOT_FOUND');
  });

  test('what the log tells meanwhile makes it worse, never better', () => {
    const finding = {
      ruleId: 'log.xid-79',
      verdict: 'critical',
      what: 'The kernel log has Xid 79 once.',
      evidence: [],
      action: 'power-cycle',
      source: 'test',
      confidence: 'high',
    } as const;
    const coverage = { source: 'kmsg', readable: true, from: null, to: null };
    const answer = backendUnreadable(
      toolkitOf(false),
      error,
      {},
      { kernelLog: coverage, gaps: [], findings: [finding] },
    );
    expect(answer).toMatchObject({ verdict: 'critical', findings: [finding] });
    expect(answer['nextSteps']).toMatchObject([{ action: 'power-cycle', tool: 'analyze_xid_errors' }, {}]);
    const quiet = backendUnreadable(
      toolkitOf(false),
      error,
      {},
      { kernelLog: coverage, gaps: [], findings: [] },
    );
    expect(quiet['verdict']).toBe('unknown');
  });

  test('what the bus shows is counted, and what is only worth telling does not make it ok', () => {
    const lent = {
      ruleId: 'gpu.bound-to-other-driver',
      verdict: 'ok',
      what: 'Lent.',
      evidence: [],
      action: 'none',
      source: 'test',
      confidence: 'high',
    } as const;
    const pciBus = { readable: true, gpuCount: 8, deviceNodeCount: 0 };
    const answer = backendUnreadable(toolkitOf(false), error, {}, { pciBus, gaps: [], findings: [lent] });
    expect(answer).toMatchObject({ verdict: 'unknown', coverage: { pciBus } });
    expect(answer['summary']).toMatch(/The PCI bus has 8 GPUs\.$/);
    expect(answer['nextSteps']).toHaveLength(1);
  });
});
