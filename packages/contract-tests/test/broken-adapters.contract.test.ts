import { describe, expect, test } from 'vitest';
import {
  findCoverageFaults,
  type GpuFault,
  type GpuProviderFixture,
  gpuFaults,
  gpuProviderRequirements,
  type RequirementId,
  runGpuProviderContract,
} from '../src/index.ts';
import { brokenProvider } from './broken-adapters.ts';
import { failuresOf } from './failures-of.ts';
import { inMemoryFixture, inMemoryProvider } from './in-memory-provider.ts';

const requirementIds = Object.keys(gpuProviderRequirements) as RequirementId[];

const failedRequirements = (createFixture: (fault: GpuFault | undefined) => GpuProviderFixture) =>
  failuresOf((test) => runGpuProviderContract({ test, createFixture, stagedFaults: gpuFaults }));

describe('an adapter that breaks one requirement fails in that requirement and no other', () => {
  test.each(requirementIds)('%s', async (id) => {
    const failed = await failedRequirements((fault) => inMemoryFixture(fault, brokenProvider(id, fault)));
    expect(failed).toEqual([id]);
  });
});

test('a fault that the rig does not stage is skipped by name, not passed over in silence', () => {
  const run: string[] = [];
  const skipped: string[] = [];
  runGpuProviderContract({
    test: Object.assign((name: string) => run.push(name), { skip: (name: string) => skipped.push(name) }),
    createFixture: (fault) => inMemoryFixture(fault, inMemoryProvider({ fault })),
    stagedFaults: ['lost'],
  });
  expect(skipped.map((name) => name.split(':')[0])).toEqual([
    'GP-HUNG',
    'GP-HUNG-SIBLINGS',
    'GP-UNREADABLE',
    'GP-CRASH',
  ]);
  expect(run.some((name) => name.startsWith('GP-LOST:'))).toBe(true);
});

test('a fault that the rig promises but does not stage is a failure', async () => {
  const failed = await failedRequirements(() => inMemoryFixture(undefined, inMemoryProvider()));
  expect(failed).toEqual(requirementIds.slice(requirementIds.indexOf('GP-LOST')));
});

test('coverage finds requirements without a test and ids that are no requirement', () => {
  expect(findCoverageFaults(['A', 'C'], ['A', 'B'])).toEqual(['B: no test cites it', 'C: not a requirement']);
  expect(findCoverageFaults(['B', 'A', 'A'], ['A', 'B'])).toEqual([]);
});
