/** The driver's own advice. Source: NVML field 230 (recovery action), NVML 12.8 and newer; the last is new in 13.x. */
export const recoveryActions = [
  'none',
  'reset',
  'reboot',
  'drain-p2p',
  'drain-and-reset',
  'recover-imex-domain',
] as const;
export type RecoveryAction = (typeof recoveryActions)[number];

export interface GpuRecovery {
  readonly action: RecoveryAction | null;
}
