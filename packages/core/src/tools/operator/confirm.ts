import { GpuError } from '../../errors.ts';
import type { Clock } from '../../ports/runtime.ts';
import type { Confirmation, ToolContext } from '../tool.ts';
import { answerTimeMilliseconds } from './plan-store.ts';

/** What came of the question, and how it is told. */
export const approvals = {
  accepted: 'A person confirmed.',
  'not-asked': 'No person was asked: the client cannot ask, and the server was started to act without.',
  pending: 'The question went to the client, which calls again with the answer within 120 s.',
  declined: 'The person declined.',
  cancelled: 'The question was dismissed or could not be put.',
  unanswered: 'Nobody answered within 120 s, or the caller cancelled.',
} as const;
export type Approval = keyof typeof approvals;

export interface Question {
  readonly id: string;
  readonly intent: string;
  readonly warnings: readonly string[];
  readonly details: readonly string[];
}

interface Asking {
  readonly clock: Clock;
  readonly confirmWithoutElicitation: boolean;
  readonly context: ToolContext;
}

/**
 * Has a person decide. Asks whenever the client can, whatever the flag says; waits 120 s and not beyond the caller's cancellation.
 * @throws GpuError NOT_SUPPORTED when nobody can be asked and that does not do.
 */
export async function approve(question: Question, asking: Asking): Promise<Approval> {
  const { clock, confirmWithoutElicitation, context } = asking;
  const { confirm, signal: caller } = context;
  if (!confirm) {
    if (confirmWithoutElicitation) return 'not-asked';
    throw new GpuError(
      'NOT_SUPPORTED',
      'A person has to confirm, and this client cannot ask one (it does not offer elicitation). Nothing was done.',
      {
        hint: 'Use a client with elicitation; or whoever runs the server allows acting on the plan id alone with --confirm-without-elicitation.',
      },
    );
  }
  const controller = new AbortController();
  return new Promise<Approval>((resolve) => {
    const settle = (approval: Approval) => {
      cancel();
      caller?.removeEventListener('abort', giveUp);
      resolve(approval);
    };
    const giveUp = () => {
      settle('unanswered');
      controller.abort();
    };
    const cancel = clock.after(answerTimeMilliseconds, giveUp);
    if (caller?.aborted) return giveUp();
    caller?.addEventListener('abort', giveUp, { once: true });
    confirm({
      id: question.id,
      message: messageOf(question),
      signal: controller.signal,
      timeoutMilliseconds: answerTimeMilliseconds,
    }).then(
      (answer: Confirmation) => settle(answer),
      () => settle('cancelled'),
    );
  });
}

function messageOf({ intent, warnings, details }: Question): string {
  return [intent, ...warnings, ...details, 'This cannot be undone. Go ahead?'].join('\n');
}
