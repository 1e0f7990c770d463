import type {
  AgentEvent,
  AgentEventBatch,
  AgentEventsReading,
  EventsPosition,
} from '../ports/agent-events.ts';

/** Numbers that agents tell are added up: none may be so large that the sum is not exact. */
export const maximumLost = 1_000_000_000;

/** What one reading tells that was not known at `since`. */
export function newsOf(reading: AgentEventsReading, since: EventsPosition | undefined): AgentEventBatch {
  const { observedAt, listeningSince, events } = reading;
  const goesOn = since !== undefined && isSameNumbering(reading, since);
  const known = goesOn ? since : undefined;
  const fresh = events.filter((event) => isNews(event, known));
  const firstNew = known?.lastId ?? 0;
  const newIds = events.filter(({ id }) => id > firstNew).length + reading.unreadable;
  const sourceLost = sourceLostOf(reading);
  // Before the first reading nothing was missed: nobody listened. After a restart everything since the restart counts.
  const missed = since === undefined ? 0 : Math.max(0, lastIdOf(reading) - firstNew - newIds);
  const moreLost = since === undefined ? 0 : Math.max(0, sourceLost - (known?.sourceLost ?? 0));
  return {
    ...{ observedAt, listeningSince, events: fresh },
    lost: Math.min(missed + moreLost, maximumLost),
    isHistory: since === undefined,
    isRenumbered: since !== undefined && !goesOn,
    position: {
      listeningSince,
      lastId: Math.max(lastIdOf(reading), known?.lastId ?? 0),
      seen: new Map(events.map(({ id, revision, at }) => [id, { revision, at }])),
      sourceLost,
    },
  };
}

const lastIdOf = ({ events }: AgentEventsReading) => events.at(-1)?.id ?? 0;

function isNews({ id, revision }: AgentEvent, known: EventsPosition | undefined): boolean {
  if (known === undefined || id > known.lastId) return true;
  const seen = known.seen.get(id);
  return seen !== undefined && revision > seen.revision;
}

/** An agent that runs on keeps its numbers, also when it stopped listening for a while; one that was restarted begins with 1 again. */
function isSameNumbering(reading: AgentEventsReading, since: EventsPosition): boolean {
  if (lastIdOf(reading) < since.lastId) return false;
  if (reading.listeningSince === since.listeningSince || since.lastId === 0) return true;
  return reading.events.some(({ id, revision, at }) => {
    const seen = since.seen.get(id);
    return seen !== undefined && seen.revision === revision && seen.at === at;
  });
}

/** An agent's `lost` counts what made room too, which its ids tell; the rest was lost by its sources. */
function sourceLostOf(reading: AgentEventsReading): number {
  const madeRoom = lastIdOf(reading) - reading.events.length - reading.unreadable;
  return Math.min(Math.max(0, reading.lost - Math.max(0, madeRoom)), maximumLost);
}
