import { ProtocolError } from '@modelcontextprotocol/client';
import { describe, expect, test } from 'vitest';
import type { AgentCall } from '../../ports/agent-client.ts';
import { createCallWriter, resultIn } from './call-message.ts';

const given = { detail: 'summary', gpu: undefined };
const call = (more: Partial<AgentCall> = {}): AgentCall => ({
  node: { name: 'a', url: null, labels: {}, notReadyBecause: null, instance: 'a', mayReceiveToken: true },
  tool: 'get_gpu_health',
  arguments: given,
  deadlineMilliseconds: 5_000,
  signal: new AbortController().signal,
  correlationId: '0123456789abcdef',
  ...more,
});

describe('the request', () => {
  test('brings its own handshake, as the revision without sessions has it', () => {
    const bytes = createCallWriter('0.1.0')(call(), 4_000, '2026-07-28');
    expect(JSON.parse(bytes.toString())).toEqual({
      jsonrpc: '2.0',
      id: 1,
      method: 'tools/call',
      params: {
        name: 'get_gpu_health',
        arguments: { detail: 'summary' },
        _meta: {
          'io.modelcontextprotocol/protocolVersion': '2026-07-28',
          'io.modelcontextprotocol/clientInfo': { name: 'k8s-gpu-mcp-gateway', version: '0.1.0' },
          'io.modelcontextprotocol/clientCapabilities': {},
          'io.github.k8s-gpu-mcp/deadline-milliseconds': 4_000,
          'io.github.k8s-gpu-mcp/correlation-id': '0123456789abcdef',
        },
      },
    });
  });

  test('is written once for all nodes of a question, and anew for every other', () => {
    const write = createCallWriter('0.1.0');
    const first = write(call(), 4_000, '2026-07-28');
    expect(write(call(), 4_000, '2026-07-28')).toBe(first);
    const others = [
      write(call({ arguments: { detail: 'full' } }), 4_000, '2026-07-28'),
      write(call({ tool: 'get_gpu_inventory' }), 4_000, '2026-07-28'),
      write(call({ correlationId: 'fedcba9876543210' }), 4_000, '2026-07-28'),
      write(
        call({ traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01' }),
        4_000,
        '2026-07-28',
      ),
      write(call(), 3_999, '2026-07-28'),
      write(call(), 4_000, '2027-01-01'),
    ];
    expect(new Set([first, ...others].map(String)).size).toBe(1 + others.length);
  });
});

describe('the answer', () => {
  const answer = (more: object) => JSON.stringify({ jsonrpc: '2.0', id: 1, ...more });

  test('is the result of our request', () => {
    expect(resultIn(answer({ result: { content: [] } }))).toEqual({ content: [] });
  });

  test.each([
    ['a note', { id: undefined, method: 'notifications/message', params: {} }],
    ['a request', { method: 'ping' }],
    ['the answer to another request', { id: 4_711, result: {} }],
    ['an answer to nobody', { id: null, result: {} }],
  ])('%s is not it', (_, message) => {
    expect(resultIn(answer(message))).toBeUndefined();
  });

  test('an error is one', () => {
    const text = answer({ error: { code: -32_602, message: 'no', data: { a: 1 } } });
    expect(() => resultIn(text)).toThrow(ProtocolError);
    expect(() => resultIn(text)).toThrow(expect.objectContaining({ code: -32_602, data: { a: 1 } }));
  });

  test.each([
    '',
    '{',
    '"text"',
    'null',
    '[]',
    '{}',
    answer({}),
    answer({ result: [] }),
    answer({ error: {} }),
  ])('%s is not MCP', (text) => {
    expect(() => resultIn(text)).toThrow();
  });

  const nested = (levels: number) => {
    const inLists = levels % 2 === 0;
    const [open, close] = inLists ? ['[', ']'] : ['{"a":', '}'];
    return `{"jsonrpc":"2.0","id":1,"result":{"a":${open.repeat(levels)}1${close.repeat(levels)}}}`;
  };

  // The message and its result are levels too, and a hundred are allowed.
  test.each([97, 98])('nested %d levels deep in its result it is read', (levels) => {
    expect(resultIn(nested(levels))).toBeDefined();
  });

  test.each([99, 100, 100_000, 100_001])('nested %d levels deep it is not', (levels) => {
    expect(() => resultIn(nested(levels))).toThrow(/nested too deep/);
  });
});
