import type { Clock, GpuRef, MigDevice } from '@k8s-gpu-mcp/core';
import type { GpuModel } from './models/gpu-model.ts';
import { gpuModels } from './models/gpu-models.ts';
import { hexNoise, unitNoise } from './noise.ts';
import type { GpuCondition, LoggedGpu, MigCut, Scenario } from './scenarios/scenario.ts';
import { findScenario, isMockScenario, type MockScenarioName, mockScenarios } from './scenarios/scenarios.ts';

export interface SimulationOptions {
  readonly scenario: MockScenarioName;
  readonly clock: Pick<Clock, 'now'>;
  /** Decides identifiers and phases. Same seed and same clock: same readings. Default 1. */
  readonly seed?: number;
  /** Milliseconds since 1970 at which the simulation starts; the clock's time at creation by default. */
  readonly startedAt?: number;
}

export interface SimulatedGpu extends LoggedGpu {
  readonly model: GpuModel;
  readonly condition: GpuCondition;
  /** How the driver counts it. */
  readonly ref: GpuRef;
  /** `domain:bus:device.function`, also of a GPU that does not answer any more. */
  readonly pciAddress: string;
  /** The socket nearest to it. */
  readonly numaNode: number;
  readonly migDevices: readonly MigDevice[];
}

/** The node of a scenario: what does not change while it runs. */
export interface SimulatedNode {
  readonly scenario: Scenario;
  readonly model: GpuModel;
  readonly seed: number;
  readonly gpus: readonly SimulatedGpu[];
  /** Milliseconds since 1970. */
  readonly startedAt: number;
  readonly bootedAt: number;
}

/** Bus numbers by node size: eight as on HGX boards, four as in a two-socket server. */
const busNumbers: Readonly<Record<number, readonly number[]>> = {
  8: [0x1b, 0x43, 0x52, 0x61, 0x9d, 0xc3, 0xd1, 0xdf],
  4: [0x16, 0x38, 0xa9, 0xd8],
  2: [0x3b, 0xaf],
};

const dayMilliseconds = 86_400_000;
const mebibyte = 1024 * 1024;

export function simulateNode(options: SimulationOptions): SimulatedNode {
  if (!isMockScenario(options.scenario)) {
    const known = mockScenarios.map(({ name }) => name).join(', ');
    throw new RangeError(`no scenario ${JSON.stringify(options.scenario)}; there are ${known}`);
  }
  const scenario = findScenario(options.scenario);
  const model: GpuModel = gpuModels[scenario.model];
  const seed = options.seed ?? 1;
  const startedAt = options.startedAt ?? options.clock.now();
  return {
    scenario,
    model,
    seed,
    startedAt,
    bootedAt: startedAt - Math.round((3 + unitNoise(seed, 'uptime') * 20) * dayMilliseconds),
    gpus: scenario.gpus.map((condition, index) => simulateGpu(condition, index, scenario, model, seed)),
  };
}

function simulateGpu(
  condition: GpuCondition,
  index: number,
  scenario: Scenario,
  model: GpuModel,
  seed: number,
): SimulatedGpu {
  const bus = busNumbers[scenario.gpus.length]?.[index] ?? 0x10 + index;
  const pciDevice = `0000:${bus.toString(16).padStart(2, '0')}:00`;
  const pciAddress = `${pciDevice}.0`;
  const uuid = inventedUuid('GPU', seed, index);
  return {
    index,
    pciAddress,
    model,
    condition,
    pciDevice,
    uuid,
    serial: inventedSerial(seed, index),
    // The driver cannot open a GPU that is off its bus: nothing but its place in the count is known.
    ref:
      condition.failure === 'off-bus'
        ? { index, uuid: null, pciAddress: null, name: null }
        : { index, uuid, pciAddress, name: model.name },
    numaNode: index < scenario.gpus.length / 2 ? 0 : 1,
    migDevices: (condition.migDevices ?? []).map((device, position) => ({
      index: position,
      uuid: inventedUuid('MIG', seed, index, position),
      ...cutOut(model, device),
    })),
  };
}

function cutOut(model: GpuModel, cut: MigCut): Omit<MigDevice, 'index' | 'uuid'> {
  const profile = model.migProfiles.find(({ name }) => name === cut.profile);
  if (!profile) throw new RangeError(`${model.name} has no MIG profile ${cut.profile}`);
  return {
    gpuInstanceId: cut.gpuInstanceId,
    computeInstanceId: 0,
    profile: profile.name,
    memoryTotalBytes: profile.memoryMebibytes * mebibyte,
    memoryUsedBytes: cut.usedMebibytes * mebibyte,
    multiprocessorCount: profile.multiprocessorCount,
    gpuSliceCount: profile.gpuSliceCount,
    computeSliceCount: profile.gpuSliceCount,
    placementStart: cut.placementStart,
    placementSize: profile.placementSize,
  };
}

/** `5eed` and `fa4e` ("seed", "fake") give it away. */
function inventedUuid(prefix: 'GPU' | 'MIG', ...keys: readonly number[]): string {
  return `${prefix}-5eed${hexNoise(4, prefix, ...keys)}-fa4e-4000-8000-${hexNoise(12, prefix, 'node', ...keys)}`;
}

/** Thirteen digits as on real boards, with leading zeros as on none. */
function inventedSerial(seed: number, index: number): string {
  return Math.floor(unitNoise(seed, index, 'serial') * 1e6)
    .toString()
    .padStart(13, '0');
}
