import { type Confirmation, callMetaKeys, quarantine } from '@k8s-gpu-mcp/core';
import {
  type CallToolResult,
  type InputRequiredResult,
  isInputRequiredResult,
} from '@modelcontextprotocol/client';
import { AgentFailure, type AgentReply } from '../../ports/agent-client.ts';
import { type AgentSession, requestOptions } from './agent-session.ts';
import type { Exchange } from './exchange.ts';
import { ask, confirmKey, elicitResult } from './questions.ts';

const maximumRounds = 8;
const maximumErrorLength = 2_000;
const maximumProgressLength = 200;

/** The time that the agent is given of what is left: a second less, half of a short one, at least 100 ms. */
export function agentDeadline(remainingMilliseconds: number): number {
  return remainingMilliseconds >= 2_000
    ? remainingMilliseconds - 1_000
    : Math.max(Math.floor(remainingMilliseconds / 2), 100);
}

/** One tool call over an open session, with the agent's questions in between. */
export async function converse(session: AgentSession, exchange: Exchange): Promise<AgentReply> {
  let retry: Retry | 'pending' = await broughtAnswer(session, exchange);
  for (let round = 0; round < maximumRounds; round += 1) {
    const result = await callOnce(session, exchange, retry);
    if (exchange.isPending) return pending;
    if (!isInputRequiredResult(result)) return replyOf(result);
    retry = await answersTo(result, exchange);
    if (retry === 'pending') return pending;
  }
  throw new AgentFailure('garbage', 'the agent asks without end');
}

const pending: AgentReply = { isError: false, structuredContent: {}, isPending: true };

type Retry = Readonly<Record<string, unknown>>;

async function callOnce(
  session: AgentSession,
  exchange: Exchange,
  retry: Retry,
): Promise<CallToolResult | InputRequiredResult> {
  const { call } = exchange;
  const params = {
    name: call.tool,
    arguments: call.arguments,
    _meta: {
      [callMetaKeys.deadlineMilliseconds]: agentDeadline(exchange.remainingMilliseconds),
      [callMetaKeys.correlationId]: call.correlationId,
      ...(call.traceparent === undefined ? {} : { [callMetaKeys.traceparent]: call.traceparent }),
    },
    ...retry,
  };
  try {
    return await session.client.callTool(params, {
      ...requestOptions(exchange),
      ...(call.progress ? { onprogress: passProgress(exchange) } : {}),
      allowInputRequired: true,
    });
  } finally {
    exchange.answered();
  }
}

/** The answer that the caller brings with this call goes with the first request: the agent has asked already. */
async function broughtAnswer(session: AgentSession, exchange: Exchange): Promise<Retry> {
  const { answeredQuestion: id, confirm } = exchange.call;
  if (id === undefined || !confirm || !session.isModern) return {};
  const answer = await confirm({
    id,
    message: '',
    signal: exchange.signal,
    timeoutMilliseconds: exchange.remainingMilliseconds,
  }).catch((): Confirmation => 'cancelled');
  return { inputResponses: { [confirmKey]: elicitResult(answer) }, requestState: id };
}

async function answersTo(
  { inputRequests = {}, requestState }: InputRequiredResult,
  exchange: Exchange,
): Promise<Retry | 'pending'> {
  const inputResponses: Record<string, unknown> = {};
  for (const [key, request] of Object.entries(inputRequests)) {
    if (request.method !== 'elicitation/create')
      throw new AgentFailure('refused', 'the agent asks for something that this gateway does not give');
    const answer = await ask(exchange, request.params, requestState);
    if (answer === 'pending') return 'pending';
    inputResponses[key] = elicitResult(answer);
  }
  return {
    ...(Object.keys(inputResponses).length > 0 ? { inputResponses } : {}),
    ...(requestState === undefined ? {} : { requestState }),
  };
}

function passProgress({ call, signal }: Exchange) {
  return (note: { progress: number; total?: number | undefined; message?: string | undefined }) => {
    if (signal.aborted) return;
    const { progress, total = 0, message } = note;
    if (message === undefined) call.progress?.(progress, total);
    else call.progress?.(progress, total, quarantine(message, maximumProgressLength));
  };
}

/** What is read of the result of a call. */
type ToldResult = Pick<CallToolResult, 'isError' | 'structuredContent'> & {
  readonly content: readonly { readonly type: string; readonly text?: unknown }[];
};

/** @throws AgentFailure for a result without data. */
export function replyOf(result: ToldResult): AgentReply {
  if (result.isError === true) {
    const texts = result.content.flatMap(({ type, text }) => (type === 'text' ? [text] : []));
    return { isError: true, text: quarantine(texts.join(' '), maximumErrorLength) };
  }
  const { structuredContent } = result;
  if (typeof structuredContent !== 'object' || structuredContent === null || Array.isArray(structuredContent))
    throw new AgentFailure('garbage', "the agent's answer holds no data");
  return { isError: false, structuredContent: structuredContent as Readonly<Record<string, unknown>> };
}
