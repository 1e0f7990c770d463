import type { FeedSnapshot } from '../events/event-feed.ts';
import type { GpuNodeEvent } from '../events/node-event.ts';
import { presentNodeEvent } from '../tools/present-node-event.ts';
import type { StructuredContent } from '../tools/tool.ts';
import { quarantine } from '../tools/untrusted-text.ts';

/** What the resource of live events says. */
export function presentFeed(snapshot: FeedSnapshot, nodeName: string, now: number): StructuredContent {
  const { listeningSince, events, lost, notices } = snapshot;
  return {
    apiVersion: 'v1',
    node: nodeName,
    observedAt: new Date(now).toISOString(),
    summary: summarise(snapshot),
    listeningSince,
    events: events.map(presentNodeEvent),
    lost,
    notices: notices.map(({ notice, gap: { field, reason, detail }, at, lostCount }) => ({
      at,
      notice,
      field,
      reason,
      detail: quarantine(detail, 160),
      ...(lostCount === undefined ? {} : { lostCount }),
    })),
  };
}

function summarise({ listeningSince, events, lost, notices }: FeedSnapshot): string {
  const last = events.at(-1);
  const count = `${events.length === 0 ? 'No' : events.length} event${events.length === 1 ? '' : 's'} heard`;
  const heard = last ? `${count}, the newest ${last.at}: ${nameOf(last)}.` : `${count} yet.`;
  const missing = lost > 0 ? ` ${lost} more are not shown.` : '';
  const blind = blindFields(notices).map((field) => ` ${field} cannot be listened to: see notices.`);
  const since =
    listeningSince === null ? ' Nothing is listened to now.' : ` Listening since ${listeningSince}.`;
  return `${heard}${missing}${since}${blind.join('')}`;
}

/** Sources whose last notice says that they cannot see. */
function blindFields(notices: FeedSnapshot['notices']): readonly string[] {
  const last = new Map(notices.map(({ gap, notice }) => [gap.field, notice]));
  return [...last].flatMap(([field, notice]) => (notice === 'blind' ? [field] : []));
}

function nameOf({ xid, sxid, title, gpu }: GpuNodeEvent): string {
  const code = xid !== undefined ? `Xid ${xid}, ` : sxid !== undefined ? `SXid ${sxid}, ` : '';
  return `${code}${title}${gpu ? ` on GPU ${gpu.index}` : ''}`;
}
