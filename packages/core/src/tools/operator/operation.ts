import { z } from 'zod';
import type { Gap } from '../../domain/gap.ts';
import type { AuditLog, AuditRecord } from '../../ports/audit-log.ts';
import { answerSchema } from '../answer.ts';
import type { StructuredContent } from '../tool.ts';
import type { Toolkit } from '../toolkit.ts';
import type { Facts } from './facts.ts';
import { answerTimeMilliseconds, type PlanStore } from './plan-store.ts';

/** What an operation would be done to, as it is now. */
export interface Observation {
  /** For the audit record: pid and start time, or the GPUs. */
  readonly target: AuditRecord['target'];
  /** What the plan is bound to: when any of it changes, the plan is void. */
  readonly facts: Facts;
  /** What would be done, in a sentence of our own words and numbers. */
  readonly intent: string;
  /** Why it cannot be done; empty when it can. */
  readonly obstacles: readonly string[];
  /** What the person should know, though it does not stand in the way. */
  readonly warnings: readonly string[];
  /** For the person, beside the intent. May quote the machine, and says so. */
  readonly details: readonly string[];
  readonly plan: StructuredContent;
  readonly gaps: readonly Gap[];
}

export interface Check {
  readonly check: string;
  /** Null when it could not be told. */
  readonly passed: boolean | null;
  readonly detail: string;
}

export interface Deed {
  readonly succeeded: boolean;
  /** Own words and numbers. */
  readonly detail: string;
  readonly payload?: StructuredContent;
}

/** An operation as its tool defines it; `operate` takes it through plan, confirm, act and verify. */
export interface Operation<Seen extends Observation> {
  readonly tool: string;
  /** Without the plan id. */
  readonly arguments: Readonly<Record<string, unknown>>;
  /** Changes nothing. */
  observe(signal: AbortSignal): Promise<Seen>;
  /** Takes no signal: once it has begun, it is finished and reported. */
  act(seen: Seen): Promise<Deed>;
  /** Whether the deed shows, by means other than the one that did it. */
  verify(seen: Seen, signal: AbortSignal): Promise<readonly Check[]>;
}

/** What the operations of one server share. */
export interface OperatorDesk {
  readonly toolkit: Toolkit;
  readonly auditLog: AuditLog;
  readonly plans: PlanStore;
  readonly confirmWithoutElicitation: boolean;
  readonly readDeadlineMilliseconds: number;
  /** The operation that acts at the moment: one at a time. */
  acting: string | undefined;
}

const outcomes = [
  'planned',
  'cannot-act',
  'awaiting-confirmation',
  'declined',
  'cancelled',
  'done',
  'failed',
  'unverified',
] as const;
export type Outcome = (typeof outcomes)[number];

/** Covers the person's answer; what acts has no deadline but its own. */
export const operatorDeadlineMilliseconds = answerTimeMilliseconds + 60_000;

export const operationSchema = answerSchema({
  outcome: z.enum(outcomes),
  canAct: z.boolean(),
  reasons: z.array(z.string()),
  warnings: z.array(z.string()),
  planId: z.string().optional(),
  expiresAt: z.string().optional(),
  plan: z.looseObject({}),
});

export const planIdArgument = z
  .string()
  .min(1)
  .max(64)
  .describe('Id from a plan of at most 60 s ago: acts on it, after a person confirmed. Without: plans only.')
  .optional();
