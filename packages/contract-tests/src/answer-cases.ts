import assert from 'node:assert/strict';
import { type GpuSection, gpuSections } from '@k8s-gpu-mcp/core';
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
import * as check from './sample-checks.ts';

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
