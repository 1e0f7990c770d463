import { describe, expect, test } from 'vitest';
import { type Changes, h100Reading } from '../../test/h100.ts';
import type { MigDevice } from '../domain/readings/mig.ts';
import type { GpuProcess, GpuProcessKind } from '../domain/readings/process.ts';
import type { HostProcess } from '../ports/host-processes.ts';
import { accountOf, joinHolders } from './gpu-holders.ts';
import { holderFindingKey, holderFindings, holderRules } from './holder-findings.ts';

const mebibyte = 1024 * 1024;

const held = (
  pid: number,
  mebibytes: number | null,
  kinds: readonly GpuProcessKind[] = ['compute'],
): GpuProcess => ({
  pid,
  kinds,
  memoryUsedBytes: mebibytes === null ? null : mebibytes * mebibyte,
  gpuInstanceId: null,
  computeInstanceId: null,
  smPercent: null,
  memoryPercent: null,
  encoderPercent: null,
  decoderPercent: null,
});

const reading = (
  usedMebibytes: number | null,
  running: readonly GpuProcess[] | null,
  index = 0,
  more: Changes = {},
) =>
  h100Reading(
    {
      ...more,
      memory: { usedBytes: usedMebibytes === null ? null : usedMebibytes * mebibyte, ...more.memory },
      processes: { running },
    },
    [],
    index,
  );

const host = (pid: number, changes: Partial<HostProcess> = {}): HostProcess => ({
  pid,
  startTicks: 1,
  startedAt: null,
  state: 'S',
  userId: 1000,
  userName: 'alice',
  name: 'python3',
  command: null,
  parentPid: 77,
  container: null,
  podUid: null,
  slurmJobId: null,
  ...changes,
});

const instance = { gpuInstanceId: 1 } as MigDevice;

describe('memory held by nobody', () => {
  // Captures of nvidia-smi -q with all processes visible: memory used, and what each process has, in MiB.
  test.each<[string, number, number[], Changes, GpuProcessKind?]>([
    ['H100, idle, driver 590', 0, [], {}],
    ['H100, three programs', 19_818, [2_566, 1_542, 15_690], {}],
    ['L40S, two programs, driver 595', 1_235, [538, 681], {}],
    ['RTX 2080 SUPER, desktop and two programs', 819, [176, 3, 230, 370], {}, 'graphics'],
    ['RTX 4080 SUPER, desktop and two programs', 1_474, [25, 200, 4, 120, 3, 360, 503], {}, 'graphics'],
    ['A100 with four MIG instances', 50, [], { mig: { devices: [instance, instance, instance, instance] } }],
    ['GTX 1070 Ti, reserved memory not told apart', 42, [], { memory: { reservedBytes: null } }],
    ['RTX 3080, sum of processes above what is used', 1_128, [550, 18, 79, 541, 159], {}, 'graphics'],
  ])('healthy machines have none: %s', (_, used, processes, more, kind = 'compute') => {
    const running = processes.map((each, index) => held(100 + index, each, [kind]));
    expect(accountOf(reading(used, running, 0, more)).isHeldByNobody).toBe(false);
  });

  test('a context that is left behind is found', () => {
    expect(accountOf(reading(520, []))).toEqual({
      gpu: 0,
      processCount: 0,
      usedBytes: 520 * mebibyte,
      attributedBytes: 0,
      unattributedBytes: 520 * mebibyte,
      toleratedBytes: 64 * mebibyte,
      isHeldByNobody: true,
    });
    expect(accountOf(reading(40_000, [held(1, 30_000)])).isHeldByNobody).toBe(true);
  });

  test('is not known where a process does not tell how much it has, or nothing is read', () => {
    expect(accountOf(reading(40_000, [held(1, 10), held(2, null)]))).toMatchObject({
      attributedBytes: 10 * mebibyte,
      unattributedBytes: null,
      isHeldByNobody: null,
    });
    expect(accountOf(reading(40_000, null))).toMatchObject({ processCount: null, isHeldByNobody: null });
    expect(accountOf(reading(null, []))).toMatchObject({ unattributedBytes: null, isHeldByNobody: null });
  });
});

test('joinHolders: one row per process over all its GPUs, most memory first', () => {
  const readings = [
    reading(0, [held(7, 100), held(9, 500)], 0),
    reading(0, [held(7, 900, ['graphics'])], 1),
    reading(0, null, 2),
  ];
  expect(joinHolders(readings, [host(7)])).toMatchObject([
    {
      pid: 7,
      kinds: ['compute', 'graphics'],
      shares: [
        { gpu: 0, memoryUsedBytes: 100 * mebibyte },
        { gpu: 1, memoryUsedBytes: 900 * mebibyte },
      ],
      process: { userName: 'alice' },
    },
    { pid: 9, shares: [{ gpu: 0 }], process: undefined },
  ]);
});

describe('holderFindings', () => {
  const find = (
    readings: readonly ReturnType<typeof reading>[],
    hosts: HostProcess[],
    sees: boolean | null = true,
    stuck: ReadonlySet<number> = new Set(),
  ) => holderFindings(readings, joinHolders(readings, hosts), sees, stuck);

  test('none on a machine in order', () => {
    expect(find([reading(1_000, [held(7, 990)])], [host(7)])).toEqual([]);
  });

  test.each([
    ['Z', 'processes.zombie-holder', 'restart-app'],
    ['D', 'processes.uninterruptible-holder', 'monitor'],
  ])('a holder in state %s: %s', (state, ruleId, action) => {
    const findings = find([reading(2_048, [held(7, 2_040)])], [host(7, { state })]);
    expect(findings).toMatchObject([{ ruleId, action, gpu: 0, pid: 7, verdict: 'warning' }]);
    expect(findings[0]?.what).toContain('1.99 GiB');
  });

  test('a holder that the kernel log calls blocked as well ends with the machine only', () => {
    const readings = [reading(2_048, [held(7, 2_040)])];
    const processes = [host(7, { state: 'D' })];
    const holders = joinHolders(readings, processes);
    expect(holderFindings(readings, holders, true, new Set([7]))).toMatchObject([
      { ruleId: 'processes.uninterruptible-holder', verdict: 'critical', action: 'reboot-node' },
    ]);
    expect(holderFindings(readings, holders, true, new Set([8]))).toMatchObject([
      { verdict: 'warning', action: 'monitor' },
    ]);
  });

  test('a capture without a process list: memory on a GPU at rest that lists no process, and no other', () => {
    const seen = (gpuPercent: number, running: Parameters<typeof reading>[1], usedMebibytes = 40_000) => {
      const one = reading(usedMebibytes, running);
      return holderFindings(
        [{ ...one, utilization: { ...h100Reading().utilization, gpuPercent } as never }],
        [],
        'capture',
      );
    };
    expect(seen(0, [])).toMatchObject([
      {
        ruleId: 'processes.memory-held-by-nobody',
        verdict: 'warning',
        confidence: 'low',
        action: 'check-app',
      },
    ]);
    // Somebody computes: the capture was taken where the process cannot be seen.
    expect(seen(97, [])).toEqual([]);
    expect(seen(0, [held(7, 100)])).toEqual([]);
    expect(seen(0, [], 10)).toEqual([]);
  });

  test('a holder that does not exist, where all processes can be seen', () => {
    const readings = [reading(1_000, [held(7, 990)])];
    expect(find(readings, [])).toMatchObject([{ ruleId: 'processes.holder-gone', pid: 7 }]);
    expect(find(readings, [], false)).toEqual([]);
    expect(find(readings, [], null)).toEqual([]);
  });

  test('memory held by nobody, only where all processes can be seen', () => {
    const readings = [reading(40_000, [])];
    expect(find(readings, [])).toMatchObject([
      { ruleId: 'processes.memory-held-by-nobody', verdict: 'warning', action: 'check-app' },
    ]);
    expect(find(readings, [], false)).toEqual([]);
    expect(find(readings, [], null)).toEqual([]);
  });

  test('with a dead holder on the same GPU takes a reset; one on another GPU does not confirm it', () => {
    const dead = [host(7, { state: 'Z' })];
    const [first] = find([reading(40_000, [held(7, 100)])], dead);
    expect(first).toMatchObject({ ruleId: 'processes.memory-held-by-nobody', action: 'reset-gpu' });
    const apart = find([reading(40_000, [], 0), reading(100, [held(7, 100)], 1)], dead);
    expect(apart).toMatchObject([{ action: 'check-app', gpu: 0 }, { gpu: 1 }]);
  });

  test('each GPU of a holder has its own finding, under its own key', () => {
    const readings = [reading(100, [held(7, 100)], 0), reading(100, [held(7, 100)], 1)];
    const keys = find(readings, [host(7, { state: 'Z' })]).map(holderFindingKey);
    expect(new Set(keys).size).toBe(2);
  });

  test('every rule that is published is raised as published, and no other', () => {
    const raised = [
      ...find([reading(40_000, [held(7, 100)])], [host(7, { state: 'Z' })]),
      ...find([reading(100, [held(7, 100)])], [host(7, { state: 'D' })], true, new Set([7])),
      ...find([reading(100, [held(7, 100)])], []),
    ];
    const rows = raised.map(({ ruleId, verdict, action, confidence, source }) => ({
      id: ruleId,
      verdict,
      action,
      confidence,
      source,
    }));
    const published = holderRules.map(({ id, verdict, action, confidence, source }) => ({
      id,
      verdict,
      action,
      confidence,
      source,
    }));
    const byId = (a: { id: string }, b: { id: string }) => a.id.localeCompare(b.id);
    expect(rows.sort(byId)).toEqual(published.sort(byId));
  });

  test('memory is cited where it was read from a file', () => {
    const cited = {
      ...reading(40_000, []),
      citations: { 'memory.usedBytes': { file: 'smi.txt', line: 113 } },
    };
    const [finding] = find([cited], []);
    expect(finding?.evidence[0]).toMatchObject({ field: 'memory.usedBytes', file: 'smi.txt', line: 113 });
    expect(finding?.evidence[1]).not.toHaveProperty('file');
  });
});
