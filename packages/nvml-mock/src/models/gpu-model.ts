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
  /** The driver of the capture: what a board can tell depends on it. */
  readonly driver: {
    readonly version: string;
    readonly cudaVersion: string;
    /** Built from the open sources: it introduces itself differently in the kernel log. */
    readonly isOpen: boolean;
    readonly tellsInstantPower: boolean;
    readonly tellsSramThreshold: boolean;
    readonly tellsRecoveryAction: boolean;
  };
  readonly memory: { readonly totalMebibytes: number; readonly reservedMebibytes: number };
  readonly power: { readonly defaultWatts: number; readonly minWatts: number; readonly maxWatts: number };
  readonly clocks: { readonly maxSmMegahertz: number; readonly maxMemoryMegahertz: number };
  readonly thermal: AbsoluteThermal | MarginThermal;
  readonly hasMemoryTemperature: boolean;
  readonly pcie: { readonly generation: number; readonly lanes: number };
  readonly memoryRepair: 'row-remap' | 'page-retirement';
  readonly supportsMig: boolean;
  readonly typical: {
    readonly idleWatts: number;
    readonly idleSmMegahertz: number;
    readonly idleCelsius: number;
    readonly loadCelsius: number;
  };
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
}
