import type { Confirmation, ConfirmationRequest, ToolContext } from './tool.ts';

// Asking the person at the client, in every revision that has it. Up to 2025-11-25 the server sends `elicitation/create` and waits; from
// 2026-07-28 the question is the result of the call, and the client calls again with the answer.

/** The server object beneath either line's `McpServer`, as far as it is needed to ask. `never` accepts the signatures of both. */
export interface ElicitingServer {
  getClientCapabilities(): unknown;
  elicitInput(params: never, options: never): Promise<unknown>;
}

/** What the host tells of the call, as far as it is needed to ask. */
export interface ElicitationHost {
  readonly requestId?: string | number;
  readonly mcpReq?: {
    readonly id?: string | number;
    /** Present from 2026-07-28 on: there is no `initialize`, so every request says what its client can. */
    readonly envelope?: Readonly<Record<string, unknown>>;
    readonly inputResponses?: Readonly<Record<string, unknown>>;
    readonly requestState?: () => unknown;
  };
}

export interface Elicitation extends Pick<ToolContext, 'confirm' | 'answeredQuestion'> {
  /** The result that carries the question, once one is pending. */
  result(): Readonly<Record<string, unknown>> | undefined;
}

const answerKey = 'confirm';
const capabilitiesKey = 'io.modelcontextprotocol/clientCapabilities';
/** The wait is the caller's; this only ends a request whose signal was forgotten. */
const timeoutMarginMilliseconds = 5_000;

/** The way to ask for one call, or none when the client cannot show a form. */
export function bindElicitation(
  server: ElicitingServer | undefined,
  host: ElicitationHost | undefined,
): Elicitation {
  const envelope = host?.mcpReq?.envelope;
  if (envelope !== undefined) return byResult(envelope, host);
  if (server === undefined || !showsForms(server.getClientCapabilities())) return { result: () => undefined };
  const relatedRequestId = host?.mcpReq?.id ?? host?.requestId;
  return {
    result: () => undefined,
    async confirm({ message, signal, timeoutMilliseconds }) {
      const options = {
        signal,
        timeout: timeoutMilliseconds + timeoutMarginMilliseconds,
        // Over HTTP the question belongs on the stream of this call: the client may have opened no other.
        ...(relatedRequestId === undefined ? {} : { relatedRequestId }),
      };
      return answerOf(await server.elicitInput(form(message) as never, options as never));
    },
  };
}

function byResult(
  envelope: Readonly<Record<string, unknown>>,
  host: ElicitationHost | undefined,
): Elicitation {
  const state = host?.mcpReq?.requestState?.();
  let asked: ConfirmationRequest | undefined;
  return {
    ...(typeof state === 'string' ? { answeredQuestion: state } : {}),
    ...(showsForms(envelope[capabilitiesKey])
      ? {
          async confirm(question: ConfirmationRequest): Promise<Confirmation> {
            // An answer counts only for the question that was asked.
            if (state === question.id) return answerOf(host?.mcpReq?.inputResponses?.[answerKey]);
            asked = question;
            return 'pending';
          },
        }
      : {}),
    result: () =>
      asked && {
        resultType: 'input_required',
        inputRequests: { [answerKey]: { method: 'elicitation/create', params: form(asked.message) } },
        requestState: asked.id,
      },
  };
}

/** One object for all questions: the SDK's validator compiles a schema once, and knows it again by its identity. */
const requestedSchema = {
  type: 'object',
  properties: {
    confirm: {
      type: 'boolean',
      title: 'Do it',
      description: 'Tick to go ahead. Left as it is, nothing is done.',
      default: false,
    },
  },
  required: ['confirm'],
};

const form = (message: string) => ({ mode: 'form', message, requestedSchema });

/** Anything but an acceptance with `confirm: true` is a refusal. */
function answerOf(result: unknown): Exclude<Confirmation, 'pending'> {
  if (!isRecord(result)) return 'cancelled';
  const { action, content } = result;
  if (action === 'accept') return isRecord(content) && content['confirm'] === true ? 'accepted' : 'declined';
  return action === 'decline' ? 'declined' : 'cancelled';
}

/** An empty `elicitation` means forms; one that names only `url` does not. */
function showsForms(capabilities: unknown): boolean {
  const elicitation = isRecord(capabilities) ? capabilities['elicitation'] : undefined;
  if (!isRecord(elicitation)) return false;
  return isRecord(elicitation['form']) || elicitation['url'] === undefined;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}
