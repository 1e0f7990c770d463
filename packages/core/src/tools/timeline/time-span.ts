import { GpuError } from '../../errors.ts';
import { checkOrder, parseTime } from '../arguments.ts';

const defaultBack = '10m';
/** On each side of a moment. */
const sideMilliseconds = 5 * 60_000;
const shortestMilliseconds = 1_000;

/** What a timeline is asked for; milliseconds since 1970. */
export interface TimeSpan {
  readonly fromMilliseconds: number;
  readonly toMilliseconds: number;
  /** The moment before and after which is compared. */
  readonly aroundMilliseconds?: number;
}

export interface TimeArguments {
  readonly since?: string | undefined;
  readonly until?: string | undefined;
  readonly around?: string | undefined;
}

/** @throws GpuError INVALID_INPUT naming the argument and what is allowed. */
export function timeSpanOf({ since, until, around }: TimeArguments, now: number): TimeSpan {
  if (around !== undefined) {
    const other = since === undefined ? (until === undefined ? undefined : 'until') : 'since';
    if (other !== undefined) {
      throw new GpuError(
        'INVALID_INPUT',
        `${other} = ${JSON.stringify(other === 'since' ? since : until)} and around do not go together: around takes 5 minutes before and after.`,
        { hint: `Leave out ${other} or around.` },
      );
    }
    const aroundMilliseconds = Date.parse(parseTime('around', around, now));
    if (aroundMilliseconds >= now) {
      throw new GpuError('INVALID_INPUT', `around = ${JSON.stringify(around)} is not before now.`, {
        hint: 'Give a moment in the past.',
      });
    }
    return {
      fromMilliseconds: aroundMilliseconds - sideMilliseconds,
      toMilliseconds: Math.min(now, aroundMilliseconds + sideMilliseconds),
      aroundMilliseconds,
    };
  }
  const to = until === undefined ? new Date(now).toISOString() : parseTime('until', until, now);
  // An end in the past moves the usual beginning with it.
  const end = Math.min(now, Date.parse(to));
  const from = parseTime('since', since ?? defaultBack, since === undefined ? end : now);
  checkOrder(from, now, until === undefined ? undefined : to);
  const fromMilliseconds = Date.parse(from);
  if (end - fromMilliseconds < shortestMilliseconds) {
    const field = since === undefined ? 'until' : 'since';
    throw new GpuError(
      'INVALID_INPUT',
      `${field} = ${JSON.stringify(field === 'since' ? since : until)} leaves less than a second of the past between since and until.`,
      { hint: 'Give a since at least 1s before until and before now.' },
    );
  }
  return { fromMilliseconds, toMilliseconds: end };
}
