import type { Device, Leaves } from '../device.ts';

export function readPcie(device: Device): Leaves<'pcie'> {
  return {
    currentGeneration: device.u32('nvmlDeviceGetCurrPcieLinkGeneration'),
    maxGeneration: device.u32('nvmlDeviceGetMaxPcieLinkGeneration'),
    currentLinkWidthLanes: device.u32('nvmlDeviceGetCurrPcieLinkWidth'),
    maxLinkWidthLanes: device.u32('nvmlDeviceGetMaxPcieLinkWidth'),
    replayCount: device.u32('nvmlDeviceGetPcieReplayCounter'),
  } as Leaves<'pcie'>;
}
