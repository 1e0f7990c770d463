import type { EventSeverity } from '../domain/event.ts';
import type { RecoveryAction } from '../domain/readings/recovery.ts';
import type { Action } from '../domain/verdict.ts';

/** What a new recovery action, as Xid 154 prints it, asks for. */
export interface RecoveryMeaning {
  readonly recovery: RecoveryAction;
  readonly severity: EventSeverity;
  readonly action: Action;
}

/**
 * By the number, never by the text in brackets: 1 is printed as `GPU Reset Required` or `PF FLR`, 2 as `Node Reboot Required` or
 * `OS Reboot`, depending on the driver.
 * Source: open-gpu-kernel-modules ctrl2080gpu.h (recovery action enum), NVML recovery actions 6 and 7.
 */
export const recoveryMeanings: Readonly<Record<number, RecoveryMeaning>> = {
  0: { recovery: 'none', severity: 'info', action: 'none' },
  1: { recovery: 'reset', severity: 'fatal', action: 'reset-gpu' },
  2: { recovery: 'reboot', severity: 'fatal', action: 'reboot-node' },
  // Only peer-to-peer work has to leave.
  3: { recovery: 'drain-p2p', severity: 'warning', action: 'drain-node' },
  // Work may end by itself before the reset.
  4: { recovery: 'drain-and-reset', severity: 'critical', action: 'reset-gpu' },
  5: { recovery: 'recover-imex-domain', severity: 'critical', action: 'restart-service' },
  6: { recovery: 'reset', severity: 'fatal', action: 'reset-gpu' },
  7: { recovery: 'reboot', severity: 'fatal', action: 'reboot-node' },
};
