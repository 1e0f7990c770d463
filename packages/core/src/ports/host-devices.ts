import type { Gap } from '../domain/gap.ts';

/** A GPU as the PCI bus shows it, whether or not a driver has it. */
export interface PciGpu {
  /** `domain:bus:device.function`, lower case, as sysfs prints it. */
  readonly pciAddress: string;
  /** Four hexadecimal digits: `10de` is NVIDIA. */
  readonly vendorId: string;
  readonly deviceId: string;
  /** Class 0x0300 or 0x0302. */
  readonly deviceClass: 'vga' | '3d';
  /** The kernel driver bound to it: `nvidia`, `vfio-pci`, `nouveau`. Null when none is. */
  readonly driver: string | null;
  /** False when its configuration space reads as all ones: it does not answer on the bus. Null when that could not be read. */
  readonly respondsOnBus: boolean | null;
  /** Null when the machine has no NUMA nodes or does not tell. */
  readonly numaNode: number | null;
  readonly currentSpeedGigatransfersPerSecond: number | null;
  readonly maxSpeedGigatransfersPerSecond: number | null;
  readonly currentLinkWidthLanes: number | null;
  readonly maxLinkWidthLanes: number | null;
}

/** `/dev/nvidiaN`. */
export interface GpuDeviceNode {
  readonly path: string;
  readonly minorNumber: number;
  /** May this process open it for reading and writing? By permission bits, it is not opened. */
  readonly accessible: boolean;
}

export interface HostDevicesReading {
  /** In address order; null when the bus could not be read. */
  readonly pciGpus: readonly PciGpu[] | null;
  /** In minor-number order; null when /dev could not be read. */
  readonly deviceNodes: readonly GpuDeviceNode[] | null;
  readonly gaps: readonly Gap[];
}

/** The port to what the machine knows of its GPUs without asking their driver. */
export interface HostDevices {
  /** Never asks the driver, so it answers while the driver hangs. Rejects only with `GpuError` TIMEOUT or CANCELLED when `signal` aborts. */
  read(signal: AbortSignal): Promise<HostDevicesReading>;
}
