import type { GpuRef } from '@k8s-gpu-mcp/core';
import { fixedClock } from '@k8s-gpu-mcp/core/testing';
import { describe, expect, test } from 'vitest';
import {
  createMockProvider,
  type MockScenarioName,
  mockHostDevices,
  mockHostProcesses,
  mockScenarios,
} from './index.ts';

const signal = new AbortController().signal;
const optionsOf = (scenario: MockScenarioName) => ({ scenario, clock: fixedClock(), seed: 5 });
const names = mockScenarios.map(({ name }) => name);

/** The processes that the driver lists on the GPUs that answer. */
async function driverProcesses(scenario: MockScenarioName) {
  const provider = createMockProvider(optionsOf(scenario));
  const { gpus } = await provider.describeNode(signal);
  const read = (gpu: GpuRef) => {
    const caller = new AbortController();
    const answer = provider.readGpu(gpu, ['processes'], caller.signal);
    // One that answers has by now; one that hangs gives up.
    caller.abort();
    return answer;
  };
  const samples = await Promise.allSettled(gpus.map(read));
  return samples.flatMap((outcome) =>
    outcome.status === 'fulfilled' ? (outcome.value.processes?.running ?? []) : [],
  );
}

describe.each(names)('%s', (scenario) => {
  test('the bus has every GPU of the driver at its address, and a device file for each', async () => {
    const { gpus } = await createMockProvider(optionsOf(scenario)).describeNode(signal);
    const { pciGpus, deviceNodes } = await mockHostDevices(optionsOf(scenario)).read(signal);
    expect(pciGpus).toHaveLength(gpus.length);
    expect(deviceNodes?.map(({ path }) => path)).toEqual(gpus.map(({ index }) => `/dev/nvidia${index}`));
    gpus.forEach(({ pciAddress }, index) => {
      // The driver knows nothing of a GPU that does not answer, and the bus knows why.
      expect(pciGpus?.[index]?.respondsOnBus).toBe(pciAddress !== null);
      if (pciAddress !== null) expect(pciGpus?.[index]?.pciAddress).toBe(pciAddress);
    });
  });

  test('every process that the driver lists is one of the machine, once', async () => {
    const listed = await driverProcesses(scenario);
    const pids = listed.map(({ pid }) => pid);
    const { processes } = await mockHostProcesses(optionsOf(scenario)).describe(pids, signal);
    expect(processes.map(({ pid }) => pid).sort()).toEqual([...new Set(pids)].sort());
    for (const { startTicks, container } of processes) {
      expect(startTicks).toBeGreaterThan(0);
      expect(container?.id).toMatch(/^[0-9a-f]{64}$/);
    }
  });
});

test('a GPU off its bus reads as all ones there, and tells no link', async () => {
  const { pciGpus, gaps } = await mockHostDevices(optionsOf('fallen-off-bus')).read(signal);
  expect(pciGpus?.map(({ respondsOnBus }) => respondsOnBus).indexOf(false)).toBe(3);
  expect(pciGpus?.[3]).toMatchObject({
    vendorId: '10de',
    deviceId: '2330',
    currentLinkWidthLanes: null,
    currentSpeedGigatransfersPerSecond: null,
  });
  expect(gaps).toMatchObject([{ reason: 'gpu-lost' }]);
});

test('a narrow link is narrow on the bus too', async () => {
  const { pciGpus } = await mockHostDevices(optionsOf('mixed-faults')).read(signal);
  expect(pciGpus?.[6]).toMatchObject({ currentLinkWidthLanes: 8, maxLinkWidthLanes: 16 });
});

test('the workers of a job share a pod and a launcher; the one that the driver holds sleeps', async () => {
  const host = mockHostProcesses(optionsOf('hung-driver'));
  const pids = (await driverProcesses('hung-driver')).map(({ pid }) => pid);
  const { processes } = await host.describe([...pids, 90_412], signal);
  expect(processes).toHaveLength(8);
  expect(new Set(processes.map(({ podUid }) => podUid)).size).toBe(1);
  expect(processes.filter(({ state }) => state === 'D').map(({ pid }) => pid)).toEqual([90_412]);
  const [launcher, ...others] = (await host.describe([processes[0]?.parentPid ?? 0], signal)).processes;
  expect(launcher?.name).toBe('torchrun');
  expect(others).toEqual([]);
});

test('a process that sleeps in the driver holds a GPU that answers', async () => {
  const pids = (await driverProcesses('stuck-process')).map(({ pid }) => pid);
  expect(pids).toHaveLength(8);
  const { processes } = await mockHostProcesses(optionsOf('stuck-process')).describe(pids, signal);
  expect(processes.filter(({ state }) => state === 'D').map(({ pid }) => pid)).toEqual([48_213]);
});

test('what is not asked for or not there is left out', async () => {
  const { processes, seesAllProcesses } = await mockHostProcesses(optionsOf('mig')).describe([1, 2], signal);
  expect(processes).toEqual([]);
  expect(seesAllProcesses).toBe(true);
});

test('an aborted call is cut off', async () => {
  const aborted = AbortSignal.abort();
  await expect(mockHostDevices(optionsOf('mig')).read(aborted)).rejects.toMatchObject({ code: 'TIMEOUT' });
  await expect(mockHostProcesses(optionsOf('mig')).describe([], aborted)).rejects.toMatchObject({
    code: 'TIMEOUT',
  });
});
