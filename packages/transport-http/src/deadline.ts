/**
 * Runs one exchange under a deadline. When it expires, `signal` aborts; a response that has not begun is replaced by
 * `late()`, one that is already streaming ends with `lateEvent()` as its last server-sent event.
 * `ended` is called once the response has been produced in full.
 */
export async function withDeadline(
  timeoutMilliseconds: number,
  clientSignal: AbortSignal,
  exchange: (signal: AbortSignal) => Promise<Response>,
  late: () => Response,
  lateEvent: () => string,
  ended: () => void,
): Promise<Response> {
  const abort = new AbortController();
  const onClientGone = () => abort.abort(clientSignal.reason);
  if (clientSignal.aborted) onClientGone();
  clientSignal.addEventListener('abort', onClientGone, { once: true });

  let expired: () => void = () => {};
  const expiry = new Promise<'expired'>((resolve) => {
    expired = () => resolve('expired');
  });
  const timer = setTimeout(expired, timeoutMilliseconds);
  const finish = () => {
    clearTimeout(timer);
    clientSignal.removeEventListener('abort', onClientGone);
    ended();
  };

  const running = exchange(abort.signal);
  let outcome: Response | 'expired';
  try {
    outcome = await Promise.race([running, expiry]);
  } catch (error) {
    finish();
    throw error;
  }
  if (outcome === 'expired') {
    // Answered already: how the aborted exchange ends no longer matters.
    running.then((response) => response.body?.cancel()).catch(() => {});
    abort.abort(new Error('deadline'));
    finish();
    return late();
  }
  // The body is looked at last: to look at it makes a stream of what was a string.
  const body = isEventStream(outcome.headers) ? outcome.body : null;
  if (body === null) {
    finish();
    return outcome;
  }
  const limited = endStreamOn(body, expiry, lateEvent, (wasLate) => {
    if (wasLate) abort.abort(new Error('deadline'));
    finish();
  });
  return new Response(limited, { status: outcome.status, headers: outcome.headers });
}

export function isEventStream(headers: Headers): boolean {
  return headers.get('content-type')?.startsWith('text/event-stream') === true;
}

function endStreamOn(
  body: ReadableStream<Uint8Array>,
  expiry: Promise<'expired'>,
  lateEvent: () => string,
  finish: (wasLate: boolean) => void,
): ReadableStream<Uint8Array> {
  const reader = body.getReader();
  return new ReadableStream<Uint8Array>({
    pull: async (controller) => {
      let part: Awaited<ReturnType<typeof reader.read>> | 'expired';
      try {
        part = await Promise.race([reader.read(), expiry]);
      } catch (error) {
        finish(false);
        controller.error(error);
        return;
      }
      if (part !== 'expired' && !part.done) {
        controller.enqueue(part.value);
        return;
      }
      if (part === 'expired') controller.enqueue(new TextEncoder().encode(lateEvent()));
      finish(part === 'expired');
      controller.close();
      if (part === 'expired') reader.cancel().catch(() => {});
    },
    cancel: async (reason) => {
      finish(false);
      await reader.cancel(reason);
    },
  });
}
