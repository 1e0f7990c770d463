import { silentLogger } from '@k8s-gpu-mcp/core';
import type { JSONRPCMessage, JSONRPCRequest } from '@modelcontextprotocol/client';
import { describe, expect, it } from 'vitest';
import type { Link, Outcome, Session } from './link.ts';
import { Relay } from './relay.ts';

const refused: Outcome = { kind: 'not-sent', reason: 'nobody', isTransient: true, isRefused: true };
const starting: Outcome = { ...refused, isRefused: false };
const answer = (request: JSONRPCRequest): Outcome => ({
  kind: 'answered',
  response: { jsonrpc: '2.0', id: request.id, result: {} },
  sessionId: undefined,
});
/** A thousand milliseconds pass with each attempt. */
function relayOver(outcomes: (tries: number, request: JSONRPCRequest) => Outcome, hasWorked = false) {
  let now = 0;
  let tries = 0;
  const sent: JSONRPCMessage[] = [];
  const link: Link = {
    farSide: 'gateway',
    hasWorked,
    onmessage: () => {},
    async exchange(request) {
      now += 1_000;
      tries += 1;
      return outcomes(tries, request);
    },
    post: async () => ({ kind: 'accepted' }),
    createSession: (): Session => {
      throw new Error('no session is opened here');
    },
    close: async () => {},
  };
  const relay = new Relay({
    link,
    send: (message) => sent.push(message),
    hasToken: () => false,
    clock: { now: () => now, after: () => () => {} },
    logger: silentLogger,
  });
  const ask = async (method: string) => {
    relay.receive({ jsonrpc: '2.0', id: 1, method });
    await expect.poll(() => sent).toHaveLength(1);
    return { reply: sent[0], tries };
  };
  return { ask };
}

describe('a request that cannot be sent', () => {
  it('is tried twice where nothing takes the connection and nothing ever did', async () => {
    const { reply, tries } = await relayOver(() => refused).ask('ping');
    expect(tries).toBe(2);
    expect(reply).toHaveProperty('error.message', expect.stringContaining('was not sent. nobody'));
  });

  it('is tried for eight seconds where the far side was once heard, or is about to start', async () => {
    expect((await relayOver(() => refused, true).ask('ping')).tries).toBe(8);
    expect((await relayOver(() => starting).ask('ping')).tries).toBe(8);
  });

  it('is answered when the second try gets through', async () => {
    const { reply } = await relayOver((tries, request) => (tries < 2 ? refused : answer(request))).ask(
      'ping',
    );
    expect(reply).toEqual({ jsonrpc: '2.0', id: 1, result: {} });
  });

  it('is not tried again when somebody must change something first', async () => {
    const { tries } = await relayOver(() => ({ ...refused, isTransient: false })).ask('ping');
    expect(tries).toBe(1);
  });
});

describe('a request that was lost', () => {
  const lost: Outcome = { kind: 'lost', reason: 'cut' };
  it('is sent once more if it only reads, and never otherwise', async () => {
    expect((await relayOver(() => lost).ask('ping')).tries).toBe(2);
    expect((await relayOver(() => lost).ask('tools/call')).tries).toBe(1);
  });

  it('planted fault: a relay that repeats what may have acted would be seen', async () => {
    const { tries } = await relayOver((count) => (count < 2 ? starting : lost)).ask('tools/call');
    expect(tries).not.toBe(1);
  });
});
