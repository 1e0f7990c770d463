import type { AddressingMode, FabricHealthSummary } from '@k8s-gpu-mcp/core';

/**
 * What is fixed about a product. Facts come from the named capture; `typical` holds round numbers of our own that keep the simulated
 * readings near what such a board shows idle and under load.
 */
export interface GpuModel {
  readonly name: string;
  /** Where the capture with these facts was published. */
  readonly source: string;
  readonly architecture: 'turing' | 'ampere' | 'ada' | 'hopper' | 'blackwell';
  readonly computeCapability: string;
  readonly boardPartNumber: string;
  readonly vbiosVersion: string;
  readonly inforomVersion: string;
  readonly inforomOemVersion: string;
  readonly inforomEccVersion: string;
  readonly brand: string;
  /** Four hexadecimal digits, as the PCI bus shows it. */
  readonly pciDeviceId: string;
  /** `by-position`: counted from 1 on a baseboard. Otherwise what every such board says. */
  readonly moduleId: 'by-position' | number;
  readonly hostId: number | null;
  readonly coreCount: number;
  readonly memoryBusWidthBits: number;
  readonly addressingMode: AddressingMode | null;
  readonly accountingEnabled: boolean;
  /** The driver of the capture: what a board can tell depends on it. */
  readonly driver: {
    readonly version: string;
    readonly cudaVersion: string;
    /** Built from the open sources: it introduces itself differently in the kernel log. */
    readonly isOpen: boolean;
    readonly tellsInstantPower: boolean;
    readonly tellsSramThreshold: boolean;
    readonly tellsRecoveryAction: boolean;
    /** What came with NVML 12.x: driver branch, PCIe error counters, SRAM error sources, repairs that wait for a reset. */
    readonly tellsRecentReadings: boolean;
  };
  readonly memory: {
    readonly totalMebibytes: number;
    readonly reservedMebibytes: number;
    readonly bar1Mebibytes: number;
  };
  readonly power: { readonly defaultWatts: number; readonly minWatts: number; readonly maxWatts: number };
  readonly clocks: {
    readonly maxSmMegahertz: number;
    readonly maxMemoryMegahertz: number;
    readonly maxVideoMegahertz: number;
    /** Null with drivers that call the reading deprecated. */
    readonly application: { readonly graphicsMegahertz: number; readonly memoryMegahertz: number } | null;
  };
  readonly thermal: AbsoluteThermal | MarginThermal;
  readonly hasMemoryTemperature: boolean;
  readonly pcie: { readonly generation: number; readonly lanes: number };
  readonly memoryRepair: 'row-remap' | 'page-retirement';
  /** Banks with spare rows; null on boards that retire pages. */
  readonly remapBankCount: number | null;
  readonly tellsUnrepairableMemory: boolean;
  readonly supportsMig: boolean;
  /** Empty where MIG is not supported. */
  readonly migProfiles: readonly MigProfileFacts[];
  readonly nvlink: NvLinkFacts | null;
  readonly fabric: FabricFacts | null;
  /** Tells what the engines do (NVML GPM). */
  readonly supportsProfiling: boolean;
  readonly typical: {
    readonly idleWatts: number;
    readonly idleSmMegahertz: number;
    readonly idleCelsius: number;
    readonly loadCelsius: number;
  };
}

/** A way to divide the GPU, with memory slices as the unit of placement. */
export interface MigProfileFacts {
  readonly id: number;
  readonly name: string;
  readonly gpuSliceCount: number;
  readonly memoryMebibytes: number;
  readonly multiprocessorCount: number;
  readonly maxInstanceCount: number;
  readonly placementStarts: readonly number[];
  readonly placementSize: number;
}

/** Links to the NVSwitches of a baseboard. */
export interface NvLinkFacts {
  readonly version: string;
  readonly linkCount: number;
  readonly speedMegabytesPerSecond: number;
  readonly switchCount: number;
  /** The error counters and bit error rates that came with NVLink 5, in place of the older ones. */
  readonly countsBitErrors: boolean;
}

/** What the driver tells of the registration with the NVLink fabric. */
export interface FabricFacts {
  readonly healthSummary: FabricHealthSummary;
  readonly accessTimeoutRecovery: boolean | null;
}

/** Boards that tell thresholds as temperatures. */
export interface AbsoluteThermal {
  readonly kind: 'absolute';
  readonly slowdownCelsius: number;
  readonly shutdownCelsius: number;
  readonly maxOperatingCelsius: number;
  readonly memoryMaxCelsius: number | null;
}

/** Boards that tell the distance to a limit (T.Limit). The limit itself is temperature + margin of the capture. */
export interface MarginThermal {
  readonly kind: 'margin';
  readonly limitCelsius: number;
  readonly slowdownMarginCelsius: number;
  readonly shutdownMarginCelsius: number;
  readonly maxOperatingMarginCelsius: number;
  readonly memoryMaxMarginCelsius: number | null;
}
