import { describe, expect, it } from 'vitest';
import { withDeadline } from './deadline.ts';

const late = () => new Response('late', { status: 504 });
const lateEvent = () => 'data: late\n\n';
const stream = (start: (controller: ReadableStreamDefaultController<Uint8Array>) => void) =>
  new Response(new ReadableStream({ start }), { headers: { 'content-type': 'text/event-stream' } });
const bytes = (text: string) => new TextEncoder().encode(text);

describe('withDeadline', () => {
  it('hands an answer in time through', async () => {
    let ended = 0;
    const response = await withDeadline(
      60_000,
      new AbortController().signal,
      async () => new Response('in time'),
      late,
      lateEvent,
      () => {
        ended += 1;
      },
    );
    expect(await response.text()).toBe('in time');
    expect(ended).toBe(1);
  });

  it('answers 504 for one that never comes, and aborts it', async () => {
    let aborted = false;
    const response = await withDeadline(
      10,
      new AbortController().signal,
      (signal) =>
        new Promise(() => {
          signal.addEventListener('abort', () => {
            aborted = true;
          });
        }),
      late,
      lateEvent,
      () => {},
    );
    expect(response.status).toBe(504);
    expect(aborted).toBe(true);
  });

  it('ends a stream that has begun with the late event', async () => {
    let ended = 0;
    const response = await withDeadline(
      30,
      new AbortController().signal,
      async () => stream((controller) => controller.enqueue(bytes('data: progress\n\n'))),
      late,
      lateEvent,
      () => {
        ended += 1;
      },
    );
    expect(await response.text()).toBe('data: progress\n\ndata: late\n\n');
    expect(ended).toBe(1);
  });

  it('lets a stream that ends in time end', async () => {
    const response = await withDeadline(
      60_000,
      new AbortController().signal,
      async () =>
        stream((controller) => {
          controller.enqueue(bytes('data: done\n\n'));
          controller.close();
        }),
      late,
      lateEvent,
      () => {},
    );
    expect(await response.text()).toBe('data: done\n\n');
  });

  it('passes a client that goes away on', async () => {
    const client = new AbortController();
    const answer = withDeadline(
      60_000,
      client.signal,
      (signal) =>
        new Promise((resolve) => {
          signal.addEventListener('abort', () => resolve(new Response('client gone')));
        }),
      late,
      lateEvent,
      () => {},
    );
    client.abort();
    expect(await (await answer).text()).toBe('client gone');
  });

  it('passes a failure on', async () => {
    const failing = withDeadline(
      60_000,
      new AbortController().signal,
      async () => {
        throw new Error('boom');
      },
      late,
      lateEvent,
      () => {},
    );
    await expect(failing).rejects.toThrow('boom');
  });
});
