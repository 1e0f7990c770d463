export interface GpuPower {
  /** The driver's default power reading: a one-second average on Ampere and newer (but GA100), instantaneous before. */
  readonly drawWatts: number | null;
  readonly instantDrawWatts: number | null;
  readonly averageDrawWatts: number | null;
  /** The lowest of the requested limit and what hardware and firmware impose. */
  readonly enforcedLimitWatts: number | null;
  /** What an administrator set. */
  readonly requestedLimitWatts: number | null;
  readonly defaultLimitWatts: number | null;
  readonly minLimitWatts: number | null;
  readonly maxLimitWatts: number | null;
  /** Since the driver was loaded. */
  readonly energyJoules: number | null;
}
