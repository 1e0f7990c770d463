import type { Confirmation, ConfirmationRequest } from '@k8s-gpu-mcp/core';
import { fixedClock } from '@k8s-gpu-mcp/core/testing';
import { beforeEach, describe, expect, test } from 'vitest';
import {
  AskedQuestions,
  type AskedScope,
  answerMilliseconds,
  carryConfirmation,
} from './carried-confirmation.ts';

const scope: AskedScope = {
  caller: 'alice',
  node: 'node-a',
  instance: 'pod-1',
  tool: 'reset_gpu',
  arguments: '[["gpu",0]]',
};

describe('what an answer counts for', () => {
  let clock: ReturnType<typeof fixedClock>;
  let asked: AskedQuestions;
  beforeEach(() => {
    clock = fixedClock();
    asked = new AskedQuestions(clock);
    asked.keep('ours', 'of-the-agent', scope);
  });

  test('the question it was asked for, once', () => {
    expect(asked.take('ours', scope)).toBe('of-the-agent');
    expect(() => asked.take('ours', scope)).toThrow('no question of this gateway');
  });

  test.each<[string, Partial<AskedScope>, string]>([
    ['another caller', { caller: 'mallory' }, 'is to no question of this gateway'],
    ['another node', { node: 'node-b' }, 'is to a question of another node'],
    ['another agent at that node', { instance: 'pod-2' }, 'is to an agent that is gone'],
    ['another tool', { tool: 'kill_gpu_process' }, 'is to a question about something else'],
    ['other arguments', { arguments: '[["gpu",1]]' }, 'is to a question about something else'],
  ])('not for %s', (_, changed, why) => {
    expect(() => asked.take('ours', { ...scope, ...changed })).toThrow(why);
  });

  test('another caller cannot spoil it either', () => {
    expect(() => asked.take('ours', { ...scope, caller: 'mallory' })).toThrow();
    expect(asked.take('ours', scope)).toBe('of-the-agent');
  });

  test("not the agent's own id", () => {
    expect(() => asked.take('of-the-agent', scope)).toThrow('no question of this gateway');
  });

  test('in time', () => {
    clock.advance(answerMilliseconds);
    asked.keep('later', 'x', scope);
    expect(asked.take('ours', scope)).toBe('of-the-agent');
    clock.advance(answerMilliseconds + 1);
    expect(() => asked.take('later', scope)).toThrow('came too late');
  });

  test('a flood of questions costs the oldest, and no more memory', () => {
    for (let count = 0; count < 10_000; count += 1) asked.keep(`q${count}`, 'x', scope);
    expect(() => asked.take('ours', scope)).toThrow('no question');
    expect(() => asked.take('q9743', scope)).toThrow('no question');
    expect(asked.take('q9744', scope)).toBe('x');
    expect(asked.take('q9999', scope)).toBe('x');
  });
});

describe('carryConfirmation', () => {
  const never = new AbortController().signal;
  const questionOf = (id: string, signal = never): ConfirmationRequest => ({
    id,
    message: 'Resets GPU 0.',
    signal,
    timeoutMilliseconds: 300_000,
  });

  function setUp(person: (question: ConfirmationRequest) => Promise<Confirmation>) {
    const clock = fixedClock();
    const asked = new AskedQuestions(clock);
    const stopping = new AbortController();
    const put: ConfirmationRequest[] = [];
    const waiting: boolean[] = [];
    let lastId = 0;
    const carry = (answeredQuestion?: string) =>
      carryConfirmation(
        {
          confirm: (question) => {
            put.push(question);
            return person(question);
          },
          ...(answeredQuestion === undefined ? {} : { answeredQuestion }),
        },
        scope,
        {
          ...{ asked, clock, stopping: stopping.signal },
          newQuestionId: () => {
            lastId += 1;
            return `own-${lastId}`;
          },
          onWaiting: (isWaiting) => waiting.push(isWaiting),
        },
      );
    return { clock, asked, stopping, put, waiting, carry };
  }

  test('the person is told by the gateway which node asks, under an id of its own', async () => {
    const { carry, put, waiting } = setUp(async () => 'accepted');
    expect(await carry().confirm?.(questionOf('of-the-agent'))).toBe('accepted');
    expect(put).toMatchObject([
      { id: 'own-1', message: 'Node node-a asks, before reset_gpu:\nResets GPU 0.' },
    ]);
    // An agent waits no longer than 120 s for an answer.
    expect(put[0]?.timeoutMilliseconds).toBeLessThan(120_000);
    expect(waiting).toEqual([true, false]);
  });

  test('a question that travels with the result comes back to the agent under its own id', async () => {
    const { carry } = setUp(async ({ id }) => (id === 'own-1' && answered ? 'accepted' : 'pending'));
    let answered = false;
    expect(await carry().confirm?.(questionOf('of-the-agent'))).toBe('pending');
    answered = true;
    const { confirm, answeredQuestion } = carry('own-1');
    expect(answeredQuestion).toBe('of-the-agent');
    expect(await confirm?.(questionOf('of-the-agent'))).toBe('accepted');
  });

  test('an answer serves one question: another, or the same again, is put to the person', async () => {
    const { carry, put } = setUp(async ({ id }) =>
      id === 'own-1' && put.length > 1 ? 'accepted' : 'pending',
    );
    await carry().confirm?.(questionOf('of-the-agent'));
    const { confirm } = carry('own-1');
    expect(await confirm?.(questionOf('something-else'))).toBe('pending');
    expect(await confirm?.(questionOf('of-the-agent'))).toBe('accepted');
    expect(await confirm?.(questionOf('of-the-agent'))).toBe('pending');
    expect(put.map(({ id }) => id)).toEqual(['own-1', 'own-2', 'own-1', 'own-3']);
  });

  test('an id that was not given out confirms nothing', () => {
    const { carry, put } = setUp(async () => 'accepted');
    expect(() => carry('forged')).toThrow('Nothing was done');
    expect(put).toEqual([]);
  });

  test('a client that cannot ask: the agent is told so', () => {
    const { clock, asked } = setUp(async () => 'accepted');
    const parts = { clock, asked, stopping: never, newQuestionId: () => 'x', onWaiting() {} };
    expect(carryConfirmation({}, scope, parts)).toEqual({});
  });

  test.each<[string, (rig: ReturnType<typeof setUp>, caller: AbortController) => void]>([
    ['the time for it is over', ({ clock }) => clock.advance(answerMilliseconds)],
    ['the gateway shuts down', ({ stopping }) => stopping.abort()],
    ['the call ends', (_, caller) => caller.abort()],
  ])('is withdrawn when %s', async (_, end) => {
    const rig = setUp(() => new Promise(() => {}));
    const caller = new AbortController();
    const answer = rig.carry().confirm?.(questionOf('q', caller.signal));
    end(rig, caller);
    expect(await answer).toBe('cancelled');
    expect(rig.put[0]?.signal.aborted).toBe(true);
    expect(rig.waiting).toEqual([true, false]);
  });

  test('a client that fails to ask has not confirmed', async () => {
    const { carry } = setUp(async () => {
      throw new Error('the stream broke');
    });
    expect(await carry().confirm?.(questionOf('q'))).toBe('cancelled');
  });
});
