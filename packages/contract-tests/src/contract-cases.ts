import assert from 'node:assert/strict';
import {
  type GpuRef,
  type GpuSample,
  type GpuSection,
  gpuErrorCodes,
  gpuSections,
  isGpuError,
  type NodeDescription,
} from '@k8s-gpu-mcp/core';
import { findJsonFaults, type Problems } from './inspect.ts';
import {
  findManifestFaults,
  findNodeGapFaults,
  findNodeShapeFaults,
  findPciFaults,
  findRepeatedGpus,
} from './node-checks.ts';
import type { GpuFault, RequirementId } from './requirements.ts';
import {
  abortLimitMilliseconds,
  answerOf,
  attempt,
  type GpuProviderFixture,
  ignore,
  type Outcome,
  outcomeOf,
  outcomeWithin,
  pause,
} from './rig.ts';
import * as check from './sample-checks.ts';

export interface ContractCase {
  readonly cites: readonly RequirementId[];
  run(fixture: GpuProviderFixture): Promise<void>;
}

const cases: ContractCase[] = [];
/** The one way to add a test: it names the requirements that it proves. */
function proves(cites: RequirementId | readonly RequirementId[], run: ContractCase['run']): void {
  cases.push({ cites: typeof cites === 'string' ? [cites] : cites, run });
}

const unaborted = () => new AbortController().signal;
const describe = (fixture: GpuProviderFixture) =>
  answerOf('describeNode', () => fixture.provider.describeNode(unaborted()));
const read = (fixture: GpuProviderFixture, gpu: GpuRef, sections: readonly GpuSection[] = gpuSections) =>
  answerOf(`readGpu of GPU ${gpu.index}`, () => fixture.provider.readGpu(gpu, sections, unaborted()));
const none = (problems: Problems) => assert.deepEqual(problems, []);

/** The GPUs that this rig has not broken. */
function soundGpus(fixture: GpuProviderFixture, node: NodeDescription): readonly GpuRef[] {
  const broken = new Set(fixture.faultyGpus?.map((gpu) => gpu.index));
  const sound = node.gpus.filter((gpu) => !broken.has(gpu.index));
  assert.ok(sound.length > 0, 'the fixture needs a GPU that can be read');
  return sound;
}

async function firstSoundGpu(fixture: GpuProviderFixture): Promise<GpuRef> {
  const [gpu] = soundGpus(fixture, await describe(fixture));
  assert.ok(gpu);
  return gpu;
}

/** A full read of each sound GPU, one after the other. */
async function readAll(fixture: GpuProviderFixture): Promise<readonly (readonly [GpuRef, GpuSample])[]> {
  const all: (readonly [GpuRef, GpuSample])[] = [];
  for (const gpu of soundGpus(fixture, await describe(fixture))) all.push([gpu, await read(fixture, gpu)]);
  return all;
}

async function eachSample(
  fixture: GpuProviderFixture,
  find: (sample: GpuSample, gpu: GpuRef) => Problems,
): Promise<void> {
  for (const [gpu, sample] of await readAll(fixture)) {
    none(find(sample, gpu).map((problem) => `GPU ${gpu.index}: ${problem}`));
  }
}

function faultyGpu(fixture: GpuProviderFixture, node: NodeDescription, fault: GpuFault): GpuRef {
  const index = fixture.faultyGpus?.find((gpu) => gpu.fault === fault)?.index;
  assert.notEqual(
    index,
    undefined,
    `the rig says that it stages "${fault}", but its fixture has no such GPU`,
  );
  const gpu = node.gpus.find((candidate) => candidate.index === index);
  assert.ok(gpu, `GPU ${index} is not described`);
  return gpu;
}

async function siblingsAnswer(fixture: GpuProviderFixture, node: NodeDescription): Promise<void> {
  for (const gpu of soundGpus(fixture, node)) await read(fixture, gpu, fixture.provider.manifest.sections);
}

/** That a call was rejected with one of the codes. What is no GpuError at all is the business of GP-ERROR-CLASS. */
function rejectedWith(outcome: Outcome<unknown>, codes: readonly string[]): void {
  assert.equal(outcome.kind, 'rejected', `the call should have been rejected with ${codes.join(' or ')}`);
  if (outcome.kind === 'rejected' && isGpuError(outcome.error)) {
    assert.ok(codes.includes(outcome.error.code), `${outcome.error.code}, not ${codes.join(' or ')}`);
  }
}

/** A reference to a GPU that the node does not have. */
const absentGpu = (node: NodeDescription): GpuRef => ({
  index: node.gpus.length + 3,
  uuid: null,
  pciAddress: null,
  name: null,
});

proves('GP-MANIFEST', async ({ provider }) => none(findManifestFaults(provider.manifest)));

proves('GP-MIG-CLAIM', async (fixture) => {
  const { mig, sections } = fixture.provider.manifest;
  if (mig) assert.ok(sections.includes('mig'), 'MIG is claimed, but not the section mig');
  else
    await eachSample(fixture, (sample) => (sample.mig?.enabled === true ? ['mig.enabled: not claimed'] : []));
});

proves('GP-NODE-SHAPE', async (fixture) => none(findNodeShapeFaults(await describe(fixture))));
proves('GP-NODE-GAP', async (fixture) => none(findNodeGapFaults(await describe(fixture))));
proves('GP-NODE-UNIQUE', async (fixture) => none(findRepeatedGpus(await describe(fixture))));
proves('GP-PCI-FORM', async (fixture) => none(findPciFaults(await describe(fixture))));

proves('GP-NODE-COUNT', async (fixture) => {
  const node = await describe(fixture);
  const expected = fixture.expectedGpuCount ?? Math.max(1, node.gpus.length);
  assert.equal(node.gpus.length, expected);
  for (const { fault } of fixture.faultyGpus ?? []) faultyGpu(fixture, node, fault);
});

proves('GP-NODE-ORDER', async (fixture) => {
  const indexes = (await describe(fixture)).gpus.map((gpu) => gpu.index);
  assert.deepEqual(
    indexes,
    indexes.map((_, position) => position),
  );
});

proves('GP-NODE-STABLE', async (fixture) => {
  const first = structuredClone(await describe(fixture));
  const { gaps: _, ...again } = await describe(fixture);
  assert.deepEqual({ ...again, gaps: first.gaps }, first);
});

proves('GP-JSON-SAFE', async (fixture) => {
  none(findJsonFaults(await describe(fixture), 'node'));
  await eachSample(fixture, (sample) => findJsonFaults(sample, 'sample'));
});

proves('GP-SECTION-ASKED', (fixture) =>
  eachSample(fixture, (sample) => check.findSectionFaults(sample, gpuSections)),
);

proves('GP-SECTION-NOT-ASKED', async (fixture) => {
  const gpu = await firstSoundGpu(fixture);
  const requests: readonly (readonly GpuSection[])[] = [[], ...gpuSections.map((section) => [section])];
  for (const asked of requests) none(check.findUnaskedParts(await read(fixture, gpu, asked), asked));
});

proves('GP-CLAIMED', async (fixture) => {
  const samples = await readAll(fixture);
  const silent = fixture.provider.manifest.sections.filter(
    (section) =>
      !fixture.unseenSections?.includes(section) &&
      !samples.some(([, sample]) => check.hasReading(sample, section)),
  );
  assert.deepEqual(silent, []);
});

proves('GP-UNCLAIMED', (fixture) => {
  const claimed = fixture.provider.manifest.sections;
  const unclaimed = gpuSections.filter((section) => !claimed.includes(section));
  return eachSample(fixture, (sample) =>
    unclaimed.flatMap((section) => check.findUnclaimedReadings(sample, section)),
  );
});

proves('GP-TYPE', (fixture) => eachSample(fixture, check.findTypeFaults));
proves('GP-RANGE', (fixture) => eachSample(fixture, check.findRangeFaults));
proves('GP-SPELLING', (fixture) => eachSample(fixture, check.findSpellingFaults));
proves('GP-AGREEMENT', (fixture) => eachSample(fixture, check.findDisagreements));
proves('GP-NULL-GAP', (fixture) => eachSample(fixture, check.findNullsWithoutGap));
proves('GP-GAP-NULL', (fixture) => eachSample(fixture, check.findGapsWithoutNull));

proves('GP-GAP-SHAPE', async (fixture) => {
  const node = await describe(fixture);
  none(check.findGapShapeFaults(node.gaps, node.gpus.length));
  await eachSample(fixture, (sample, gpu) =>
    check.findGapShapeFaults(sample.gaps, node.gpus.length, gpu.index),
  );
});

proves('GP-IDENTITY', (fixture) =>
  eachSample(fixture, ({ identity }, gpu) =>
    (['uuid', 'name'] as const)
      .filter((key) => typeof identity?.[key] === 'string' && gpu[key] !== null && identity[key] !== gpu[key])
      .map((key) => `${key}: ${identity?.[key]} read, ${gpu[key]} described`),
  ),
);

proves('GP-CONCURRENT', async (fixture) => {
  const gpus = soundGpus(fixture, await describe(fixture));
  const alone: unknown[] = [];
  for (const gpu of gpus) alone.push(structuredClone(await read(fixture, gpu, ['identity'])));
  const together = await Promise.all(gpus.map((gpu) => read(fixture, gpu, ['identity'])));
  assert.deepEqual(together, alone);
});

proves('GP-FRESH', async (fixture) => {
  const node = await describe(fixture);
  const before = structuredClone(node);
  overwrite(node);
  assert.deepEqual((await describe(fixture)).gpus, before.gpus);
  const [gpu] = soundGpus(fixture, before);
  assert.ok(gpu);
  const sample = await read(fixture, gpu, ['identity']);
  const sampleBefore = structuredClone(sample);
  overwrite(sample);
  assert.deepEqual(await read(fixture, gpu, ['identity']), sampleBefore);
});

/** Changes all that can be changed in an answer; what is frozen stays. */
function overwrite(value: unknown): void {
  if (typeof value !== 'object' || value === null) return;
  for (const [key, item] of Object.entries(value)) {
    overwrite(item);
    if (typeof item !== 'object' || item === null) Reflect.set(value, key, 'overwritten');
  }
  if (Array.isArray(value) && !Object.isFrozen(value)) value.length = 0;
}

proves('GP-ERROR-CLASS', async (fixture) => {
  const { provider } = fixture;
  const node = await describe(fixture);
  const gpu = soundGpus(fixture, node)[0] ?? absentGpu(node);
  const aborted = AbortSignal.abort();
  const calls: readonly (() => Promise<unknown>)[] = [
    () => provider.readGpu(absentGpu(node), ['identity'], unaborted()),
    () => provider.describeNode(aborted),
    () => provider.readGpu(gpu, ['identity'], aborted),
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

proves('GP-NOT-FOUND', async (fixture) => {
  const node = await describe(fixture);
  const call = () => fixture.provider.readGpu(absentGpu(node), ['identity'], unaborted());
  rejectedWith(await outcomeOf(call), ['GPU_NOT_FOUND']);
});

proves('GP-ABORT-DESCRIBE', async ({ provider }) => {
  const call = attempt(() => provider.describeNode(AbortSignal.abort()));
  rejectedWith(await outcomeWithin(abortLimitMilliseconds, call), ['TIMEOUT']);
});

proves('GP-ABORT-READ', async (fixture) => {
  const gpu = await firstSoundGpu(fixture);
  const call = attempt(() => fixture.provider.readGpu(gpu, gpuSections, AbortSignal.abort()));
  rejectedWith(await outcomeWithin(abortLimitMilliseconds, call), ['TIMEOUT']);
});

proves('GP-ABORT-IN-FLIGHT', async (fixture) => {
  const gpu = await firstSoundGpu(fixture);
  const caller = new AbortController();
  const call = attempt(() => fixture.provider.readGpu(gpu, gpuSections, caller.signal));
  caller.abort();
  const outcome = await outcomeWithin(abortLimitMilliseconds, call);
  assert.notEqual(outcome.kind, 'pending', `not settled ${abortLimitMilliseconds} ms after the abort`);
  if (outcome.kind === 'rejected') rejectedWith(outcome, ['GPU_HUNG', 'TIMEOUT']);
});

proves('GP-ABORT-NEXT', async (fixture) => {
  const gpu = await firstSoundGpu(fixture);
  const { provider } = fixture;
  const caller = new AbortController();
  const calls = [
    attempt(() => provider.describeNode(AbortSignal.abort())),
    attempt(() => provider.readGpu(gpu, gpuSections, AbortSignal.abort())),
    attempt(() => provider.readGpu(gpu, gpuSections, caller.signal)),
  ];
  caller.abort();
  for (const call of calls) await outcomeWithin(abortLimitMilliseconds, call);
  await describe(fixture);
  await read(fixture, gpu, ['identity']);
});

proves('GP-CLOSE', async (fixture) => {
  const { provider } = fixture;
  await answerOf('close before first use', () => provider.close());
  await describe(fixture);
  await answerOf('close', () => provider.close());
  await answerOf('closing again', () => provider.close());
});

proves('GP-REOPEN', async (fixture) => {
  const before = structuredClone((await describe(fixture)).gpus);
  await outcomeOf(() => fixture.provider.close());
  const after = await describe(fixture);
  assert.deepEqual(after.gpus, before);
  const [gpu] = soundGpus(fixture, after);
  assert.ok(gpu);
  await read(fixture, gpu, ['identity']);
});

proves('GP-LOST', async (fixture) => {
  const gpu = faultyGpu(fixture, await describe(fixture), 'lost');
  rejectedWith(await outcomeOf(() => fixture.provider.readGpu(gpu, gpuSections, unaborted())), ['GPU_LOST']);
});

proves('GP-LOST-SIBLINGS', async (fixture) => {
  const node = await describe(fixture);
  const gpu = faultyGpu(fixture, node, 'lost');
  await outcomeOf(() => fixture.provider.readGpu(gpu, gpuSections, unaborted()));
  await siblingsAnswer(fixture, node);
});

/** Starts the read of the hung GPU, waits until the driver is stuck in it, aborts, and tells how the call ended. */
async function abortHungRead(fixture: GpuProviderFixture, gpu: GpuRef): Promise<Outcome<GpuSample>> {
  const caller = new AbortController();
  const call = attempt(() => fixture.provider.readGpu(gpu, gpuSections, caller.signal));
  ignore(call);
  await (fixture.untilStuck?.() ?? pause(300));
  caller.abort();
  return outcomeWithin(abortLimitMilliseconds, call);
}

proves('GP-HUNG', async (fixture) => {
  const gpu = faultyGpu(fixture, await describe(fixture), 'hung');
  rejectedWith(await abortHungRead(fixture, gpu), ['GPU_HUNG']);
});

proves('GP-HUNG-SIBLINGS', async (fixture) => {
  const node = await describe(fixture);
  await abortHungRead(fixture, faultyGpu(fixture, node, 'hung'));
  await siblingsAnswer(fixture, node);
});

proves('GP-UNREADABLE', async (fixture) => {
  const gpu = faultyGpu(fixture, await describe(fixture), 'unreadable');
  const outcome = await outcomeOf(() => fixture.provider.readGpu(gpu, gpuSections, unaborted()));
  rejectedWith(outcome, ['NO_PERMISSION', 'RESET_REQUIRED', 'UNAVAILABLE']);
});

proves('GP-CRASH', async (fixture) => {
  const node = await describe(fixture);
  const gpu = faultyGpu(fixture, node, 'crashing');
  const outcome = await outcomeOf(() => fixture.provider.readGpu(gpu, gpuSections, unaborted()));
  rejectedWith(outcome, ['ADAPTER_CRASHED']);
  await siblingsAnswer(fixture, node);
});

export const contractCases: readonly ContractCase[] = cases;
