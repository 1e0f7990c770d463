import type {
  ClockEventReason,
  GpuClocks,
  GpuEcc,
  GpuIdentity,
  GpuMemory,
  GpuMig,
  GpuPcie,
  GpuPower,
  GpuRecovery,
  GpuRowRemap,
  GpuSectionReadings,
  GpuThermal,
  GpuUtilization,
} from '@k8s-gpu-mcp/core';
import { unitNoise, wave } from './noise.ts';
import type { SimulatedGpu, SimulatedNode } from './simulated-node.ts';

const mebibyte = 1024 * 1024;
const round = (value: number, digits = 0) => Math.round(value * 10 ** digits) / 10 ** digits;
const only = <Value>(told: boolean, value: Value): Value | null => (told ? value : null);

/** How hard a GPU works, as a share of what it can: a slow swing round a level of its own. */
function workload(node: SimulatedNode, gpu: SimulatedGpu) {
  const { idle, heldBack } = gpu.condition;
  const level = idle ? 0 : (0.62 + 0.24 * unitNoise(node.seed, gpu.index, 'load')) * (heldBack ? 0.7 : 1);
  const swing = idle ? 0 : 0.08;
  const slow = wave(540, node.seed, gpu.index, 'load');
  return {
    at: (seconds: number) => level + swing * slow.at(seconds),
    integral: (from: number, to: number) => level * (to - from) + swing * slow.integral(from, to),
  };
}

/** All sections of one GPU at one time. A null is something that such a board with such a driver does not tell. */
export function readingsAt(
  node: SimulatedNode,
  gpu: SimulatedGpu,
  now: number,
): Required<GpuSectionReadings> {
  const seconds = now / 1000;
  const load = workload(node, gpu);
  const share = load.at(seconds);
  return {
    identity: identityOf(gpu),
    memory: memoryOf(gpu, share),
    thermal: thermalAt(node, gpu, share, seconds),
    power: powerAt(node, gpu, load, seconds),
    clocks: clocksOf(gpu),
    utilization: utilizationOf(gpu, share),
    ecc: eccOf(gpu),
    rowRemap: rowRemapOf(gpu),
    pcie: pcieOf(node, gpu),
    mig: migOf(gpu),
    recovery: recoveryOf(gpu),
  };
}

function identityOf({ model, uuid, serial, index }: SimulatedGpu): GpuIdentity {
  return {
    name: model.name,
    uuid,
    serial,
    boardPartNumber: model.boardPartNumber,
    vbiosVersion: model.vbiosVersion,
    inforomVersion: model.inforomVersion,
    architecture: model.architecture,
    computeCapability: model.computeCapability,
    minorNumber: index,
    persistenceModeEnabled: true,
  };
}

function memoryOf({ model, condition, migDevices }: SimulatedGpu, share: number): GpuMemory {
  const totalBytes = model.memory.totalMebibytes * mebibyte;
  const reservedBytes = model.memory.reservedMebibytes * mebibyte;
  const inMig = migDevices.reduce((sum, device) => sum + (device.memoryUsedBytes ?? 0), 0);
  const busyBytes = Math.floor((model.memory.totalMebibytes * (0.3 + share / 2)) / 2) * 2 * mebibyte;
  const usedBytes = condition.migDevices ? inMig : condition.idle ? 0 : busyBytes;
  return { totalBytes, reservedBytes, usedBytes, freeBytes: totalBytes - reservedBytes - usedBytes };
}

function thermalAt(node: SimulatedNode, gpu: SimulatedGpu, share: number, seconds: number): GpuThermal {
  const { model, condition } = gpu;
  const { thermal, typical } = model;
  const limit = thermal.kind === 'margin' ? thermal.limitCelsius : thermal.maxOperatingCelsius;
  const ripple = 0.9 * wave(190, node.seed, gpu.index, 'heat').at(seconds);
  const usual = typical.idleCelsius + (typical.loadCelsius - typical.idleCelsius) * share;
  const temperature = round(
    (condition.celsiusBeyondLimit === undefined ? usual : limit + condition.celsiusBeyondLimit) + ripple,
  );
  const absolute = thermal.kind === 'absolute' ? thermal : undefined;
  const margin = thermal.kind === 'margin' ? thermal : undefined;
  return {
    temperatureCelsius: temperature,
    memoryTemperatureCelsius: only(model.hasMemoryTemperature, temperature + 3),
    slowdownThresholdCelsius: absolute?.slowdownCelsius ?? null,
    shutdownThresholdCelsius: absolute?.shutdownCelsius ?? null,
    maxOperatingThresholdCelsius: absolute?.maxOperatingCelsius ?? null,
    memoryMaxThresholdCelsius: absolute?.memoryMaxCelsius ?? null,
    marginCelsius: margin ? margin.limitCelsius - temperature : null,
    slowdownMarginCelsius: margin?.slowdownMarginCelsius ?? null,
    shutdownMarginCelsius: margin?.shutdownMarginCelsius ?? null,
    fanSpeedPercent: null,
  };
}

function powerAt(
  node: SimulatedNode,
  gpu: SimulatedGpu,
  load: ReturnType<typeof workload>,
  seconds: number,
): GpuPower {
  const { power, typical, driver } = gpu.model;
  const span = power.defaultWatts - typical.idleWatts;
  const draw = typical.idleWatts + span * load.at(seconds);
  const sinceBoot = node.bootedAt / 1000;
  const ripple = 0.01 * draw * wave(7, node.seed, gpu.index, 'instant').at(seconds);
  return {
    drawWatts: round(draw, 2),
    instantDrawWatts: only(driver.tellsInstantPower, round(draw + ripple, 2)),
    enforcedLimitWatts: power.defaultWatts,
    defaultLimitWatts: power.defaultWatts,
    minLimitWatts: power.minWatts,
    maxLimitWatts: power.maxWatts,
    energyJoules: round(
      typical.idleWatts * (seconds - sinceBoot) + span * load.integral(sinceBoot, seconds),
      3,
    ),
  };
}

function clocksOf({ model, condition }: SimulatedGpu): GpuClocks {
  const { maxSmMegahertz, maxMemoryMegahertz } = model.clocks;
  const { idle, heldBack } = condition;
  const reasons: readonly ClockEventReason[] = idle ? ['idle'] : [...(heldBack?.reasons ?? [])];
  return {
    smClockMegahertz: idle
      ? model.typical.idleSmMegahertz
      : round(maxSmMegahertz * (heldBack?.smClockShare ?? 1)),
    memoryClockMegahertz: maxMemoryMegahertz,
    maxSmClockMegahertz: maxSmMegahertz,
    maxMemoryClockMegahertz: maxMemoryMegahertz,
    performanceState: 'P0',
    eventReasons: reasons,
  };
}

/** The driver tells no utilization while MIG is enabled. Source: NVML, nvmlDeviceGetUtilizationRates. */
function utilizationOf({ condition }: SimulatedGpu, share: number): GpuUtilization {
  const told = condition.migDevices === undefined;
  return {
    gpuPercent: only(told, Math.min(100, round(share * 112))),
    memoryPercent: only(told, round(share * 45)),
    encoderPercent: only(told, 0),
    decoderPercent: only(told, 0),
  };
}

function eccOf({ model, condition }: SimulatedGpu): GpuEcc {
  return {
    enabled: true,
    pendingEnabled: true,
    correctableVolatileCount: 0,
    uncorrectableVolatileCount: 0,
    correctableAggregateCount: 0,
    uncorrectableAggregateCount: 0,
    sramUncorrectableVolatileCount: 0,
    sramUncorrectableAggregateCount: 0,
    sramThresholdExceeded: only(model.driver.tellsSramThreshold, false),
    ...condition.ecc,
  };
}

/** Ampere and newer remap rows, older boards retire pages, and with MIG enabled the driver tells neither. */
function rowRemapOf({ model, condition }: SimulatedGpu): GpuRowRemap {
  const remaps = model.memoryRepair === 'row-remap' && condition.migDevices === undefined;
  const retires = model.memoryRepair === 'page-retirement';
  return {
    correctableRowCount: only(remaps, 0),
    uncorrectableRowCount: only(remaps, 0),
    pending: only(remaps, false),
    failureOccurred: only(remaps, false),
    retiredPagesPending: only(retires, false),
    retiredPageCount: only(retires, 0),
    ...condition.rowRemap,
  };
}

function pcieOf(node: SimulatedNode, { model, condition, index }: SimulatedGpu): GpuPcie {
  return {
    currentGeneration: model.pcie.generation,
    maxGeneration: model.pcie.generation,
    currentLinkWidthLanes: model.pcie.lanes,
    maxLinkWidthLanes: model.pcie.lanes,
    replayCount: Math.floor(unitNoise(node.seed, index, 'replay') * 4),
    ...condition.pcie,
  };
}

function migOf({ model, condition, migDevices }: SimulatedGpu): GpuMig {
  const enabled = only(model.supportsMig, condition.migDevices !== undefined);
  return {
    enabled,
    pendingEnabled: enabled,
    devices: only(
      model.supportsMig,
      migDevices.map((device) => ({ ...device })),
    ),
  };
}

function recoveryOf({ model, condition }: SimulatedGpu): GpuRecovery {
  return { action: only(model.driver.tellsRecoveryAction, condition.recoveryAction ?? 'none') };
}
