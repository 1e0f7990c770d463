import { existsSync } from 'node:fs';
import { gpuSections, isGpuError } from '@k8s-gpu-mcp/core';
import { expect, it } from 'vitest';
import { createNvmlProvider } from '../src/index.ts';
import { ensureBuilt } from './fake/rig.ts';

/** NVIDIA's own library is never part of this repository: name one to test with it. */
const library = process.env['NVML_TEST_LIBRARY'];
const skipped =
  library !== undefined && existsSync(library) ? '' : ' (skipped: NVML_TEST_LIBRARY names no file)';

it.skipIf(skipped !== '')(`NVIDIA's library answers, or says why it cannot${skipped}`, async () => {
  ensureBuilt();
  const provider = createNvmlProvider(library === undefined ? {} : { library });
  const deadline = () => AbortSignal.timeout(30_000);
  try {
    const node = await provider.describeNode(deadline());
    expect(node.driverVersion).toMatch(/^\d+\.\d+/);
    for (const gpu of node.gpus) {
      const sample = await provider.readGpu(gpu, gpuSections, deadline());
      expect(sample.identity?.uuid).toBe(gpu.uuid);
    }
  } catch (error) {
    if (!isGpuError(error)) throw error;
    // Without a driver the library loads, and only its initialisation fails.
    expect(['DRIVER_NOT_LOADED', 'NO_PERMISSION', 'UNAVAILABLE']).toContain(error.code);
    expect(error.message).toContain('nvmlInit_v2');
  } finally {
    await provider.close();
  }
});
