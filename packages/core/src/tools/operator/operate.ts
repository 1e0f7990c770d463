import { GpuError, isGpuError } from '../../errors.ts';
import { gpuBackendCoverage, makeAnswer, type NextStep } from '../answer.ts';
import { startDeadline } from '../run-tool.ts';
import type { StructuredContent, ToolContext } from '../tool.ts';
import type { Toolkit } from '../toolkit.ts';
import { Attempt } from './attempt.ts';
import { type Approval, approvals, approve } from './confirm.ts';
import { differences, type Facts } from './facts.ts';
import { startHeartbeat } from './heartbeat.ts';
import type { Check, Deed, Observation, Operation, OperatorDesk, Outcome } from './operation.ts';
import type { PlanScope } from './plan-store.ts';

/** Long enough for a GPU that initialises again after a reset. */
const verifyDeadlineMilliseconds = 60_000;

/**
 * One call of an operator tool. Without a plan id it plans and changes nothing; with one it compares the facts with the plan's, has a
 * person confirm, compares again, acts and verifies. Every way out leaves an audit record.
 */
export async function operate<Seen extends Observation>(
  operation: Operation<Seen>,
  desk: OperatorDesk,
  planId: string | undefined,
  context: ToolContext,
  signal: AbortSignal,
): Promise<StructuredContent> {
  const { tool } = operation;
  const caller = context.caller ?? 'local';
  const attempt = new Attempt(desk.toolkit, desk.auditLog, { tool, caller, target: operation.arguments });
  const scope: PlanScope = { caller, tool, arguments: canonical(operation.arguments) };
  attempt.planId = planId;
  const heartbeat = startHeartbeat(desk.toolkit.clock, context.progress, () => attempt.phase);
  try {
    return planId === undefined
      ? await plan(operation, desk, attempt, scope, signal)
      : await carryOut(operation, desk, attempt, { planId, scope, context, signal });
  } catch (error) {
    // A record that could not be written is the error itself.
    if (!attempt.recorded) throw error;
    if (isGpuError(error)) await attempt.record('refused', `${error.code}: ${error.message}`);
    else await attempt.record('failed', 'an unexpected error; the log has it');
    throw error;
  } finally {
    heartbeat.stop();
  }
}

async function plan<Seen extends Observation>(
  operation: Operation<Seen>,
  desk: OperatorDesk,
  attempt: Attempt,
  scope: PlanScope,
  signal: AbortSignal,
): Promise<StructuredContent> {
  const seen = await observe(operation, desk, attempt, signal);
  if (seen.obstacles.length > 0) {
    await attempt.record('refused', seen.obstacles.join(' '));
    const summary = `Cannot be done now: ${seen.obstacles.join(' ')} Nothing was changed.`;
    return present(desk, seen, 'cannot-act', summary);
  }
  const { id, expiresAt } = desk.plans.add(scope, seen.facts);
  attempt.planId = id;
  await attempt.record('planned', seen.intent);
  const { tool } = operation;
  const summary = `Plan only, nothing was changed. ${seen.intent} To do it, call ${tool} again with the same arguments and this planId within 60 s; a person has to confirm.`;
  const nextSteps: NextStep[] = [
    { action: 'none', reason: 'Show the plan to the person who decides, then call with the planId.', tool },
  ];
  return present(desk, seen, 'planned', summary, {
    nextSteps,
    more: { planId: id, expiresAt: new Date(expiresAt).toISOString() },
  });
}

interface Order {
  readonly planId: string;
  readonly scope: PlanScope;
  readonly context: ToolContext;
  readonly signal: AbortSignal;
}

async function carryOut<Seen extends Observation>(
  operation: Operation<Seen>,
  desk: OperatorDesk,
  attempt: Attempt,
  { planId, scope, context, signal }: Order,
): Promise<StructuredContent> {
  attempt.phase = 'confirm';
  const { facts, questionId } = desk.plans.claim(planId, scope, context.answeredQuestion);
  const before = await observe(operation, desk, attempt, signal);
  requireUnchanged(facts, before, operation.tool);
  const approval = await approve(
    { id: questionId, intent: before.intent, warnings: before.warnings, details: before.details },
    { clock: desk.toolkit.clock, confirmWithoutElicitation: desk.confirmWithoutElicitation, context },
  );
  if (approval === 'pending') {
    desk.plans.suspend(planId);
    await attempt.record('planned', approvals.pending);
    return present(desk, before, 'awaiting-confirmation', `${approvals.pending} Nothing was done.`);
  }
  if (approval === 'declined' || approval === 'cancelled' || approval === 'unanswered') {
    await attempt.record('declined', approvals[approval]);
    const outcome = approval === 'declined' ? 'declined' : 'cancelled';
    return present(desk, before, outcome, `${approvals[approval]} Nothing was done.`);
  }
  // The person took their time: what they agreed to must still be what is there.
  const seen = await observe(operation, desk, attempt, signal);
  requireUnchanged(facts, seen, operation.tool);
  return finish(operation, desk, attempt, seen, { approval, context });
}

async function finish<Seen extends Observation>(
  operation: Operation<Seen>,
  desk: OperatorDesk,
  attempt: Attempt,
  seen: Seen,
  { approval, context }: { readonly approval: Approval; readonly context: ToolContext },
): Promise<StructuredContent> {
  if (desk.acting !== undefined) {
    throw new GpuError('UNAVAILABLE', `${desk.acting} is at work, and only one operation acts at a time.`, {
      hint: 'Wait for its answer, then plan again.',
    });
  }
  desk.acting = operation.tool;
  try {
    await attempt.record('done', approvals[approval]);
    // The last moment at which the caller can call it off.
    if (context.signal?.aborted) throw new GpuError('CANCELLED', 'The caller cancelled. Nothing was done.');
    attempt.phase = 'act';
    const deed = await operation.act(seen).catch((error: unknown) => failed(error, desk.toolkit));
    await attempt.recordAfterwards(deed.succeeded ? 'done' : 'failed', deed.detail);
    attempt.phase = 'verify';
    const checks = await verify(operation, desk.toolkit, seen);
    const outcome = outcomeOf(deed, checks);
    const told = checks.map(({ detail }) => detail).join(' ');
    await attempt.recordAfterwards(outcome === 'done' ? 'done' : 'failed', `${outcome}: ${told}`);
    const audit = attempt.recorded ? '' : ' The audit log could not be written while this was done.';
    return present(desk, seen, outcome, `${deed.detail} ${told}${audit}`, {
      more: {
        act: { ...deed.payload, succeeded: deed.succeeded, detail: deed.detail },
        verification: checks,
      },
      nextSteps:
        outcome === 'done'
          ? []
          : [{ action: 'none', reason: 'See what became of the GPU.', tool: 'get_gpu_health' }],
    });
  } finally {
    desk.acting = undefined;
  }
}

async function observe<Seen extends Observation>(
  operation: Operation<Seen>,
  { toolkit, readDeadlineMilliseconds }: OperatorDesk,
  attempt: Attempt,
  signal: AbortSignal,
): Promise<Seen> {
  const deadline = startDeadline(toolkit.clock, readDeadlineMilliseconds, signal);
  try {
    const seen = await operation.observe(deadline.signal);
    attempt.target = seen.target;
    return seen;
  } finally {
    deadline.stop();
  }
}

/** @throws GpuError INVALID_INPUT when the plan no longer fits, UNAVAILABLE when it fits and cannot be done. */
function requireUnchanged(facts: Facts, seen: Observation, tool: string): void {
  const changes = differences(facts, seen.facts);
  if (changes.length > 0) {
    throw new GpuError(
      'INVALID_INPUT',
      `planId no longer fits, as the facts have changed: ${changes.join('; ')}. Nothing was done.`,
      { hint: `Call ${tool} without planId to see what is there now.` },
    );
  }
  if (seen.obstacles.length > 0)
    throw new GpuError('UNAVAILABLE', `${seen.obstacles.join(' ')} Nothing was done.`);
}

function failed(error: unknown, { logger }: Toolkit): Deed {
  if (isGpuError(error))
    return { succeeded: false, detail: `It failed with ${error.code}: ${error.message} ${error.hint}` };
  logger.error('an operation failed', { error });
  return { succeeded: false, detail: 'It failed unexpectedly; the log of the server has the error.' };
}

/** Goes on when the caller is gone: what was done has to be known. */
async function verify<Seen extends Observation>(
  operation: Operation<Seen>,
  toolkit: Toolkit,
  seen: Seen,
): Promise<readonly Check[]> {
  const deadline = startDeadline(toolkit.clock, verifyDeadlineMilliseconds, undefined);
  try {
    return await operation.verify(seen, deadline.signal);
  } catch (error) {
    const why = isGpuError(error) ? error.code : 'an unexpected error';
    if (!isGpuError(error)) toolkit.logger.error('a verification failed', { error });
    return [{ check: 'verification', passed: null, detail: `It could not be verified (${why}).` }];
  } finally {
    deadline.stop();
  }
}

function outcomeOf({ succeeded }: Deed, checks: readonly Check[]): Outcome {
  if (!succeeded || checks.some(({ passed }) => passed === false)) return 'failed';
  return checks.some(({ passed }) => passed === null) ? 'unverified' : 'done';
}

function present(
  { toolkit }: OperatorDesk,
  seen: Observation,
  outcome: Outcome,
  summary: string,
  { nextSteps = [], more = {} }: { nextSteps?: readonly NextStep[]; more?: StructuredContent } = {},
): StructuredContent {
  const { obstacles, warnings, plan, gaps } = seen;
  const payload = { outcome, canAct: obstacles.length === 0, reasons: obstacles, warnings, ...more, plan };
  const gpuBackend = gpuBackendCoverage(toolkit, undefined);
  return makeAnswer(toolkit, 'full', { summary, payload, gaps, gpuBackend, nextSteps });
}

/** One spelling of equal arguments. */
function canonical(input: Readonly<Record<string, unknown>>): string {
  const entries = Object.entries(input).filter(([, value]) => value !== undefined);
  return JSON.stringify(entries.sort(([a], [b]) => (a < b ? -1 : 1)));
}
