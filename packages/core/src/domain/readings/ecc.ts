export const eccLocations = [
  'l1-cache',
  'l2-cache',
  'dram',
  'register-file',
  'texture-memory',
  'texture-shared-memory',
  'cbu',
  'sram',
] as const;
export type EccLocation = (typeof eccLocations)[number];

export interface EccLocationCounts {
  readonly location: EccLocation;
  readonly correctableVolatileCount: number | null;
  readonly uncorrectableVolatileCount: number | null;
  readonly correctableAggregateCount: number | null;
  readonly uncorrectableAggregateCount: number | null;
}

/** Volatile: since the driver was loaded. Aggregate: over the life of the board. */
export interface GpuEcc {
  readonly enabled: boolean | null;
  readonly pendingEnabled: boolean | null;
  readonly correctableVolatileCount: number | null;
  readonly uncorrectableVolatileCount: number | null;
  readonly correctableAggregateCount: number | null;
  readonly uncorrectableAggregateCount: number | null;
  readonly sramCorrectableVolatileCount: number | null;
  readonly sramCorrectableAggregateCount: number | null;
  readonly sramUncorrectableVolatileCount: number | null;
  readonly sramUncorrectableAggregateCount: number | null;
  /** The driver's own field-diagnostic signal. */
  readonly sramThresholdExceeded: boolean | null;
  /** Lifetime uncorrectable SRAM errors by source. */
  readonly sramUncorrectableL2AggregateCount: number | null;
  readonly sramUncorrectableSmAggregateCount: number | null;
  readonly sramUncorrectablePcieAggregateCount: number | null;
  readonly sramUncorrectableMicrocontrollerAggregateCount: number | null;
  readonly sramUncorrectableOtherAggregateCount: number | null;
  /** The locations for which this GPU counts at all; which those are differs by product. */
  readonly locations: readonly EccLocationCounts[] | null;
}

/** How many memory banks have how many spare rows left. `none`: the next bad row of that bank cannot be remapped. */
export interface RowRemapHistogram {
  readonly maxBankCount: number;
  readonly highBankCount: number;
  readonly partialBankCount: number;
  readonly lowBankCount: number;
  readonly noneBankCount: number;
}

/** Ampere and newer remap rows; older products retire pages. */
export interface GpuRowRemap {
  readonly correctableRowCount: number | null;
  readonly uncorrectableRowCount: number | null;
  /** A remap waits for the next GPU reset. */
  readonly pending: boolean | null;
  /** A remap has failed at some time. */
  readonly failureOccurred: boolean | null;
  readonly histogram: RowRemapHistogram | null;
  readonly retiredPagesPending: boolean | null;
  readonly retiredPageCount: number | null;
  readonly singleBitRetiredPageCount: number | null;
  readonly doubleBitRetiredPageCount: number | null;
  /** A repair of a memory channel, or of a processing cluster (TPC), waits for the next reset. */
  readonly channelRepairPending: boolean | null;
  readonly tpcRepairPending: boolean | null;
  /** Memory is broken beyond what remapping can mend. */
  readonly memoryUnrepairable: boolean | null;
}
