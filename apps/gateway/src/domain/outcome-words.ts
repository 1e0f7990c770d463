import { quarantine } from '@k8s-gpu-mcp/core';
import type { AgentFailure, AgentFailureKind, AgentIdentity } from '../ports/agent-client.ts';
import type { CircuitStatus } from './circuit.ts';
import type { NodeOutcome } from './node-outcome.ts';

/** Each kind of failure in a few words. */
const failureWords = {
  unreachable: 'not reachable',
  timeout: 'no answer in time',
  cancelled: 'broken off',
  overloaded: 'overloaded',
  unauthorized: 'credentials not accepted',
  certificate: 'certificate not valid',
  incompatible: 'of another version',
  garbage: 'answer not readable',
  refused: 'request refused',
} as const satisfies Record<AgentFailureKind, string>;

const maximumSaidLength = 500;

const seconds = (milliseconds: number) => `${Math.round(milliseconds / 100) / 10} s`;

export function notReadyOutcome(node: string, because: string): NodeOutcome {
  return { node, status: 'not-ready', reason: `not asked: ${because}` };
}

export function circuitOpenOutcome(status: CircuitStatus): NodeOutcome {
  const last = status.lastFailure === null ? '' : `, the last: ${failureWords[status.lastFailure]}`;
  const until =
    status.retryAt === null
      ? 'one trial call is under way, ask again after it'
      : `left alone until ${status.retryAt}`;
  const { consecutiveFailures: failures } = status;
  return {
    node: status.node,
    status: 'circuit-open',
    reason: `not asked: ${failures} failed ${failures === 1 ? 'call' : 'calls'} in a row${last}; ${until}`,
  };
}

/** `text` is what the tool said, and untrusted. */
export function toolErrorOutcome(node: string, text: string, agent?: AgentIdentity): NodeOutcome {
  return {
    ...(agent === undefined ? {} : { agent }),
    node,
    status: 'error',
    reason: 'the agent answered with an error of its tool',
    said: quarantine(text, maximumSaidLength),
  };
}

type ToldFailure = Pick<AgentFailure, 'kind' | 'message' | 'said'> & {
  readonly agent?: AgentIdentity | undefined;
};

export interface FailureCircumstances {
  readonly waitedMilliseconds: number;
  /** Since when the directory is out of date. */
  readonly staleSince: string | null;
  /** False for a call that acts: what became of it must not be guessed. */
  readonly isReadOnly: boolean;
}

/** After these the agent may have begun. */
export const mayHaveActed: ReadonlySet<AgentFailureKind> = new Set([
  'unreachable',
  'timeout',
  'cancelled',
  'overloaded',
  'garbage',
]);

export function failureOutcome(
  node: string,
  { kind, message, said, agent }: ToldFailure,
  { waitedMilliseconds, staleSince, isReadOnly }: FailureCircumstances,
): NodeOutcome {
  const isStale = staleSince !== null && (kind === 'unreachable' || kind === 'timeout');
  const reason = [
    // The client's words are ours: what the agent said is kept apart from them.
    kind === 'timeout' ? `no answer within ${seconds(waitedMilliseconds)}` : quarantine(message, 300),
    ...(isStale ? [`the list of nodes is out of date since ${staleSince}, so the node may be gone`] : []),
    ...(isReadOnly || !mayHaveActed.has(kind) ? [] : ['whether the action was carried out is not known']),
  ].join('; ');
  return {
    node,
    status: isStale ? 'stale' : kind === 'timeout' ? 'timeout' : 'error',
    reason,
    ...(said === undefined ? {} : { said: quarantine(said, maximumSaidLength) }),
    failure: kind,
    ...(agent === undefined ? {} : { agent }),
  };
}

export function notReachedInTimeOutcome(node: string, waitedMilliseconds: number): NodeOutcome {
  return {
    node,
    status: 'timeout',
    reason: `not asked: the calls before it took all of ${seconds(waitedMilliseconds)}`,
  };
}

export function defectOutcome(node: string): NodeOutcome {
  return { node, status: 'error', reason: 'a defect of the gateway; its log has the details' };
}
