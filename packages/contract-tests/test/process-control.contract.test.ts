import type { ProcessControl, ProcessIdentity, Termination } from '@k8s-gpu-mcp/core';
import { type InMemoryProcess, inMemoryProcessControl } from '@k8s-gpu-mcp/core/testing';
import { describe, expect, test } from 'vitest';
import {
  type ProcessControlFixture,
  type ProcessControlRequirementId,
  type ProcessManner,
  processControlRequirements,
  processControlStages,
  runProcessControlContract,
} from '../src/index.ts';
import { failuresOf } from './failures-of.ts';

const identity = (pid: number): ProcessIdentity => ({ pid, startTicks: 1000 + pid });
const [init, self, parent, foreign] = [identity(1), identity(50), identity(40), identity(60)];
/** The pid tells what a process of this rig does about SIGTERM. */
const pids: Readonly<Record<ProcessManner, number>> = { willing: 100, tidying: 200, stubborn: 300 };

type Break = (good: ProcessControl, rig: { readonly unprotected: ProcessControl }) => ProcessControl;

function fixture(broken: Break = (good) => good): ProcessControlFixture {
  const guarded = [init, self, parent].map((process) => ({ ...process, manner: 'protected' as const }));
  const others: InMemoryProcess[] = [
    { ...foreign, manner: 'foreign' },
    identity(pids.willing),
    identity(pids.tidying),
    { ...identity(pids.stubborn), manner: 'stubborn' },
  ];
  const world = inMemoryProcessControl([...guarded, ...others]);
  const unprotected = inMemoryProcessControl([init, self, parent]);
  let now = 0;
  const timed: ProcessControl = {
    refusal: (process) => world.refusal(process),
    async terminate(process, graceMilliseconds) {
      const done = await world.terminate(process, graceMilliseconds);
      if (done.result === 'ended-by-sigkill') now += graceMilliseconds;
      return done;
    },
  };
  return {
    control: broken(timed, { unprotected }),
    start: async (manner) => identity(pids[manner]),
    isRunning: (process) =>
      world.isRunning(process) && !unprotected.signals.some(({ pid }) => pid === process.pid),
    init,
    self,
    relatives: [parent],
    foreign,
    now: () => now,
  };
}

const terminate =
  (change: (done: Termination, process: ProcessIdentity) => Termination): Break =>
  (good) => ({
    ...good,
    terminate: async (process, grace) => change(await good.terminate(process, grace), process),
  });
/** Treats one process as if nothing protected it. */
const careless =
  (whom: ProcessIdentity): Break =>
  (good, { unprotected }) => ({
    refusal: (process) => (process.pid === whom.pid ? unprotected : good).refusal(process),
    terminate: (process, grace) => (process.pid === whom.pid ? unprotected : good).terminate(process, grace),
  });

/** One control per requirement that breaks this requirement and no other. */
const broken: Readonly<Record<ProcessControlRequirementId, Break>> = {
  'PC-REFUSAL': (good) => ({
    ...good,
    async refusal(process) {
      const said = await good.refusal(process);
      if (!said) await good.terminate(process, 0);
      return said;
    },
  }),
  'PC-SHAPE': terminate((done) => ({ ...done, detail: ' ' })),
  'PC-INIT': careless(init),
  'PC-SELF': careless(self),
  'PC-RELATIVES': careless(parent),
  'PC-REUSED-PID': (good) => ({
    refusal: ({ pid }) => good.refusal(identity(pid)),
    terminate: ({ pid }, grace) => good.terminate(identity(pid), grace),
  }),
  'PC-NO-PID': (good) => ({
    ...good,
    async terminate(process, grace) {
      // kill(2) with a negative number reaches a group.
      return good.terminate({ ...process, pid: Math.abs(process.pid) }, grace);
    },
  }),
  'PC-GONE': terminate((done, { pid, startTicks }) =>
    done.result === 'gone' && pid === pids.willing && startTicks === identity(pid).startTicks
      ? { ...done, result: 'ended-by-sigterm' }
      : done,
  ),
  'PC-SIGTERM': terminate((done, { pid }) =>
    pid === pids.willing && done.result === 'ended-by-sigterm'
      ? { ...done, result: 'ended-by-sigkill' }
      : done,
  ),
  'PC-GRACE': terminate((done, { pid }) =>
    pid === pids.tidying ? { ...done, result: 'ended-by-sigkill' } : done,
  ),
  'PC-SIGKILL': (good) => ({ ...good, terminate: (process) => good.terminate(process, 0) }),
  'PC-FOREIGN': terminate((done) =>
    done.result === 'not-permitted' ? { ...done, result: 'still-running' } : done,
  ),
};

describe('a control that keeps the contract', () => {
  runProcessControlContract({ test, createFixture: () => fixture(), staged: processControlStages });
});

describe('a control that breaks one requirement fails in that requirement and no other', () => {
  test.each(Object.keys(processControlRequirements) as ProcessControlRequirementId[])('%s', async (id) => {
    const failed = await failuresOf((run) =>
      runProcessControlContract({
        test: run,
        createFixture: () => fixture(broken[id]),
        staged: processControlStages,
      }),
    );
    expect(failed).toEqual([id]);
  });
});

test('what the rig does not stage is skipped by name', () => {
  const skipped: string[] = [];
  runProcessControlContract({
    test: Object.assign(() => {}, { skip: (name: string) => skipped.push(name) }),
    createFixture: () => fixture(),
  });
  expect(skipped.map((name) => name.split(':')[0])).toEqual(['PC-FOREIGN']);
});
