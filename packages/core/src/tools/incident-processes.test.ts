import { describe, expect, test } from 'vitest';
import { h100Node } from '../../test/h100.ts';
import { applicationFault, fellOffTheBus, record, startedAt } from '../../test/rig.ts';
import type { HostProcess, HostProcesses } from '../ports/host-processes.ts';
import { silentLogger } from '../ports/runtime.ts';
import { fixedClock, inMemoryKernelLog, stubProvider } from '../testing.ts';
import { createGpuTools } from './create-gpu-tools.ts';

const id = 'ab'.repeat(32);
const podUid = 'f0e1d2c3-0000-4000-8000-00000000abcd';
const trainer: HostProcess = {
  pid: 4711,
  startTicks: 1,
  startedAt: '2026-11-21T10:00:00.000Z',
  state: 'S',
  userId: 0,
  userName: null,
  name: 'python3',
  command: null,
  parentPid: 1,
  container: { id, runtime: 'containerd' },
  podUid,
  slurmJobId: null,
};
const seen = (process: Partial<HostProcess>, seesAllProcesses: boolean | null = true): HostProcesses => ({
  describe: async (pids) => ({
    processes: [{ ...trainer, ...process }].filter(({ pid }) => pids.includes(pid)),
    seesAllProcesses,
    gaps: [],
  }),
});

async function processesOf(
  hostProcesses: HostProcesses,
  at: string | null = '2026-11-21T11:30:00.000Z',
  trusted = true,
) {
  const clock = fixedClock(startedAt);
  const log = [
    record(applicationFault('0000:2a:00'), { at, trusted, uptimeSeconds: at === null ? 512 : null }),
  ];
  const tools = createGpuTools(
    {
      gpuProvider: stubProvider({ gpus: h100Node() }),
      kernelLog: inMemoryKernelLog([...log, record(fellOffTheBus('0000:3a:00'))]),
      hostProcesses,
      clock,
      logger: silentLogger,
    },
    { nodeName: 'gpu-node-7' },
  );
  let isDone = false;
  const asked = tools
    .find(({ name }) => name === 'analyze_xid_errors')
    ?.call({})
    .finally(() => {
      isDone = true;
    });
  for (let each = 0; each < 2_000 && !isDone; each += 1) {
    await new Promise<void>((resolve) => setImmediate(resolve));
    if (each % 20 === 19) clock.advance(50);
  }
  const result = await asked;
  if (!result || result.isError) throw new Error(result?.text ?? 'no tool');
  const incidents = result.structuredContent['incidents'] as readonly Record<string, unknown>[];
  return {
    processes: incidents.find(({ xid }) => xid === 13)?.['processes'],
    milliseconds: clock.now() - Date.parse(startedAt),
  };
}

const named = { pid: 4711, name: 'python3' };

describe('the process of an incident', () => {
  test('that still runs has its pod and container, and when it started', async () => {
    expect((await processesOf(seen({}))).processes).toEqual([
      { ...named, startedAt: trainer.startedAt, container: { id, runtime: 'containerd' }, podUid },
    ]);
  });

  test.each([
    ['has ended', { pid: 1 }],
    [
      'planted fault: started after the incident, so that the pid is used again',
      { startedAt: '2026-11-21T11:30:10.000Z' },
    ],
    ['started when nobody knows', { startedAt: null }],
    ['is in no container', { container: null, podUid: null }],
  ])('%s: no facts', async (_, changes) => {
    expect((await processesOf(seen(changes))).processes).toEqual([named]);
  });

  test.each([false, null])('pids of another namespace (sees all: %s) are other processes', async (sees) => {
    expect((await processesOf(seen({}, sees))).processes).toEqual([named]);
  });

  test('a log that tells only time since boot cannot tell a pid that is used again', async () => {
    expect((await processesOf(seen({}), null)).processes).toEqual([named]);
  });

  test('a line that a program may have written blames nobody', async () => {
    expect((await processesOf(seen({}), undefined, false)).processes).toEqual([named]);
  });

  test('processes that hang cost the answer a second at most', async () => {
    const { processes, milliseconds } = await processesOf({ describe: () => new Promise(() => {}) });
    expect(processes).toEqual([named]);
    expect(milliseconds).toBeLessThanOrEqual(1_000);
  });
});
