import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { httpLoad, modernCallOf, postOf, sessionHeaders, wholeAnswer } from './http.mjs';

const answer = (...parts: string[]) => wholeAnswer(Buffer.from(parts.join('\r\n')));

describe('wholeAnswer', () => {
  it('waits for as many bytes as the head says', () => {
    const head = ['HTTP/1.1 200 OK', 'Content-Length: 4', ''];
    expect(answer(...head)).toBeUndefined();
    expect(answer(...head, 'abc')).toBeUndefined();
    const whole = answer(...head, 'abcd');
    expect([whole?.status, whole?.body.toString()]).toEqual([200, 'abcd']);
  });

  it('waits for the last chunk', () => {
    const head = ['HTTP/1.1 200 OK', 'Transfer-Encoding: chunked', ''];
    expect(answer(...head, '3', 'abc', '')).toBeUndefined();
    expect(answer(...head, '3', 'abc', '0', '', '')?.status).toBe(200);
    expect(answer(...head, '0', '', '')?.status).toBe(200);
  });

  it('knows that 204 has no body, and does not guess otherwise', () => {
    expect(answer('HTTP/1.1 204 No Content', '', '')?.status).toBe(204);
    expect(answer('HTTP/1.1 200 OK', '', '')).toBeUndefined();
  });
});

describe('sessionHeaders', () => {
  it('brings the session along where there is one', () => {
    expect(sessionHeaders({ head: 'HTTP/1.1 200 OK\r\nMcp-Session-Id: abc' })).toMatchObject({
      'mcp-session-id': 'abc',
    });
    expect(sessionHeaders({ head: 'HTTP/1.1 200 OK' })).not.toHaveProperty('mcp-session-id');
  });
});

describe('httpLoad', () => {
  let close = () => {};
  afterEach(() => close());
  async function serve(body: string) {
    let seen = 0;
    const connections = new Set<unknown>();
    const server = createServer((request, response) => {
      seen += 1;
      request.resume().on('end', () => response.end(body));
    }).on('connection', (socket) => connections.add(socket));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    close = () => void server.close();
    const { port } = server.address() as AddressInfo;
    return { port, seen: () => seen, connections };
  }

  it('sends as many requests as asked for, over as many connections', async () => {
    const { port, seen, connections } = await serve('{"result":{}}');
    const { requestsPerSecond } = await httpLoad({ port, request: postOf({}), connections: 4, requests: 50 });
    expect([seen(), connections.size]).toEqual([50, 4]);
    expect(requestsPerSecond).toBeGreaterThan(0);
  });

  it.each([
    ['without a result', '{"error":{}}'],
    ['of a tool that failed', '{"result":{"content":[],"isError":true}}'],
  ])('planted fault: an answer %s counts for nothing', async (_, body) => {
    const { port } = await serve(body);
    await expect(httpLoad({ port, request: postOf({}), connections: 2, requests: 10 })).rejects.toThrow(
      'HTTP 200',
    );
  });

  it('takes an answer that tells of a failure in its text', async () => {
    const body = JSON.stringify({ result: { content: [{ type: 'text', text: '{"isError":true}' }] } });
    const { port, seen } = await serve(body);
    await httpLoad({ port, request: modernCallOf(1, 'echo'), connections: 1, requests: 3 });
    expect(seen()).toBe(3);
  });
});
