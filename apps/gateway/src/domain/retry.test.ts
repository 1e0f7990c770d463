import { fixedClock } from '@k8s-gpu-mcp/core/testing';
import { expect, test } from 'vitest';
import { type AgentCall, type AgentClient, AgentFailure, type AgentReply } from '../ports/agent-client.ts';
import { callWithRetry, type RetryOptions } from './retry.ts';

const ok: AgentReply = { isError: false, structuredContent: { fine: true } };
const reset = (retryAfterMilliseconds?: number) =>
  new AgentFailure('unreachable', 'reset', {
    isRetryable: true,
    ...(retryAfterMilliseconds === undefined ? {} : { retryAfterMilliseconds }),
  });

function setUp(script: readonly (AgentReply | AgentFailure)[], options: Partial<RetryOptions> = {}) {
  const clock = fixedClock();
  const begun = clock.now();
  const abort = new AbortController();
  const attempts: { at: number; deadlineMilliseconds: number }[] = [];
  const client: AgentClient = {
    async call(call) {
      attempts.push({ at: clock.now() - begun, deadlineMilliseconds: call.deadlineMilliseconds });
      const step = script[Math.min(attempts.length, script.length) - 1];
      if (step instanceof AgentFailure) throw step;
      if (step === undefined) throw new Error('no script');
      return step;
    },
    retain() {},
    async close() {},
  };
  const call: AgentCall = {
    node: {
      name: 'a',
      url: 'http://a',
      labels: {},
      notReadyBecause: null,
      instance: 'a',
      mayReceiveToken: true,
    },
    tool: 'get_gpu_health',
    arguments: {},
    deadlineMilliseconds: 10_000,
    signal: abort.signal,
    correlationId: '0123456789abcdef',
  };
  const run = async (changed: Partial<AgentCall> = {}) => {
    let isOver = false;
    const ended = callWithRetry(
      client,
      { ...call, ...changed },
      { clock, random: () => 0.5, isReadOnly: true, ...options },
    )
      .then(
        (reply) => ({ reply }),
        (failure: unknown) => ({ failure }),
      )
      .finally(() => {
        isOver = true;
      });
    for (let step = 0; step < 4_000 && !isOver; step += 1) {
      await Promise.resolve();
      if (step % 10 === 9) clock.advance(10);
    }
    return await ended;
  };
  return { run, attempts, abort, clock };
}

test('two retries with full jitter, each with what is left of the deadline', async () => {
  const { run, attempts } = setUp([reset(), reset(), ok]);
  expect(await run()).toEqual({ reply: ok });
  // Half of 100 and half of 200 ms.
  expect(attempts).toEqual([
    { at: 0, deadlineMilliseconds: 10_000 },
    { at: 50, deadlineMilliseconds: 9_950 },
    { at: 150, deadlineMilliseconds: 9_850 },
  ]);
});

test('a third retry is not made', async () => {
  const { run, attempts } = setUp([reset()]);
  expect(await run()).toMatchObject({ failure: { kind: 'unreachable' } });
  expect(attempts).toHaveLength(3);
});

test.each([
  ['a failure that repeats itself', new AgentFailure('refused', 'bad'), {}],
  ['a call that acts', reset(), { isReadOnly: false }],
  ['an agent that was replaced', reset(), { isWorthIt: () => false }],
])('%s is not tried again', async (_, failure, options) => {
  const { run, attempts } = setUp([failure, ok], options);
  expect(await run()).toEqual({ failure });
  expect(attempts).toHaveLength(1);
});

test('an error of the tool is an answer', async () => {
  const reply: AgentReply = { isError: true, text: 'INVALID_INPUT' };
  const { run, attempts } = setUp([reply, ok]);
  expect(await run()).toEqual({ reply });
  expect(attempts).toHaveLength(1);
});

test('Retry-After is honoured if it fits, else the failure is told at once', async () => {
  const fits = setUp([reset(3_000), ok]);
  expect(await fits.run()).toEqual({ reply: ok });
  expect(fits.attempts[1]).toEqual({ at: 3_000, deadlineMilliseconds: 7_000 });
  const long = setUp([reset(60_000), ok]);
  expect(await long.run()).toMatchObject({ failure: { kind: 'unreachable' } });
  expect(long.attempts).toHaveLength(1);
  expect(long.clock.now()).toBe(Date.parse('2026-01-01T00:00:00.000Z'));
});

test('no retry without time for it', async () => {
  const { run, attempts } = setUp([reset(), ok]);
  expect(await run({ deadlineMilliseconds: 140 })).toMatchObject({ failure: { kind: 'unreachable' } });
  expect(attempts).toHaveLength(1);
});

test('cancelling ends the wait', async () => {
  const { run, attempts, abort, clock } = setUp([reset(5_000), ok]);
  clock.after(200, () => abort.abort());
  expect(await run()).toMatchObject({ failure: { kind: 'cancelled' } });
  expect(attempts).toHaveLength(1);
});
