import { EventEmitter, once } from 'node:events';
import { PassThrough } from 'node:stream';
import { setImmediate } from 'node:timers/promises';
import { McpServer } from '@modelcontextprotocol/server';
import { afterEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { type ServeStdioOptions, type StdioServing, serveStdio } from './serve-stdio.ts';

const INITIALIZE = {
  jsonrpc: '2.0',
  id: 1,
  method: 'initialize',
  params: { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'test', version: '0' } },
};
const ping = (id: number | string) => ({ jsonrpc: '2.0', id, method: 'ping' });
const call = (id: number, name: string, args = {}) => ({
  jsonrpc: '2.0',
  id,
  method: 'tools/call',
  params: { name, arguments: args },
});

interface Harness {
  readonly stdin: PassThrough;
  readonly stdout: PassThrough;
  readonly signals: EventEmitter;
  readonly serving: StdioServing;
  readonly release: () => void;
  readonly aborted: () => boolean;
  send(...messages: unknown[]): void;
  /** The next message on stdout. */
  next(): Promise<Record<string, unknown>>;
}

const open: Harness[] = [];

function harness(options: ServeStdioOptions = {}): Harness {
  const stdin = new PassThrough();
  const stdout = new PassThrough();
  const signals = new EventEmitter();
  const gate = new EventEmitter();
  let aborted = false;
  const factory = () => {
    const server = new McpServer({ name: 'test', version: '0' });
    server.registerTool('echo', { inputSchema: z.strictObject({ text: z.string() }) }, ({ text }) => ({
      content: [{ type: 'text', text }],
    }));
    server.registerTool('wait', {}, async (ctx) => {
      ctx.mcpReq.signal.addEventListener('abort', () => {
        aborted = true;
      });
      await once(gate, 'release');
      return { content: [{ type: 'text', text: 'released' }] };
    });
    return server;
  };
  const serving = serveStdio(factory, {
    stdin,
    stdout,
    stderr: new PassThrough(),
    signals,
    drainMilliseconds: 50,
    ...options,
  });
  const lines: Record<string, unknown>[] = [];
  let held = '';
  const arrived = new EventEmitter();
  stdout.on('data', (chunk: Buffer) => {
    held += chunk.toString();
    for (let end = held.indexOf('\n'); end !== -1; end = held.indexOf('\n')) {
      lines.push(JSON.parse(held.slice(0, end)));
      held = held.slice(end + 1);
    }
    arrived.emit('line');
  });
  const created: Harness = {
    stdin,
    stdout,
    signals,
    serving,
    release: () => gate.emit('release'),
    aborted: () => aborted,
    send: (...messages) => {
      for (const message of messages)
        stdin.write(typeof message === 'string' ? `${message}\n` : `${JSON.stringify(message)}\n`);
    },
    next: async () => {
      while (lines.length === 0) await once(arrived, 'line');
      return lines.shift() ?? {};
    },
  };
  open.push(created);
  return created;
}

afterEach(async () => {
  await Promise.all(open.splice(0).map(({ serving }) => serving.close()));
});

async function initialized(options?: ServeStdioOptions): Promise<Harness> {
  const server = harness(options);
  server.send(INITIALIZE);
  expect(await server.next()).toMatchObject({ id: 1, result: { serverInfo: { name: 'test' } } });
  server.send({ jsonrpc: '2.0', method: 'notifications/initialized' });
  return server;
}

describe('malformed input is answered and the next message works', () => {
  it.each<[string, string | Buffer, number, unknown]>([
    ['truncated JSON', '{"jsonrpc":"2.0","id":7,"method":"pi', -32700, null],
    ['no JSON at all', 'hello', -32700, null],
    ['a batch', JSON.stringify([ping(7)]), -32600, null],
    ['JSON that is no message', '{"a":1}', -32600, null],
    ['a number', '42', -32600, null],
    ['another JSON-RPC version', '{"jsonrpc":"1.0","id":7,"method":"ping"}', -32600, 7],
    ['invalid UTF-8', Buffer.from([0x22, 0xc3, 0x28, 0x22]), -32700, null],
    ['a line of 5 MB', `"${'x'.repeat(5_000_000)}"`, -32600, null],
  ])('%s', async (_name, line, code, id) => {
    const server = await initialized();
    server.stdin.write(Buffer.concat([Buffer.from(line), Buffer.from('\n')]));
    expect(await server.next()).toMatchObject({ jsonrpc: '2.0', id, error: { code } });
    server.send(ping(2));
    expect(await server.next()).toEqual({ jsonrpc: '2.0', id: 2, result: {} });
  });

  it('skips blank lines without an answer', async () => {
    const server = await initialized();
    server.stdin.write('\n\r\n   \n');
    server.send(ping(2));
    expect(await server.next()).toMatchObject({ id: 2 });
  });

  it('answers an unknown tool and bad arguments, and goes on', async () => {
    const server = await initialized();
    server.send(call(2, 'no_such_tool'), call(3, 'echo', { txet: 'x' }), call(4, 'echo', { text: 'hi' }));
    expect(await server.next()).toMatchObject({ id: 2, error: { code: -32602 } });
    expect(await server.next()).toMatchObject({ id: 3, result: { isError: true } });
    expect(await server.next()).toMatchObject({ id: 4, result: { content: [{ text: 'hi' }] } });
  });
});

describe('shutdown', () => {
  it('answers what was asked before end of input', async () => {
    const server = await initialized({ drainMilliseconds: 5_000 });
    server.send(call(2, 'wait'), ping(3));
    server.stdin.end();
    expect(await server.next()).toMatchObject({ id: 3 });
    server.release();
    expect(await server.next()).toMatchObject({ id: 2, result: { content: [{ text: 'released' }] } });
    expect(await server.serving.closed).toEqual({
      reason: 'stdin-end',
      answeredRequests: 3,
      abandonedRequests: 0,
    });
  });

  it('takes a last request without its newline', async () => {
    const server = await initialized();
    server.stdin.end(JSON.stringify(ping('last')));
    expect(await server.next()).toMatchObject({ id: 'last', result: {} });
    expect(await server.serving.closed).toMatchObject({ reason: 'stdin-end' });
  });

  it.each(['SIGTERM', 'SIGINT'])(
    '%s drains, gives up a handler that never returns, and closes once',
    async (name) => {
      const server = await initialized();
      server.send(call(2, 'wait'), ping(3));
      expect(await server.next()).toMatchObject({ id: 3 });
      server.signals.emit(name);
      server.stdin.end();
      expect(await server.serving.closed).toEqual({
        reason: name,
        answeredRequests: 2,
        abandonedRequests: 1,
      });
      expect(server.aborted()).toBe(true);
      expect(server.signals.listenerCount(name)).toBe(0);
    },
  );

  it('a second signal ends the drain', async () => {
    const server = await initialized({ drainMilliseconds: 3_600_000 });
    server.send(call(2, 'wait'), ping(3));
    await server.next();
    server.signals.emit('SIGTERM');
    server.signals.emit('SIGINT');
    expect(await server.serving.closed).toMatchObject({ reason: 'SIGTERM', abandonedRequests: 1 });
  });

  it('takes no new request while draining', async () => {
    const server = await initialized({ drainMilliseconds: 5_000 });
    server.send(call(2, 'wait'), ping(3));
    await server.next();
    server.signals.emit('SIGTERM');
    server.send(ping(4));
    while (server.stdin.readableLength + server.stdin.writableLength > 0) await setImmediate();
    server.release();
    expect(await server.next()).toMatchObject({ id: 2 });
    expect(await server.serving.closed).toMatchObject({ answeredRequests: 3 });
  });

  it('a broken stdout ends serving at once', async () => {
    const server = await initialized({ drainMilliseconds: 3_600_000 });
    server.send(call(2, 'wait'), ping(3));
    await server.next();
    server.stdout.emit('error', Object.assign(new Error('write EPIPE'), { code: 'EPIPE' }));
    expect(await server.serving.closed).toMatchObject({ reason: 'stdout-error', abandonedRequests: 1 });
    server.stdout.emit('error', new Error('a late one must not throw'));
  });

  it('does not wait for a cancelled call', async () => {
    const server = await initialized({ drainMilliseconds: 3_600_000 });
    server.send(call(2, 'wait'), {
      jsonrpc: '2.0',
      method: 'notifications/cancelled',
      params: { requestId: 2 },
    });
    server.stdin.end();
    expect(await server.serving.closed).toMatchObject({ reason: 'stdin-end', abandonedRequests: 0 });
  });

  it('input that has ended before serving began', async () => {
    const stdin = new PassThrough();
    stdin.end();
    stdin.resume();
    await once(stdin, 'end');
    expect(await harness({ stdin }).serving.closed).toMatchObject({ reason: 'stdin-end' });
  });

  it('close() by the host', async () => {
    const server = await initialized();
    expect(await server.serving.close()).toMatchObject({ reason: 'closed' });
    expect(await server.serving.close()).toMatchObject({ reason: 'closed' });
  });
});

describe('maxRequests', () => {
  it('closes after that many answers and takes no more', async () => {
    const server = harness({ maxRequests: 2 });
    server.send(INITIALIZE, ping(2), ping(3));
    expect(await server.next()).toMatchObject({ id: 1 });
    expect(await server.next()).toMatchObject({ id: 2 });
    expect(await server.serving.closed).toEqual({
      reason: 'max-requests',
      answeredRequests: 2,
      abandonedRequests: 0,
    });
  });

  it('does not count what was no request', async () => {
    const server = harness({ maxRequests: 1 });
    server.send('garbage', INITIALIZE);
    expect(await server.next()).toMatchObject({ error: { code: -32700 } });
    expect(await server.next()).toMatchObject({ id: 1, result: {} });
    expect(await server.serving.closed).toMatchObject({ reason: 'max-requests' });
  });
});

describe('2026-07-28 clients', () => {
  it('are served without initialize', async () => {
    const server = harness();
    const _meta = {
      'io.modelcontextprotocol/protocolVersion': '2026-07-28',
      'io.modelcontextprotocol/clientCapabilities': {},
    };
    server.send({ jsonrpc: '2.0', id: 1, method: 'server/discover', params: { _meta } });
    expect(await server.next()).toMatchObject({ id: 1, result: { supportedVersions: ['2026-07-28'] } });
    server.send({
      jsonrpc: '2.0',
      id: 2,
      method: 'tools/call',
      params: { _meta, name: 'echo', arguments: { text: 'modern' } },
    });
    expect(await server.next()).toMatchObject({ id: 2, result: { content: [{ text: 'modern' }] } });
  });

  it('an open subscription does not hold shutdown up', async () => {
    const server = harness({ drainMilliseconds: 3_600_000 });
    const _meta = {
      'io.modelcontextprotocol/protocolVersion': '2026-07-28',
      'io.modelcontextprotocol/clientCapabilities': {},
    };
    server.send({
      jsonrpc: '2.0',
      id: 1,
      method: 'subscriptions/listen',
      params: { _meta, notifications: { toolsListChanged: true } },
    });
    expect(await server.next()).toMatchObject({ method: 'notifications/subscriptions/acknowledged' });
    server.signals.emit('SIGTERM');
    expect(await server.serving.closed).toMatchObject({ reason: 'SIGTERM', abandonedRequests: 0 });
  });
});
