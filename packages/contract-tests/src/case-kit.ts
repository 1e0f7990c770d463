import assert from 'node:assert/strict';
import {
  type GpuRef,
  type GpuSample,
  type GpuSection,
  gpuSections,
  isGpuError,
  type NodeDescription,
} from '@k8s-gpu-mcp/core';
import { createContractSuite } from './contract-suite.ts';
import type { Problems } from './inspect.ts';
import { answerOf, type Outcome } from './outcomes.ts';
import { type GpuFault, gpuProviderRequirements, type RequirementId } from './requirements.ts';
import type { GpuProviderFixture } from './rig.ts';

export const gpuProviderSuite = createContractSuite<RequirementId, GpuFault, GpuProviderFixture>(
  gpuProviderRequirements,
  // A failing close is a failure of GP-CLOSE, not of whatever test happens to end here.
  (fixture) => fixture.provider.close(),
);
export const { proves } = gpuProviderSuite;

export const unaborted = (): AbortSignal => new AbortController().signal;
export const describe = (fixture: GpuProviderFixture) =>
  answerOf('describeNode', () => fixture.provider.describeNode(unaborted()));
export const read = (
  fixture: GpuProviderFixture,
  gpu: GpuRef,
  sections: readonly GpuSection[] = gpuSections,
) => answerOf(`readGpu of GPU ${gpu.index}`, () => fixture.provider.readGpu(gpu, sections, unaborted()));
export const none = (problems: Problems) => assert.deepEqual(problems, []);

/** The GPUs that this rig has not broken. */
export function soundGpus(fixture: GpuProviderFixture, node: NodeDescription): readonly GpuRef[] {
  const broken = new Set(fixture.faultyGpus?.map((gpu) => gpu.index));
  const sound = node.gpus.filter((gpu) => !broken.has(gpu.index));
  assert.ok(sound.length > 0, 'the fixture needs a GPU that can be read');
  return sound;
}

export async function firstSoundGpu(fixture: GpuProviderFixture): Promise<GpuRef> {
  const [gpu] = soundGpus(fixture, await describe(fixture));
  assert.ok(gpu);
  return gpu;
}

/** A full read of each sound GPU, one after the other. */
export async function readAll(
  fixture: GpuProviderFixture,
): Promise<readonly (readonly [GpuRef, GpuSample])[]> {
  const all: (readonly [GpuRef, GpuSample])[] = [];
  for (const gpu of soundGpus(fixture, await describe(fixture))) all.push([gpu, await read(fixture, gpu)]);
  return all;
}

export async function eachSample(
  fixture: GpuProviderFixture,
  find: (sample: GpuSample, gpu: GpuRef) => Problems,
): Promise<void> {
  for (const [gpu, sample] of await readAll(fixture)) {
    none(find(sample, gpu).map((problem) => `GPU ${gpu.index}: ${problem}`));
  }
}

export function faultyGpu(fixture: GpuProviderFixture, node: NodeDescription, fault: GpuFault): GpuRef {
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

export async function siblingsAnswer(fixture: GpuProviderFixture, node: NodeDescription): Promise<void> {
  for (const gpu of soundGpus(fixture, node)) await read(fixture, gpu, fixture.provider.manifest.sections);
}

/** That a call was rejected with one of the codes. What is no GpuError at all is the business of GP-ERROR-CLASS. */
export function rejectedWith(outcome: Outcome<unknown>, codes: readonly string[]): void {
  assert.equal(outcome.kind, 'rejected', `the call should have been rejected with ${codes.join(' or ')}`);
  if (outcome.kind === 'rejected' && isGpuError(outcome.error)) {
    assert.ok(codes.includes(outcome.error.code), `${outcome.error.code}, not ${codes.join(' or ')}`);
  }
}

/** A reference to a GPU that the node does not have. */
export const absentGpu = (node: NodeDescription): GpuRef => ({
  index: node.gpus.length + 3,
  uuid: null,
  pciAddress: null,
  name: null,
});
