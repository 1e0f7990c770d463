import { actions, eventSeverities, quarantine, verdicts } from '@k8s-gpu-mcp/core';
import { z } from 'zod';
import { AgentFailure } from '../../ports/agent-client.ts';
import type { AgentEvent, AgentEventsReading } from '../../ports/agent-events.ts';

const maximumEvents = 256;
const maximumTextLength = 1024 * 1024;
const maximumNotices = 16;

const text = (maximumLength: number) => z.string().transform((value) => quarantine(value, maximumLength));
/** What an event can do without: of the wrong form it counts as not told. */
const optional = <T extends z.ZodType>(schema: T) => schema.optional().catch(undefined);
const count = z.int().min(0);
const isoTime = z.iso.datetime({ offset: true });
const decodedDetail = z
  .record(
    z.string().regex(/^[a-z][a-zA-Z0-9]{0,47}$/),
    z.union([z.null(), z.boolean(), z.number(), text(64), z.array(z.number()).max(64)]),
  )
  .refine((fields) => Object.keys(fields).length <= 32);

const eventSchema = z.object({
  id: z.int().min(1),
  revision: count,
  kind: z.string().regex(/^[a-z][a-z0-9-]{0,39}$/),
  at: isoTime,
  sources: optional(z.array(z.string().regex(/^[a-z][a-z-]{0,31}$/)).max(8)),
  repeatCount: optional(count),
  xid: optional(count),
  sxid: optional(count),
  gpu: z
    .object({
      index: count.max(1_023),
      uuid: z
        .string()
        .regex(/^[\w.-]{1,80}$/)
        .nullable()
        .catch(null),
    })
    .nullable(),
  pciAddress: optional(
    z
      .string()
      .regex(/^[0-9a-fA-F]{4,8}:[0-9a-fA-F]{2}:[0-9a-fA-F]{2}(\.[0-7])?$/)
      .nullable(),
  ),
  gpuInstanceId: optional(count),
  computeInstanceId: optional(count),
  title: text(120),
  severity: z.enum(eventSeverities),
  verdict: z.enum(verdicts),
  action: z.enum(actions),
  trusted: optional(z.union([z.boolean(), z.literal('unknown')])),
  value: optional(z.number()),
  pid: optional(count),
  processName: optional(text(64)),
  link: optional(count),
  switchIndex: optional(count),
  decoded: optional(decodedDetail),
  raw: optional(text(240)),
});

const documentSchema = z.object({
  apiVersion: z.string(),
  observedAt: isoTime,
  listeningSince: isoTime.nullish(),
  events: z.array(z.unknown()),
  lost: count.catch(0),
  notices: z.array(z.unknown()).catch([]),
});

/**
 * The events in an agent's resource. An event that cannot be understood is counted and left out.
 * @throws AgentFailure for a document that is none.
 */
export function parseEventsDocument(json: string): AgentEventsReading {
  if (json.length > maximumTextLength)
    throw new AgentFailure('garbage', `the agent's events are longer than ${maximumTextLength} characters`);
  const parsed = documentSchema.safeParse(parseJson(json));
  if (!parsed.success) throw new AgentFailure('garbage', "the agent's events are not of the expected form");
  const { observedAt, listeningSince, lost, notices } = parsed.data;
  const told = parsed.data.events.slice(-maximumEvents);
  const byId = new Map<number, AgentEvent>();
  for (const each of told) {
    const event = eventSchema.safeParse(each);
    if (event.success) byId.set(event.data.id, event.data);
  }
  return {
    observedAt,
    listeningSince: listeningSince ?? null,
    events: [...byId.values()].sort((a, b) => a.id - b.id),
    lost,
    unreadable: told.length - byId.size,
    notices: notices.slice(-maximumNotices).flatMap(noticeOf),
  };
}

function parseJson(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}

/** A notice is a sentence, or holds one in the detail of its gap. */
const noticeSchema = z.union([
  z.string(),
  z.object({ gap: z.object({ detail: z.string() }) }).transform(({ gap }) => gap.detail),
  z.object({ detail: z.string() }).transform(({ detail }) => detail),
]);

function noticeOf(notice: unknown): readonly string[] {
  const parsed = noticeSchema.safeParse(notice);
  return parsed.success && parsed.data !== '' ? [quarantine(parsed.data, 200)] : [];
}
