/** Why a reading could not be had. A gap stands in for every `null`: missing is never zero and never healthy. */
export const gapReasons = [
  'unsupported',
  'no-permission',
  'not-observable',
  'gpu-lost',
  'timeout',
  'error',
] as const;
export type GapReason = (typeof gapReasons)[number];

export interface Gap {
  /** Index of the GPU; absent for node-wide gaps. */
  readonly gpu?: number;
  /** Dotted path of the reading, for example `ecc.uncorrectableVolatileCount`, or a section (`ecc`), or a source (`kernelLog`). A summary lists sections: `ecc, pcie`. */
  readonly field: string;
  readonly reason: GapReason;
  /** What was seen: a return code, an errno, a missing symbol. */
  readonly detail: string;
}
