export interface GpuFan {
  /** From 0. */
  readonly index: number;
  /** Of the maximum; can exceed 100. What the driver believes: a blocked fan still reports it. */
  readonly speedPercent: number | null;
  readonly targetSpeedPercent: number | null;
  readonly speedRevolutionsPerMinute: number | null;
}

export interface GpuThermal {
  readonly temperatureCelsius: number | null;
  readonly memoryTemperatureCelsius: number | null;
  readonly slowdownThresholdCelsius: number | null;
  readonly shutdownThresholdCelsius: number | null;
  readonly maxOperatingThresholdCelsius: number | null;
  readonly memoryMaxThresholdCelsius: number | null;
  /** Degrees left before the GPU throttles (T.Limit). Signed: negative is beyond the limit. Ada and newer. */
  readonly marginCelsius: number | null;
  /** T.Limit margin at which hardware slowdown starts, usually negative. */
  readonly slowdownMarginCelsius: number | null;
  /** T.Limit margin at which the GPU shuts down, usually negative. */
  readonly shutdownMarginCelsius: number | null;
  /** T.Limit margin at which the memory is at its maximum. Signed. */
  readonly memoryMaxMarginCelsius: number | null;
  /** T.Limit margin at which the software throttles, usually 0. Signed. */
  readonly maxOperatingMarginCelsius: number | null;
  /** Of the first fan. Null on passively cooled boards. */
  readonly fanSpeedPercent: number | null;
  /** Empty on passively cooled boards whose driver counts their fans. */
  readonly fans: readonly GpuFan[] | null;
}
