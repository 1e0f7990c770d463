import type { AuditRecord } from '../../ports/audit-log.ts';
import type { Clock } from '../../ports/runtime.ts';
import type { ToolContext } from '../tool.ts';

const intervalMilliseconds = 10_000;
/** The longest an operation can take: a person's answer, a reset, its verification. */
const longestSeconds = 300;

const phases: Readonly<Record<AuditRecord['phase'], string>> = {
  plan: 'looking at what is there',
  confirm: 'waiting for a person to confirm',
  act: 'acting',
  verify: 'verifying',
};

/** Tells a caller that asked for progress that the call is alive: clients give up on one that is silent for a minute. In seconds. */
export function startHeartbeat(
  clock: Clock,
  progress: ToolContext['progress'],
  phase: () => AuditRecord['phase'],
): { stop(): void } {
  if (!progress) return { stop() {} };
  const startedAt = clock.now();
  let cancel = () => {};
  const beat = () => {
    const seconds = Math.floor((clock.now() - startedAt) / 1_000);
    progress(seconds, Math.max(longestSeconds, seconds), phases[phase()]);
    cancel = clock.after(intervalMilliseconds, beat);
  };
  cancel = clock.after(intervalMilliseconds, beat);
  return { stop: () => cancel() };
}
