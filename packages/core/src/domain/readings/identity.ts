export const computeModes = ['default', 'exclusive-thread', 'prohibited', 'exclusive-process'] as const;
export type ComputeMode = (typeof computeModes)[number];

export const virtualizationModes = ['none', 'passthrough', 'vgpu', 'host-vgpu', 'host-vsga'] as const;
export type VirtualizationMode = (typeof virtualizationModes)[number];

/** How GPU and CPU share an address space: not at all, by software (HMM), or by hardware translation (ATS). */
export const addressingModes = ['none', 'hmm', 'ats'] as const;
export type AddressingMode = (typeof addressingModes)[number];

export interface GpuIdentity {
  readonly name: string | null;
  readonly uuid: string | null;
  readonly serial: string | null;
  readonly boardPartNumber: string | null;
  /** The driver's number for the board, in hexadecimal with `0x`; equal for GPUs on one board. */
  readonly boardId: string | null;
  readonly multiGpuBoard: boolean | null;
  /** Position on a baseboard (HGX): the number a technician finds on it. */
  readonly moduleId: number | null;
  /** Rack-scale products only: where the compute tray is. */
  readonly chassisSerial: string | null;
  readonly slotNumber: number | null;
  readonly trayIndex: number | null;
  readonly hostId: number | null;
  /** Vendor's product line in lower case: `tesla`, `geforce-rtx`, `nvidia-rtx`, `nvidia`. */
  readonly brand: string | null;
  readonly vbiosVersion: string | null;
  readonly inforomVersion: string | null;
  readonly inforomOemVersion: string | null;
  readonly inforomEccVersion: string | null;
  readonly inforomPowerVersion: string | null;
  /** Vendor's family name in lower case: `turing`, `ampere`, `ada`, `hopper`, `blackwell`. */
  readonly architecture: string | null;
  /** `major.minor`, for example `9.0`. */
  readonly computeCapability: string | null;
  readonly coreCount: number | null;
  readonly memoryBusWidthBits: number | null;
  /** N in /dev/nvidiaN. */
  readonly minorNumber: number | null;
  readonly persistenceModeEnabled: boolean | null;
  readonly computeMode: ComputeMode | null;
  readonly virtualizationMode: VirtualizationMode | null;
  readonly addressingMode: AddressingMode | null;
  /** Firmware of the GPU system processor, which runs most of the driver on newer products. */
  readonly gspFirmwareVersion: string | null;
  readonly gspFirmwareEnabled: boolean | null;
}
