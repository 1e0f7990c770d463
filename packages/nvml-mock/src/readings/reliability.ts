import type { EccLocationCounts, GpuEcc, GpuRowRemap, RowRemapHistogram } from '@k8s-gpu-mcp/core';
import type { SimulatedGpu } from '../simulated-node.ts';
import { only } from './workload.ts';

export function eccOf({ model, condition }: SimulatedGpu): GpuEcc {
  const recent = only(model.driver.tellsSramThreshold, 0);
  const totals = {
    correctableVolatileCount: 0,
    uncorrectableVolatileCount: 0,
    correctableAggregateCount: 0,
    uncorrectableAggregateCount: 0,
    sramCorrectableVolatileCount: 0,
    sramCorrectableAggregateCount: 0,
    sramUncorrectableVolatileCount: 0,
    sramUncorrectableAggregateCount: 0,
    ...condition.ecc,
  };
  const sram: EccLocationCounts = {
    location: 'sram',
    correctableVolatileCount: totals.sramCorrectableVolatileCount,
    uncorrectableVolatileCount: totals.sramUncorrectableVolatileCount,
    correctableAggregateCount: totals.sramCorrectableAggregateCount,
    uncorrectableAggregateCount: totals.sramUncorrectableAggregateCount,
  };
  const rest = (total: number | null, inSram: number | null) => (total ?? 0) - (inSram ?? 0);
  return {
    enabled: true,
    pendingEnabled: true,
    sramThresholdExceeded: only(model.driver.tellsSramThreshold, false),
    sramUncorrectableL2AggregateCount: recent,
    sramUncorrectableSmAggregateCount: recent,
    sramUncorrectablePcieAggregateCount: recent,
    sramUncorrectableMicrocontrollerAggregateCount: recent,
    sramUncorrectableOtherAggregateCount: recent,
    // From Turing on there are two locations.
    locations: [
      {
        location: 'dram',
        correctableVolatileCount: rest(totals.correctableVolatileCount, sram.correctableVolatileCount),
        uncorrectableVolatileCount: rest(totals.uncorrectableVolatileCount, sram.uncorrectableVolatileCount),
        correctableAggregateCount: rest(totals.correctableAggregateCount, sram.correctableAggregateCount),
        uncorrectableAggregateCount: rest(
          totals.uncorrectableAggregateCount,
          sram.uncorrectableAggregateCount,
        ),
      },
      sram,
    ],
    ...totals,
  };
}

/** Ampere and newer remap rows, older boards retire pages, and with MIG enabled the driver tells neither. */
export function rowRemapOf({ model, condition }: SimulatedGpu): GpuRowRemap {
  const told = condition.migDevices === undefined;
  const remaps = model.memoryRepair === 'row-remap' && told;
  const retires = model.memoryRepair === 'page-retirement';
  const retired = condition.rowRemap?.retiredPageCount ?? 0;
  return {
    correctableRowCount: only(remaps, 0),
    uncorrectableRowCount: only(remaps, 0),
    pending: only(remaps, false),
    failureOccurred: only(remaps, false),
    histogram: only(remaps, histogramOf(model.remapBankCount ?? 0, condition.rowRemap)),
    retiredPagesPending: only(retires, false),
    retiredPageCount: only(retires, retired),
    singleBitRetiredPageCount: only(retires, 0),
    doubleBitRetiredPageCount: only(retires, retired),
    channelRepairPending: only(told && model.driver.tellsRecentReadings, false),
    tpcRepairPending: only(told && model.driver.tellsRecentReadings, false),
    memoryUnrepairable: only(told && model.tellsUnrepairableMemory, false),
    ...condition.rowRemap,
  };
}

/** One bank has the broken rows: it has some spare ones left, or none once a remap has failed. */
function histogramOf(bankCount: number, remap: Partial<GpuRowRemap> = {}): RowRemapHistogram {
  const rows = (remap.correctableRowCount ?? 0) + (remap.uncorrectableRowCount ?? 0);
  const failed = remap.failureOccurred === true;
  return {
    maxBankCount: rows > 0 ? bankCount - 1 : bankCount,
    highBankCount: rows > 0 && !failed ? 1 : 0,
    partialBankCount: 0,
    lowBankCount: 0,
    noneBankCount: failed ? 1 : 0,
  };
}
