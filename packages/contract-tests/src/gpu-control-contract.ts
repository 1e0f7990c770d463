import assert from 'node:assert/strict';
import {
  type GpuControl,
  type GpuRef,
  gpuErrorCodes,
  isGpuError,
  type ResetReadiness,
} from '@k8s-gpu-mcp/core';
import { type ContractOptions, createContractSuite, type Requirement } from './contract-suite.ts';
import { findJsonFaults, isText } from './inspect.ts';
import {
  abortLimitMilliseconds,
  answerOf,
  attempt,
  type Outcome,
  outcomeOf,
  outcomeWithin,
} from './outcomes.ts';

/**
 * What a rig can stage. `resettable`: a reset works. `held`: a process holds the first GPU. `unprivileged`: something that a reset needs
 * is missing. `failing`: the vendor's tool runs and fails.
 */
export const gpuControlStages = ['resettable', 'held', 'unprivileged', 'failing'] as const;
export type GpuControlStage = (typeof gpuControlStages)[number];

/** What a port that changes GPUs must do. Nothing here needs a real GPU: a rig may put its own tool in the place of the vendor's. */
export const gpuControlRequirements = {
  'GC-CHECK-SHAPE': {
    text: 'checkReset answers with named requirements that are met, not met or unknown, each with a detail, and holders with pid and path, or null.',
  },
  'GC-CHECK-CHANGES-NOTHING': { text: 'checkReset resets nothing, however often it is asked.' },
  'GC-CHECK-ABORT': {
    text: 'checkReset with an aborted signal rejects with TIMEOUT or CANCELLED within 250 ms.',
  },
  'GC-ERROR-CLASS': {
    text: 'A call rejects only with a GpuError that has a known code, a message and a hint.',
  },
  'GC-RESET-NONE': { text: 'A reset of no GPU resets none: it is refused, and nothing is run.' },
  'GC-RESET-UNKNOWN': {
    text: 'A reset of a GPU that has neither UUID nor PCI address is refused, also together with one that could be reset.',
  },
  'GC-RESET': {
    text: 'A reset resets the GPU that was named and no other, once, and answers that it succeeded, with exit code 0.',
    needs: 'resettable',
  },
  'GC-RESET-TOGETHER': { text: 'GPUs that are named together are reset together.', needs: 'resettable' },
  'GC-HOLDERS': {
    text: 'A process that holds the GPU is among the holders that checkReset lists.',
    needs: 'held',
  },
  'GC-UNMET': {
    text: 'What a reset needs and does not have is a requirement that is not met, and the reset does not succeed.',
    needs: 'unprivileged',
  },
  'GC-RESET-FAILED': {
    text: 'A tool that fails is not a success: the outcome says so, or the reset rejects.',
    needs: 'failing',
  },
} as const satisfies Record<string, Requirement<GpuControlStage>>;
export type GpuControlRequirementId = keyof typeof gpuControlRequirements;

export interface GpuControlFixture {
  readonly control: GpuControl;
  /** The GPUs of this rig, two at least, all of which could be reset if everything else is as it should be. */
  readonly gpus: readonly GpuRef[];
  /** What has been reset: the indexes of the GPUs, one list for each time that the vendor's tool ran. */
  resets(): readonly (readonly number[])[] | Promise<readonly (readonly number[])[]>;
  /** The pid of the process that holds the first GPU, where the stage is `held`. */
  readonly holderPid?: number;
  dispose?(): Promise<void>;
}

const suite = createContractSuite<GpuControlRequirementId, GpuControlStage, GpuControlFixture>(
  gpuControlRequirements,
);
const { proves } = suite;

export interface GpuControlContractOptions
  extends Omit<ContractOptions<GpuControlStage, GpuControlFixture>, 'staged'> {
  readonly staged?: readonly GpuControlStage[];
}

/** Registers one test per requirement with the given runner, and one that every requirement has a test. */
export function runGpuControlContract({ staged = [], ...options }: GpuControlContractOptions): void {
  suite.register({ ...options, staged });
}

const check = ({ control, gpus }: GpuControlFixture): Promise<ResetReadiness> =>
  answerOf('checkReset', () => control.checkReset(gpus.slice(0, 1), new AbortController().signal));
const first = ({ gpus }: GpuControlFixture): GpuRef => {
  const [gpu] = gpus;
  assert.ok(gpu && gpus.length > 1, 'the fixture needs two GPUs');
  return gpu;
};
/** The driver counts it, and that is all that is known of it. */
const nameless: GpuRef = { index: 63, uuid: null, pciAddress: null, name: null };
const resetsOf = async (fixture: GpuControlFixture) => [...(await fixture.resets())];

function isRefused(outcome: Outcome<{ readonly succeeded: boolean }>): boolean {
  return outcome.kind === 'rejected' || (outcome.kind === 'resolved' && outcome.value.succeeded === false);
}

proves('GC-CHECK-SHAPE', async (fixture) => {
  const readiness = await check(fixture);
  assert.deepEqual(findJsonFaults(readiness, 'readiness'), []);
  assert.deepEqual(Object.keys(readiness).sort(), ['holders', 'requirements']);
  assert.ok(readiness.requirements.length > 0, 'a reset needs something');
  for (const { name, met, detail } of readiness.requirements) {
    assert.ok(isText(name) && isText(detail), 'a requirement has a name and a detail');
    assert.ok(met === null || typeof met === 'boolean', `${name}: met is ${met}`);
  }
  for (const { pid, path } of readiness.holders ?? []) {
    assert.ok(Number.isInteger(pid) && pid > 0, `a holder with pid ${pid}`);
    assert.ok(path.startsWith('/'), `a holder of ${path}`);
  }
});

proves('GC-CHECK-CHANGES-NOTHING', async (fixture) => {
  await check(fixture);
  await check(fixture);
  assert.deepEqual(await resetsOf(fixture), []);
});

proves('GC-CHECK-ABORT', async ({ control, gpus }) => {
  const call = attempt(() => control.checkReset(gpus, AbortSignal.abort()));
  const outcome = await outcomeWithin(abortLimitMilliseconds, call);
  assert.equal(outcome.kind, 'rejected', 'an aborted check should have been rejected');
  if (outcome.kind === 'rejected' && isGpuError(outcome.error)) {
    assert.ok(['TIMEOUT', 'CANCELLED'].includes(outcome.error.code), outcome.error.code);
  }
});

proves('GC-ERROR-CLASS', async ({ control, gpus }) => {
  const calls: readonly (() => Promise<unknown>)[] = [
    () => control.checkReset(gpus, AbortSignal.abort()),
    () => control.checkReset([nameless], new AbortController().signal),
    () => control.reset([]),
    () => control.reset([nameless]),
  ];
  for (const call of calls) {
    const outcome = await outcomeOf(call);
    if (outcome.kind !== 'rejected') continue;
    const { error } = outcome;
    assert.ok(isGpuError(error), `not a GpuError: ${String(error)}`);
    assert.ok(Object.hasOwn(gpuErrorCodes, error.code), `unknown code ${error.code}`);
    assert.ok(error.message.trim() !== '' && error.hint.trim() !== '', 'without a message or a hint');
  }
});

proves('GC-RESET-NONE', async (fixture) => {
  assert.ok(isRefused(await outcomeOf(() => fixture.control.reset([]))), 'a reset of no GPU succeeded');
  assert.deepEqual(await resetsOf(fixture), []);
});

proves('GC-RESET-UNKNOWN', async (fixture) => {
  for (const gpus of [[nameless], [first(fixture), nameless]]) {
    assert.ok(isRefused(await outcomeOf(() => fixture.control.reset(gpus))), 'a nameless GPU was reset');
  }
  assert.deepEqual(await resetsOf(fixture), []);
});

proves('GC-RESET', async (fixture) => {
  const gpu = first(fixture);
  const outcome = await answerOf('reset', () => fixture.control.reset([gpu]));
  assert.deepEqual(Object.keys(outcome).sort(), ['exitCode', 'output', 'succeeded']);
  assert.equal(outcome.succeeded, true);
  assert.equal(outcome.exitCode, 0);
  assert.equal(typeof outcome.output, 'string');
  assert.deepEqual(await resetsOf(fixture), [[gpu.index]]);
});

proves('GC-RESET-TOGETHER', async (fixture) => {
  first(fixture);
  const outcome = await answerOf('reset', () => fixture.control.reset(fixture.gpus));
  assert.equal(outcome.succeeded, true);
  const [together, ...more] = await resetsOf(fixture);
  assert.deepEqual(more, [], 'the tool ran more than once');
  assert.deepEqual(new Set(together), new Set(fixture.gpus.map(({ index }) => index)));
});

proves('GC-HOLDERS', async (fixture) => {
  assert.ok(fixture.holderPid !== undefined, 'the rig says that it stages "held", but names no holder');
  const { holders } = await check(fixture);
  assert.ok(
    holders?.some(({ pid }) => pid === fixture.holderPid),
    `pid ${fixture.holderPid} holds the GPU and is not listed`,
  );
});

proves('GC-UNMET', async (fixture) => {
  const { requirements } = await check(fixture);
  assert.ok(
    requirements.some(({ met }) => met === false),
    'every requirement is said to be met or unknown',
  );
  const outcome = await outcomeOf(() => fixture.control.reset([first(fixture)]));
  assert.ok(isRefused(outcome), 'a reset without its requirements succeeded');
  assert.deepEqual(await resetsOf(fixture), []);
});

proves('GC-RESET-FAILED', async (fixture) => {
  const outcome = await outcomeOf(() => fixture.control.reset([first(fixture)]));
  assert.ok(isRefused(outcome), 'the tool failed, and the outcome says that it succeeded');
});
