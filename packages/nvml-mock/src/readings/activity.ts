import {
  type ClockEventReason,
  clockEventReasons,
  type GpuClocks,
  type GpuPcie,
  type GpuPcieTraffic,
  type GpuPower,
  type GpuProfiling,
  type GpuThermal,
  type GpuUtilization,
  type GpuViolations,
} from '@k8s-gpu-mcp/core';
import { unitNoise, wave } from '../noise.ts';
import type { SimulatedGpu, SimulatedNode } from '../simulated-node.ts';
import { only, round, type Workload } from './workload.ts';

export function thermalAt(
  node: SimulatedNode,
  gpu: SimulatedGpu,
  share: number,
  seconds: number,
): GpuThermal {
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
    memoryMaxMarginCelsius: margin?.memoryMaxMarginCelsius ?? null,
    maxOperatingMarginCelsius: margin?.maxOperatingMarginCelsius ?? null,
    // All models are cooled by their chassis: the driver counts no fans.
    fanSpeedPercent: null,
    fans: [],
  };
}

export function powerAt(node: SimulatedNode, gpu: SimulatedGpu, load: Workload, seconds: number): GpuPower {
  const { power, typical, driver } = gpu.model;
  const { heldBack, load: givenLoad } = gpu.condition;
  // Under a load that does not yield, lower clocks are what saves power.
  const slowed = givenLoad === undefined ? 1 : (heldBack?.smClockShare ?? 1);
  const span = (power.defaultWatts - typical.idleWatts) * slowed;
  const draw = typical.idleWatts + span * load.at(seconds);
  const sinceBoot = node.bootedAt / 1000;
  const ripple = 0.01 * draw * wave(7, node.seed, gpu.index, 'instant').at(seconds);
  return {
    drawWatts: round(draw, 2),
    instantDrawWatts: only(driver.tellsInstantPower, round(draw + ripple, 2)),
    averageDrawWatts: only(driver.tellsInstantPower, round(draw, 2)),
    enforcedLimitWatts: power.defaultWatts,
    requestedLimitWatts: power.defaultWatts,
    defaultLimitWatts: power.defaultWatts,
    minLimitWatts: power.minWatts,
    maxLimitWatts: power.maxWatts,
    energyJoules: round(
      typical.idleWatts * (seconds - sinceBoot) + span * load.integral(sinceBoot, seconds),
      3,
    ),
  };
}

export function clocksOf({ model, condition }: SimulatedGpu): GpuClocks {
  const { maxSmMegahertz, maxMemoryMegahertz, maxVideoMegahertz, application } = model.clocks;
  const { idle, heldBack } = condition;
  const reasons: readonly ClockEventReason[] = idle ? ['idle'] : [...(heldBack?.reasons ?? [])];
  const share = heldBack?.smClockShare ?? 1;
  const smClock = idle ? model.typical.idleSmMegahertz : round(maxSmMegahertz * share);
  return {
    graphicsClockMegahertz: smClock,
    smClockMegahertz: smClock,
    memoryClockMegahertz: maxMemoryMegahertz,
    videoClockMegahertz: idle ? round(maxVideoMegahertz / 2) : round(maxVideoMegahertz * share),
    maxGraphicsClockMegahertz: maxSmMegahertz,
    maxSmClockMegahertz: maxSmMegahertz,
    maxMemoryClockMegahertz: maxMemoryMegahertz,
    maxVideoClockMegahertz: maxVideoMegahertz,
    applicationGraphicsClockMegahertz: application?.graphicsMegahertz ?? null,
    applicationMemoryClockMegahertz: application?.memoryMegahertz ?? null,
    defaultApplicationGraphicsClockMegahertz: application?.graphicsMegahertz ?? null,
    defaultApplicationMemoryClockMegahertz: application?.memoryMegahertz ?? null,
    maxBoostGraphicsClockMegahertz: maxSmMegahertz,
    performanceState: 'P0',
    eventReasons: reasons,
    supportedEventReasons: clockEventReasons.filter((reason) => reason !== 'display-clocks'),
  };
}

/** Since when clocks are held back, before the start of the simulation. */
const heldBackSeconds = 3_600;

/** Which counter grows for which reason: all the time that the reason holds. Source: NVML, nvmlPerfPolicyType_t. */
const causes = {
  powerMicroseconds: ['software-power-cap'],
  thermalMicroseconds: ['software-thermal-slowdown', 'hardware-thermal-slowdown'],
  syncBoostMicroseconds: ['sync-boost'],
  boardLimitMicroseconds: ['hardware-power-brake'],
} as const satisfies Partial<Record<keyof GpuViolations, readonly ClockEventReason[]>>;

export function violationsAt(node: SimulatedNode, { condition }: SimulatedGpu, now: number): GpuViolations {
  const { heldBack } = condition;
  const held = heldBack ? Math.max(0, now - node.startedAt + heldBackSeconds * 1000) * 1000 : 0;
  const by = (counter: keyof typeof causes) => {
    const reasons: readonly ClockEventReason[] = causes[counter];
    return heldBack?.reasons.some((reason) => reasons.includes(reason)) ? held : 0;
  };
  return {
    powerMicroseconds: by('powerMicroseconds'),
    thermalMicroseconds: by('thermalMicroseconds'),
    syncBoostMicroseconds: by('syncBoostMicroseconds'),
    boardLimitMicroseconds: by('boardLimitMicroseconds'),
    lowUtilizationMicroseconds: 0,
    reliabilityMicroseconds: 0,
    applicationClocksMicroseconds: held,
    // Base clocks are about two thirds of the highest.
    baseClocksMicroseconds: heldBack && heldBack.smClockShare < 0.66 ? held : 0,
  };
}

/** The driver tells no utilization while MIG is enabled. Source: NVML, nvmlDeviceGetUtilizationRates. */
export function utilizationOf({ model, condition }: SimulatedGpu, share: number): GpuUtilization {
  const told = condition.migDevices === undefined;
  // Its T4 capture has neither of the later two.
  const later = told && model.architecture !== 'turing';
  return {
    gpuPercent: only(told, Math.min(100, round(share * 112))),
    memoryPercent: only(told, round(share * 45)),
    encoderPercent: only(told, 0),
    decoderPercent: only(told, 0),
    jpegPercent: only(later, 0),
    opticalFlowPercent: only(later, 0),
  };
}

/** Whether the engines of this GPU can be watched: not all products offer it, and with MIG only instance by instance. */
export const isProfiled = ({ model, condition }: SimulatedGpu) =>
  model.supportsProfiling && condition.migDevices === undefined;

/** A training job in half precision: shares of the engines that such a job shows. */
export function profilingBetween(
  gpu: SimulatedGpu,
  load: Workload,
  from: number | undefined,
  to: number,
): GpuProfiling {
  const told = isProfiled(gpu) && from !== undefined && to > from;
  const share = told ? load.integral(from / 1000, to / 1000) / ((to - from) / 1000) : 0;
  const percent = (ofLoad: number) => only(told, Math.min(100, round(share * ofLoad, 1)));
  const { nvlink } = gpu.model;
  const linkMegabytes = nvlink ? nvlink.linkCount * nvlink.speedMegabytesPerSecond : 0;
  return {
    intervalMilliseconds: told ? to - from : null,
    graphicsActivePercent: percent(110),
    smActivePercent: percent(96),
    smOccupancyPercent: percent(38),
    tensorActivePercent: percent(61),
    memoryBandwidthPercent: percent(44),
    integerActivePercent: percent(17),
    fp64ActivePercent: percent(0),
    fp32ActivePercent: percent(12),
    fp16ActivePercent: percent(7),
    pcieTransmitMegabytesPerSecond: only(told, round(share * 640, 1)),
    pcieReceiveMegabytesPerSecond: only(told, round(share * 1_850, 1)),
    nvlinkTransmitMegabytesPerSecond: only(told && nvlink !== null, round(share * 0.3 * linkMegabytes, 1)),
    nvlinkReceiveMegabytesPerSecond: only(told && nvlink !== null, round(share * 0.3 * linkMegabytes, 1)),
  };
}

/** Per lane and second, by generation. Source: PCI Express base specification. */
const megatransfers: Readonly<Record<number, number>> = {
  1: 2_500,
  2: 5_000,
  3: 8_000,
  4: 16_000,
  5: 32_000,
};

export function pcieOf(node: SimulatedNode, { model, condition, index }: SimulatedGpu): GpuPcie {
  const { generation, lanes } = model.pcie;
  const speed = megatransfers[generation] ?? null;
  const counted = only(model.driver.tellsRecentReadings, 0);
  return {
    currentGeneration: generation,
    maxGeneration: generation,
    deviceMaxGeneration: only(model.architecture !== 'turing', generation),
    currentLinkWidthLanes: lanes,
    maxLinkWidthLanes: lanes,
    currentSpeedMegatransfersPerSecond: speed,
    maxSpeedMegatransfersPerSecond: speed,
    replayCount: Math.floor(unitNoise(node.seed, index, 'replay') * 4),
    replayRolloverCount: 0,
    linkRecoveryCount: counted,
    correctableErrorCount: counted,
    nonFatalErrorCount: counted,
    fatalErrorCount: counted,
    unsupportedRequestCount: counted,
    badTlpCount: counted,
    badDllpCount: counted,
    lcrcErrorCount: counted,
    laneErrorCount: counted,
    receiverErrorCount: counted,
    naksSentCount: counted,
    naksReceivedCount: counted,
    ...condition.pcie,
  };
}

export function pcieTrafficOf(share: number): GpuPcieTraffic {
  return {
    transmitKilobytesPerSecond: round(500 + share * 655_000),
    receiveKilobytesPerSecond: round(500 + share * 1_890_000),
  };
}
