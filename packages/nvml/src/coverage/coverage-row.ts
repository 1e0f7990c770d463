import type { GapReason, GpuSection, GpuSectionReadings } from '@k8s-gpu-mcp/core';
import { type FunctionName, functions } from '../abi/functions.ts';

/** A function, or a field id of nvmlDeviceGetFieldValues under its name in the header. */
export type CoverageCall = FunctionName | `field ${number} (NVML_FI_${string})`;

/** How one reading is had, and what is said where it cannot be had. */
export interface CoverageRow {
  readonly call: CoverageCall;
  /** First release of the header (CUDA major.minor) with it; 11.3 stands for that and anything older. */
  readonly since: string;
  /** Calls without which `call` and every fallback are of no use (opening a list, taking a sample). */
  readonly needs?: readonly FunctionName[];
  /** Other readings, `section.leaf`, without which `call` cannot be asked. */
  readonly after?: readonly `${GpuSection}.${string}`[];
  /** Asked in this order where the driver has not got `call`. */
  readonly fallback?: readonly CoverageCall[];
  /** What a driver without any of the calls makes of the reading. */
  readonly absence: { readonly reason: GapReason; readonly means: string };
  readonly note?: string;
}

type LeafOf<S extends GpuSection> = keyof NonNullable<GpuSectionReadings[S]>;

/** Every leaf of a section, none forgotten; members of a list leaf may have rows of their own (`fans.speedPercent`). */
export type SectionCoverage<S extends GpuSection> = { readonly [Leaf in LeafOf<S>]: CoverageRow } & {
  readonly [member: `${string}.${string}`]: CoverageRow;
};

export interface RowOptions {
  readonly needs?: readonly FunctionName[];
  readonly after?: CoverageRow['after'] & {};
  readonly fallback?: readonly CoverageCall[];
  /** `unsupported` unless given. */
  readonly reason?: GapReason;
  /** What the gap means to a reader. */
  readonly means?: string;
  readonly note?: string;
}

/** A reading that comes from a function of its own. */
export function byFunction(call: FunctionName, options: RowOptions = {}): CoverageRow {
  return row(call, functions[call].since, options);
}

/** A reading that comes from nvmlDeviceGetFieldValues, which every driver exports; the id is what it may not know. */
export function byField(
  id: number,
  name: `NVML_FI_${string}`,
  since: string,
  options: RowOptions = {},
): CoverageRow {
  return row(`field ${id} (${name})`, since, options);
}

function row(call: CoverageCall, since: string, options: RowOptions): CoverageRow {
  const { reason = 'unsupported', means = 'not offered by this driver', ...rest } = options;
  return { call, since, absence: { reason, means }, ...rest };
}
