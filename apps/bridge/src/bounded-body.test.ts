import { describe, expect, it } from 'vitest';
import { boundedBody } from './bounded-body.ts';

async function through(kind: 'event-stream' | 'whole', maxBytes: number, chunks: readonly string[]) {
  const source = new ReadableStream<Uint8Array<ArrayBuffer>>({
    start(controller) {
      for (const chunk of chunks) controller.enqueue(new TextEncoder().encode(chunk));
      controller.close();
    },
  });
  return new Response(source.pipeThrough(boundedBody(maxBytes, kind))).text();
}

describe('boundedBody', () => {
  it.each([
    ['blank lines in one chunk', ['data: 123\n\n'.repeat(100)]],
    ['one event a chunk', Array.from({ length: 100 }, () => 'data: 123\n\n')],
    ['every byte a chunk', [...'data: 123\r\n\r\n'.repeat(20)]],
  ])('lets an event stream go on for ever while its events are small: %s', async (_name, chunks) => {
    expect(await through('event-stream', 13, chunks)).toBe(chunks.join(''));
  });

  it('takes exactly the limit and not one byte more', async () => {
    expect(await through('whole', 8, ['1234', '5678'])).toBe('12345678');
    await expect(through('whole', 8, ['1234', '56789'])).rejects.toThrow('more than 8 bytes');
  });

  it.each([
    ['without a line', ['x'.repeat(8), 'x'.repeat(8)]],
    ['of many lines', Array.from({ length: 10 }, () => 'data\n')],
    ['in the middle of a chunk', [`\n\n${'x'.repeat(20)}\n\n`]],
  ])('planted fault: an event that is too long, %s', async (_name, chunks) => {
    await expect(through('event-stream', 13, chunks)).rejects.toThrow('more than 13 bytes');
  });
});
