import { createHmac, randomBytes } from 'node:crypto';
import { type Confirmation, quarantine } from '@k8s-gpu-mcp/core';
import type { ElicitRequest, ElicitResult } from '@modelcontextprotocol/client';
import type { Exchange } from './exchange.ts';

const maximumMessageLength = 4_000;
/** Name of the one field that agents ask for, and of the one question in a result. */
export const confirmKey = 'confirm';

const secret = randomBytes(32);

/**
 * The id of a question that came without one (up to 2025-11-25): the same question to the same caller has the same id, and only who was
 * asked can know it.
 */
function idOf({ call }: Exchange, message: string): string {
  const about = [call.node.instance, call.tool, call.arguments, message];
  return createHmac('sha256', secret).update(JSON.stringify(about)).digest('hex');
}

/** Has the caller's person decide on an agent's question. A form that asks for more than yes or no is declined. */
export async function ask(
  exchange: Exchange,
  params: ElicitRequest['params'],
  id?: string,
): Promise<Confirmation> {
  const { confirm } = exchange.call;
  if (!confirm || !asksYesOrNo(params)) return 'declined';
  const message = params.message
    .slice(0, maximumMessageLength)
    .split('\n')
    .map((line) => quarantine(line, maximumMessageLength))
    .join('\n');
  const answer = confirm({
    id: id ?? idOf(exchange, message),
    message,
    signal: exchange.signal,
    timeoutMilliseconds: exchange.remainingMilliseconds,
  }).catch((): Confirmation => 'cancelled');
  return Promise.race([answer, aborted(exchange.signal)]);
}

/** As the protocol has it. What is pending cannot be waited for: the agent is told that nobody answered. */
export function elicitResult(answer: Confirmation): ElicitResult {
  if (answer === 'accepted') return { action: 'accept', content: { [confirmKey]: true } };
  return { action: answer === 'declined' ? 'decline' : 'cancel' };
}

function asksYesOrNo(params: ElicitRequest['params']): boolean {
  if (!('requestedSchema' in params)) return false;
  const { properties } = params.requestedSchema;
  const names = Object.keys(properties);
  return names.length === 1 && names[0] === confirmKey && properties[confirmKey]?.type === 'boolean';
}

function aborted(signal: AbortSignal): Promise<Confirmation> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve('cancelled');
    else signal.addEventListener('abort', () => resolve('cancelled'), { once: true });
  });
}
