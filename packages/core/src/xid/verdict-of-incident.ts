import type { EventSeverity, Trust } from '../domain/event.ts';
import type { IncidentStanding } from '../domain/incident.ts';
import { type Action, isDisruptive, type Verdict } from '../domain/verdict.ts';

/**
 * The verdict an incident supports by itself; only a primary one supports any. `fatal` and `critical` are critical also when applications
 * commonly cause the number: the GPU needs an action either way. A `warning` that applications commonly cause says nothing bad about the
 * GPU (`ok`); its action still names the application, unless the vendor asks for more than that. What a user-space program wrote to the
 * log proves nothing: `unknown`.
 */
export function verdictOfIncident(
  severity: EventSeverity,
  applicationCommon: boolean,
  trusted: Trust,
  action: Action = 'none',
  standing: IncidentStanding = 'primary',
): Verdict {
  if (trusted === false) return 'unknown';
  if (standing !== 'primary') return 'ok';
  if (severity === 'fatal' || severity === 'critical') return 'critical';
  return severity === 'warning' && (!applicationCommon || isDisruptive(action)) ? 'warning' : 'ok';
}
