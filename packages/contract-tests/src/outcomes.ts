/** Longest wait for an answer that should come: a first call may have to initialise the GPUs. */
const patienceMilliseconds = 20_000;
/** From the port: an aborted call rejects within this time, whatever the driver does. */
export const abortLimitMilliseconds = 250;

export type Outcome<Value> =
  | { readonly kind: 'resolved'; readonly value: Value }
  | { readonly kind: 'rejected'; readonly error: unknown }
  | { readonly kind: 'pending' };

/** What becomes of a promise within the time; never rejects. */
export function outcomeWithin<Value>(milliseconds: number, promise: Promise<Value>): Promise<Outcome<Value>> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve({ kind: 'pending' }), milliseconds);
    promise.then(
      (value) => {
        clearTimeout(timer);
        resolve({ kind: 'resolved', value });
      },
      (error: unknown) => {
        clearTimeout(timer);
        resolve({ kind: 'rejected', error });
      },
    );
  });
}

/** Turns a synchronous throw into a rejection: both are outcomes of a call. */
export async function attempt<Value>(call: () => Promise<Value>): Promise<Value> {
  return call();
}

/** The answer of a call that must succeed. */
export async function answerOf<Value>(what: string, call: () => Promise<Value>): Promise<Value> {
  const outcome = await outcomeWithin(patienceMilliseconds, attempt(call));
  if (outcome.kind === 'resolved') return outcome.value;
  if (outcome.kind === 'rejected') throw new Error(`${what} was rejected`, { cause: outcome.error });
  throw new Error(`${what} was not answered within ${patienceMilliseconds} ms`);
}

/** How a call that should fail ended, with patience. */
export function outcomeOf<Value>(call: () => Promise<Value>): Promise<Outcome<Value>> {
  return outcomeWithin(patienceMilliseconds, attempt(call));
}

/** For promises that go on in the background: their end is somebody else's. */
export function ignore(promise: Promise<unknown>): void {
  promise.catch(() => {});
}

export function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, milliseconds);
  });
}
