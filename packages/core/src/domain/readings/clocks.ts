/** Why clocks are below the maximum. Idle and a power cap under load are normal. */
export const clockEventReasons = [
  'idle',
  'application-clocks',
  'software-power-cap',
  'hardware-slowdown',
  'sync-boost',
  'software-thermal-slowdown',
  'hardware-thermal-slowdown',
  'hardware-power-brake',
  'display-clocks',
] as const;
export type ClockEventReason = (typeof clockEventReasons)[number];

export interface GpuClocks {
  readonly graphicsClockMegahertz: number | null;
  readonly smClockMegahertz: number | null;
  readonly memoryClockMegahertz: number | null;
  readonly videoClockMegahertz: number | null;
  readonly maxGraphicsClockMegahertz: number | null;
  readonly maxSmClockMegahertz: number | null;
  readonly maxMemoryClockMegahertz: number | null;
  readonly maxVideoClockMegahertz: number | null;
  /** What applications run at when nothing holds them back; an administrator may have set it. */
  readonly applicationGraphicsClockMegahertz: number | null;
  readonly applicationMemoryClockMegahertz: number | null;
  readonly defaultApplicationGraphicsClockMegahertz: number | null;
  readonly defaultApplicationMemoryClockMegahertz: number | null;
  /** The highest graphics clock an administrator allows. */
  readonly maxBoostGraphicsClockMegahertz: number | null;
  /** `P0` (fastest) to `P15`. */
  readonly performanceState: string | null;
  /** At the moment of reading; empty when clocks are not held back. */
  readonly eventReasons: readonly ClockEventReason[] | null;
  /** The reasons that this GPU can report at all. */
  readonly supportedEventReasons: readonly ClockEventReason[] | null;
}

/**
 * How long clocks were held below what was asked for, by cause, since the driver was loaded. Monotonic: two readings give the share of
 * the time between them (duty cycle).
 */
export interface GpuViolations {
  readonly powerMicroseconds: number | null;
  readonly thermalMicroseconds: number | null;
  readonly syncBoostMicroseconds: number | null;
  readonly boardLimitMicroseconds: number | null;
  readonly lowUtilizationMicroseconds: number | null;
  readonly reliabilityMicroseconds: number | null;
  /** Below the application clocks, for whatever cause. */
  readonly applicationClocksMicroseconds: number | null;
  /** Below the base clocks, for whatever cause. */
  readonly baseClocksMicroseconds: number | null;
}
