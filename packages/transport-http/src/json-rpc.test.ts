import { isLegacyRequest } from '@modelcontextprotocol/server';
import { describe, expect, it } from 'vitest';
import { claimsModern } from './json-rpc.ts';

const claim = { 'io.modelcontextprotocol/protocolVersion': '2026-07-28' };
const whole = { ...claim, 'io.modelcontextprotocol/clientCapabilities': {} };
const request = (params: unknown, more: object = {}) => ({
  jsonrpc: '2.0',
  id: 1,
  method: 'ping',
  params,
  ...more,
});

/** What the SDK says, whatever version a header names. */
const isEverLegacy = async (body: unknown) => {
  const answers = ['', '2025-06-18', '2026-07-28'].map((version) =>
    isLegacyRequest(
      new Request('http://localhost/mcp', {
        method: 'POST',
        headers: version === '' ? {} : { 'mcp-protocol-version': version },
      }),
      body,
    ),
  );
  return (await Promise.all(answers)).includes(true);
};

describe('a claim of the stateless revision', () => {
  it.each<[string, unknown]>([
    ['a whole envelope', request({ _meta: whole })],
    ['a tool call', request({ name: 'x', arguments: {}, _meta: whole }, { method: 'tools/call' })],
    ['an envelope that lacks something', request({ _meta: claim })],
    ['a version nobody knows', request({ _meta: { ...whole, ...{ [Object.keys(claim)[0] ?? '']: 'x' } } })],
    ['no JSON-RPC version', request({ _meta: whole }, { jsonrpc: '1.0' })],
    ['an id that is none', request({ _meta: whole }, { id: null })],
  ])('%s is one, and never a request of a session', async (_name, body) => {
    expect(claimsModern(body)).toBe(true);
    expect(await isEverLegacy(body)).toBe(false);
  });

  it.each<[string, unknown]>([
    ['no parameters', request(undefined)],
    ['no _meta', request({})],
    ['a _meta of something else', request({ _meta: { progressToken: 1 } })],
    ['initialize', request({ _meta: whole }, { method: 'initialize' })],
    ['a notification', { jsonrpc: '2.0', method: 'notifications/cancelled', params: { _meta: whole } }],
    ['a response', { jsonrpc: '2.0', id: 1, result: {}, method: 'ping', params: { _meta: whole } }],
    ['a batch', [request({ _meta: whole })]],
    ['null', null],
  ])('%s is left to the SDK', (_name, body) => {
    expect(claimsModern(body)).toBe(false);
  });

  it('planted fault: taking any request for one would be seen', async () => {
    expect(await isEverLegacy(request({}))).toBe(true);
  });
});
