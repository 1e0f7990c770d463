import assert from 'node:assert/strict';
import { type GpuRef, type GpuSample, type GpuSection, gpuSections } from '@k8s-gpu-mcp/core';
import { findDisagreements, findFallenCounters, findPeerFaults } from './agreement-checks.ts';
import {
  describe,
  eachSample,
  faultyGpu,
  firstSoundGpu,
  none,
  proves,
  read,
  readAll,
  soundGpus,
} from './case-kit.ts';
import { findJsonFaults } from './inspect.ts';
import {
  findManifestFaults,
  findNodeGapFaults,
  findNodeShapeFaults,
  findPciFaults,
  findRepeatedGpus,
} from './node-checks.ts';
import { pause } from './outcomes.ts';
import type { GpuProviderFixture } from './rig.ts';
import * as check from './sample-checks.ts';
import { gapsOf } from './sample-leaves.ts';

const passTime = (fixture: GpuProviderFixture) => fixture.passTime?.() ?? pause(300);

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
  // Some sections tell what happened since the reading before.
  const samples = [...(await readAll(fixture))];
  await passTime(fixture);
  samples.push(...(await readAll(fixture)));
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
proves('GP-AGREEMENT', (fixture) => eachSample(fixture, findDisagreements));
proves('GP-MEMBER-UNIQUE', (fixture) => eachSample(fixture, check.findRepeatedMembers));
proves('GP-PROBE-TIME', (fixture) => eachSample(fixture, check.findProbeTimeFaults));

proves('GP-PEERS', async (fixture) => {
  const { gpus } = await describe(fixture);
  await eachSample(fixture, (sample, gpu) => findPeerFaults(sample, gpu, gpus));
});

proves('GP-MONOTONIC', async (fixture) => {
  const earlier = new Map(
    (await readAll(fixture)).map(([gpu, sample]) => [gpu.index, structuredClone(sample)]),
  );
  await passTime(fixture);
  await eachSample(fixture, (sample, gpu) => {
    const before = earlier.get(gpu.index);
    return before ? findFallenCounters(before, sample) : [];
  });
});

proves('GP-PROFILING', async (fixture) => {
  if (!fixture.provider.manifest.sections.includes('profiling')) return;
  const observed: GpuRef[] = [];
  for (const gpu of soundGpus(fixture, await describe(fixture))) {
    const first = await read(fixture, gpu, ['profiling']);
    const told = Object.entries(first.profiling ?? {}).filter(([, value]) => value !== null);
    assert.deepEqual(told, [], `GPU ${gpu.index}: a first reading has nothing to compare with`);
    if (gapsOf(first).some((gap) => gap['reason'] === 'not-observable')) observed.push(gpu);
    else
      assert.ok(
        gapsOf(first).every((gap) => gap['reason'] !== 'error'),
        `GPU ${gpu.index}: not read`,
      );
  }
  await passTime(fixture);
  for (const gpu of observed) {
    const { profiling } = await read(fixture, gpu, ['profiling']);
    const { intervalMilliseconds, ...activity } = profiling ?? { intervalMilliseconds: null };
    assert.ok(
      typeof intervalMilliseconds === 'number' && intervalMilliseconds > 0,
      `GPU ${gpu.index}: no interval between two readings`,
    );
    assert.ok(
      Object.values(activity).some((value) => value !== null),
      `GPU ${gpu.index}: a second reading tells nothing`,
    );
  }
});
proves('GP-NULL-GAP', (fixture) => eachSample(fixture, check.findNullsWithoutGap));
proves('GP-MEMBER-GAP', (fixture) => eachSample(fixture, check.findMemberGapFaults));
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

/** What is the same at every reading of it, whatever else the answer holds. */
const identityOf = ({ identity, gaps }: GpuSample) => ({
  identity,
  gaps: gaps.filter(({ field }) => field.startsWith('identity')),
});

proves('GP-CONCURRENT', async (fixture) => {
  const gpus = soundGpus(fixture, await describe(fixture));
  const readIdentity = async (gpu: GpuRef) => identityOf(await read(fixture, gpu, ['identity']));
  const alone: unknown[] = [];
  for (const gpu of gpus) alone.push(structuredClone(await readIdentity(gpu)));
  assert.deepEqual(await Promise.all(gpus.map(readIdentity)), alone);
});

proves('GP-FRESH', async (fixture) => {
  const node = await describe(fixture);
  const before = structuredClone(node);
  overwrite(node);
  assert.deepEqual((await describe(fixture)).gpus, before.gpus);
  const [gpu] = soundGpus(fixture, before);
  assert.ok(gpu);
  const sample = await read(fixture, gpu, ['identity']);
  const identityBefore = structuredClone(identityOf(sample));
  overwrite(sample);
  assert.deepEqual(identityOf(await read(fixture, gpu, ['identity'])), identityBefore);
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
