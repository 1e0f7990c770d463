import { describe, test } from 'vitest';
import { gpuFaults, runGpuProviderContract } from '../src/index.ts';
import { inMemoryFixture, inMemoryProvider } from './in-memory-provider.ts';

describe('an adapter that keeps the contract', () => {
  runGpuProviderContract({
    test,
    createFixture: (fault) => inMemoryFixture(fault, inMemoryProvider({ fault })),
    stagedFaults: gpuFaults,
  });
});
