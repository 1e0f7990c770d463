import { fieldIds, pcieCounters } from '../abi/constants.ts';
import { decodePcieSpeed, type Reading } from '../decode/values.ts';
import { type Device, firstReading, type Leaves, mapReading } from '../device/device.ts';
import { readNamedFields } from '../device/fields.ts';

const fieldsOfSection = {
  replay: fieldIds.pcieReplay,
  replayRollover: fieldIds.pcieReplayRollover,
  linkRecovery: fieldIds.pcieLinkRecovery,
  correctable: fieldIds.pcieCorrectableErrors,
  nonFatal: fieldIds.pcieNonFatalErrors,
  fatal: fieldIds.pcieFatalErrors,
  unsupportedRequest: fieldIds.pcieUnsupportedRequests,
  badTlp: fieldIds.pcieBadTlps,
  badDllp: fieldIds.pcieBadDllps,
  lcrc: fieldIds.pcieLcrcErrors,
  lane: fieldIds.pcieLaneErrors,
  receiver: fieldIds.pcieReceiverErrors,
  naksSent: fieldIds.pcieNaksSent,
  naksReceived: fieldIds.pcieNaksReceived,
};

export function readPcie(device: Device): Leaves<'pcie'> {
  const currentGeneration = device.u32('nvmlDeviceGetCurrPcieLinkGeneration');
  const maxGeneration = device.u32('nvmlDeviceGetMaxPcieLinkGeneration');
  const field = readNamedFields(device, fieldsOfSection);
  return {
    currentGeneration,
    maxGeneration,
    deviceMaxGeneration: device.u32('nvmlDeviceGetGpuMaxPcieLinkGeneration'),
    currentLinkWidthLanes: device.u32('nvmlDeviceGetCurrPcieLinkWidth'),
    maxLinkWidthLanes: device.u32('nvmlDeviceGetMaxPcieLinkWidth'),
    currentSpeedMegatransfersPerSecond: readSpeed(device, 'nvmlDeviceGetPcieSpeed', currentGeneration),
    maxSpeedMegatransfersPerSecond: readSpeed(device, 'nvmlDeviceGetPcieLinkMaxSpeed', maxGeneration),
    replayCount: firstReading(field('replay'), () => device.u32('nvmlDeviceGetPcieReplayCounter')),
    replayRolloverCount: field('replayRollover'),
    linkRecoveryCount: field('linkRecovery'),
    correctableErrorCount: field('correctable'),
    nonFatalErrorCount: field('nonFatal'),
    fatalErrorCount: field('fatal'),
    unsupportedRequestCount: field('unsupportedRequest'),
    badTlpCount: field('badTlp'),
    badDllpCount: field('badDllp'),
    lcrcErrorCount: field('lcrc'),
    laneErrorCount: field('lane'),
    receiverErrorCount: field('receiver'),
    naksSentCount: field('naksSent'),
    naksReceivedCount: field('naksReceived'),
  };
}

export function readPcieTraffic(device: Device): Leaves<'pcieTraffic'> {
  const throughput = (counter: number) => device.u32At('nvmlDeviceGetPcieThroughput', counter);
  return {
    transmitKilobytesPerSecond: throughput(pcieCounters.transmit),
    receiveKilobytesPerSecond: throughput(pcieCounters.receive),
  };
}

/** A generation has one speed, so the generation tells it where the driver does not. */
function readSpeed(
  device: Device,
  name: 'nvmlDeviceGetPcieSpeed' | 'nvmlDeviceGetPcieLinkMaxSpeed',
  generation: Reading<number>,
): Reading<number> {
  return firstReading(
    mapReading(device.u32(name), (value) => decodePcieSpeed(name, value)),
    () => mapReading(generation, (value) => decodePcieSpeed('PCIe generation', value)),
  );
}
