import { z } from 'zod';
import type { GpuReading } from '../domain/gpu.ts';
import type { MigDevice } from '../domain/readings/mig.ts';
import {
  answerSchema,
  backendUnreadable,
  type Detail,
  gpuBackendCoverage,
  makeAnswer,
  type NextStep,
} from './answer.ts';
import { detailArgument, gpuArgument } from './arguments.ts';
import { defineTool } from './tool.ts';
import { readNode, type Toolkit } from './toolkit.ts';

/** What GPUs are here. */
export function getGpuInventory(toolkit: Toolkit) {
  return defineTool({
    name: 'get_gpu_inventory',
    title: 'GPU inventory',
    description:
      'What GPUs are on this node: identity, driver, memory, ECC and MIG mode. Start here for the indices and UUIDs other tools take.',
    inputSchema: z.strictObject({ gpu: gpuArgument, detail: detailArgument }),
    outputSchema: answerSchema({
      driverVersion: z.string().nullable(),
      gpuCount: z.number().nullable(),
      gpus: z.array(z.looseObject({ index: z.number(), state: z.string() })),
    }),
    async handle({ gpu, detail }, signal) {
      const { node, error, readings } = await readNode(
        toolkit,
        gpu,
        ['identity', 'memory', 'ecc', 'mig'],
        signal,
      );
      if (error) return backendUnreadable(toolkit, error, { driverVersion: null, gpuCount: null, gpus: [] });
      return makeAnswer(toolkit, detail, {
        ...(readings.some((reading) => reading.state !== 'ok') ? { verdict: verdictOf(readings) } : {}),
        summary: summarise(readings, node.driverVersion),
        payload: {
          driverVersion: node.driverVersion,
          libraryVersion: node.libraryVersion,
          computeApiVersion: node.computeApiVersion,
          gpuCount: node.gpus.length,
          gpus: readings.map((reading) => presentGpu(reading, detail)),
        },
        gpuCount: readings.length,
        gaps: [...node.gaps, ...readings.flatMap((reading) => reading.gaps)],
        gpuBackend: gpuBackendCoverage(toolkit, undefined),
        nextSteps: nextSteps(readings),
      });
    },
  });
}

const verdictOf = (readings: readonly GpuReading[]) =>
  readings.some(({ state }) => state !== 'ok' && state !== 'unreadable') ? 'critical' : 'unknown';

function summarise(readings: readonly GpuReading[], driverVersion: string | null): string {
  if (readings.length === 0) return 'The driver counts no GPUs on this node.';
  const byName = new Map<string, number>();
  for (const { gpu } of readings) {
    const name = gpu.name ?? 'unreadable GPU';
    byName.set(name, (byName.get(name) ?? 0) + 1);
  }
  const list = [...byName].map(([name, count]) => `${count} x ${name}`).join(', ');
  const broken = readings.filter((reading) => reading.state !== 'ok');
  const note = broken.map(({ gpu, state }) => ` GPU ${gpu.index} is ${state}.`).join('');
  return `${list}, driver ${driverVersion ?? 'unknown'}.${note}`;
}

function presentGpu(reading: GpuReading, detail: Detail) {
  const { gpu, state, stateDetail, identity, memory, ecc, mig } = reading;
  const row = {
    index: gpu.index,
    state,
    ...(stateDetail === undefined ? {} : { stateDetail }),
    name: gpu.name,
    uuid: gpu.uuid,
    pciAddress: gpu.pciAddress,
    serial: identity?.serial ?? null,
    memoryTotalBytes: memory?.totalBytes ?? null,
    eccEnabled: ecc?.enabled ?? null,
    migEnabled: mig?.enabled ?? null,
    ...(mig?.devices?.length ? { migDevices: mig.devices.map((device) => presentMig(device, detail)) } : {}),
  };
  if (detail === 'summary' || !identity) return row;
  const { name: _name, uuid: _uuid, serial: _serial, ...rest } = identity;
  return {
    ...row,
    ...rest,
    memoryReservedBytes: memory?.reservedBytes ?? null,
    eccPendingEnabled: ecc?.pendingEnabled ?? null,
    migPendingEnabled: mig?.pendingEnabled ?? null,
  };
}

function presentMig(device: MigDevice, detail: Detail) {
  if (detail === 'full') return device;
  const { index, uuid, profile, memoryTotalBytes } = device;
  return { index, uuid, profile, memoryTotalBytes };
}

function nextSteps(readings: readonly GpuReading[]): NextStep[] {
  const broken = readings.filter((reading) => reading.state !== 'ok');
  if (broken.length === 0) return [];
  const indices = broken.map(({ gpu }) => gpu.index).join(', ');
  return [{ action: 'none', reason: `GPU ${indices} did not answer: see why.`, tool: 'get_gpu_health' }];
}
