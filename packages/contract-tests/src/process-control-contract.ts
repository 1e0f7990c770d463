import assert from 'node:assert/strict';
import {
  type ProcessControl,
  type ProcessIdentity,
  type TerminationResult,
  terminationResults,
} from '@k8s-gpu-mcp/core';
import { type ContractOptions, createContractSuite, type Requirement } from './contract-suite.ts';
import { isText } from './inspect.ts';
import { answerOf } from './outcomes.ts';

/** What a rig can stage. `foreign`: a process that may not be signalled, as it is another user's. */
export const processControlStages = ['foreign'] as const;
export type ProcessControlStage = (typeof processControlStages)[number];

/** What a port that ends processes must do, and what it must never do. */
export const processControlRequirements = {
  'PC-REFUSAL': {
    text: 'A process that may be ended is not refused, and asking sends it nothing.',
  },
  'PC-SHAPE': { text: 'An answer is a result of the closed list with a detail, and nothing else.' },
  'PC-INIT': { text: 'pid 1 is protected: it is refused and never sent a signal.' },
  'PC-SELF': { text: 'The process itself is protected.' },
  'PC-RELATIVES': { text: 'Parents and children of the process are protected.' },
  'PC-REUSED-PID': {
    text: 'A pid that belongs to another process than the one named, by its start time, is gone: that other process is sent nothing.',
  },
  'PC-NO-PID': {
    text: 'What is no pid (zero, negative, a fraction, beyond any) is refused without an exception; zero and negative numbers would be groups of processes.',
  },
  'PC-GONE': { text: 'A process that has ended is gone.' },
  'PC-SIGTERM': { text: 'A process that ends at SIGTERM has ended by it.' },
  'PC-GRACE': { text: 'A process that needs a part of the grace to end after SIGTERM has it.' },
  'PC-SIGKILL': {
    text: 'A process that ignores SIGTERM is ended by SIGKILL after the grace, and not before.',
  },
  'PC-FOREIGN': {
    text: 'A process that may not be signalled is answered with not-permitted, and goes on running.',
    needs: 'foreign',
  },
} as const satisfies Record<string, Requirement<ProcessControlStage>>;
export type ProcessControlRequirementId = keyof typeof processControlRequirements;

/** How a process of the rig takes SIGTERM: ends at once, needs a part of the grace, ignores it. */
export type ProcessManner = 'willing' | 'tidying' | 'stubborn';

export interface ProcessControlFixture {
  readonly control: ProcessControl;
  /** Starts a process that may be ended: one that is neither parent nor child of the control's process. */
  start(manner: ProcessManner): Promise<ProcessIdentity>;
  isRunning(process: ProcessIdentity): boolean | Promise<boolean>;
  /** pid 1. */
  readonly init: ProcessIdentity;
  /** The process in which the control runs. */
  readonly self: ProcessIdentity;
  /** One parent at least. */
  readonly relatives: readonly ProcessIdentity[];
  /** Another user's process, where the stage is `foreign`. */
  readonly foreign?: ProcessIdentity;
  /** How long the rig's `tidying` process fits into. Default one second. */
  readonly graceMilliseconds?: number;
  /** What the clock of the control shows; without it the machine's own. */
  now?(): number;
  dispose?(): Promise<void>;
}

const suite = createContractSuite<ProcessControlRequirementId, ProcessControlStage, ProcessControlFixture>(
  processControlRequirements,
);
const { proves } = suite;

export interface ProcessControlContractOptions
  extends Omit<ContractOptions<ProcessControlStage, ProcessControlFixture>, 'staged'> {
  readonly staged?: readonly ProcessControlStage[];
}

/** Registers one test per requirement with the given runner, and one that every requirement has a test. */
export function runProcessControlContract({ staged = [], ...options }: ProcessControlContractOptions): void {
  suite.register({ ...options, staged });
}

const graceOf = ({ graceMilliseconds = 1_000 }: ProcessControlFixture) => graceMilliseconds;
const terminate = (fixture: ProcessControlFixture, process: ProcessIdentity) =>
  answerOf(`terminate ${process.pid}`, () => fixture.control.terminate(process, graceOf(fixture)));
const refusal = (fixture: ProcessControlFixture, process: ProcessIdentity) =>
  answerOf(`refusal of ${process.pid}`, () => fixture.control.refusal(process));

/** Neither says yes to ending it, nor ends it. */
async function isLeftAlone(
  fixture: ProcessControlFixture,
  process: ProcessIdentity,
  allowed: readonly TerminationResult[],
): Promise<void> {
  const said = await refusal(fixture, process);
  assert.ok(said && allowed.includes(said.result), `refusal of ${process.pid}: ${said?.result ?? 'none'}`);
  const done = await terminate(fixture, process);
  assert.ok(allowed.includes(done.result), `terminate ${process.pid}: ${done.result}`);
}

async function isStillRunning(fixture: ProcessControlFixture, process: ProcessIdentity): Promise<void> {
  assert.equal(await fixture.isRunning(process), true, `process ${process.pid} was ended`);
}

proves('PC-REFUSAL', async (fixture) => {
  const process = await fixture.start('willing');
  assert.equal(await refusal(fixture, process), undefined);
  await isStillRunning(fixture, process);
});

proves('PC-SHAPE', async (fixture) => {
  const process = await fixture.start('willing');
  const answers = [await terminate(fixture, process), await refusal(fixture, process)];
  for (const answer of answers) {
    assert.deepEqual(Object.keys(answer ?? {}).sort(), ['detail', 'result']);
    assert.ok(
      terminationResults.some((known) => known === answer?.result),
      String(answer?.result),
    );
    assert.ok(isText(answer?.detail), 'without a detail');
  }
});

proves('PC-INIT', async (fixture) => {
  assert.equal(fixture.init.pid, 1, 'the fixture calls another process init');
  await isLeftAlone(fixture, fixture.init, ['protected']);
  await isStillRunning(fixture, fixture.init);
});

proves('PC-SELF', async (fixture) => {
  await isLeftAlone(fixture, fixture.self, ['protected']);
  await isStillRunning(fixture, fixture.self);
});

proves('PC-RELATIVES', async (fixture) => {
  assert.ok(fixture.relatives.length > 0, 'the fixture needs a parent of the control');
  for (const relative of fixture.relatives) {
    await isLeftAlone(fixture, relative, ['protected']);
    await isStillRunning(fixture, relative);
  }
});

proves('PC-REUSED-PID', async (fixture) => {
  const process = await fixture.start('willing');
  await isLeftAlone(fixture, { ...process, startTicks: process.startTicks - 1 }, ['gone']);
  await isStillRunning(fixture, process);
});

proves('PC-NO-PID', async (fixture) => {
  const witness = await fixture.start('willing');
  for (const pid of [0, -1, -witness.pid, witness.pid + 0.5, Number.NaN, 2 ** 40]) {
    await isLeftAlone(fixture, { ...witness, pid }, ['gone', 'not-permitted', 'protected']);
  }
  await isStillRunning(fixture, witness);
});

proves('PC-GONE', async (fixture) => {
  const process = await fixture.start('willing');
  await terminate(fixture, process);
  await isLeftAlone(fixture, process, ['gone']);
});

proves('PC-SIGTERM', async (fixture) => {
  const process = await fixture.start('willing');
  assert.equal((await terminate(fixture, process)).result, 'ended-by-sigterm');
  assert.equal(await fixture.isRunning(process), false);
});

proves('PC-GRACE', async (fixture) => {
  const process = await fixture.start('tidying');
  assert.equal((await terminate(fixture, process)).result, 'ended-by-sigterm');
  assert.equal(await fixture.isRunning(process), false);
});

proves('PC-SIGKILL', async (fixture) => {
  const process = await fixture.start('stubborn');
  const now = () => fixture.now?.() ?? Date.now();
  const begunAt = now();
  assert.equal((await terminate(fixture, process)).result, 'ended-by-sigkill');
  // Timers may fire a moment early.
  const waited = now() - begunAt + 5;
  assert.ok(waited >= graceOf(fixture), `killed after ${waited} of ${graceOf(fixture)} ms`);
  assert.equal(await fixture.isRunning(process), false);
});

proves('PC-FOREIGN', async (fixture) => {
  assert.ok(fixture.foreign, 'the rig says that it stages "foreign", but names no such process');
  await isLeftAlone(fixture, fixture.foreign, ['not-permitted']);
  await isStillRunning(fixture, fixture.foreign);
});
