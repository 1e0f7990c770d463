// Operator mode without a person to ask, and what a shutdown does to an operation that is going on.
import { existsSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import {
  auditOf,
  cannotKill,
  createFakeNode,
  endVictims,
  type FakeNode,
  heldBy,
  trailOf,
  until,
} from './fake-node.ts';
import { because, connectAlone, connectPerson, holder, kill, targetOf } from './operator-client.ts';
import type { RunningAgent } from './run-agent.ts';

let node: FakeNode;
afterEach(endVictims);

describe.skipIf(cannotKill)(`a client that cannot ask${because(cannotKill)}`, () => {
  beforeAll(() => {
    node = createFakeNode();
  });
  afterAll(() => node.dispose());

  it('is refused', async () => {
    const victim = await holder(node);
    const agent = await connectAlone(node);
    const planned = await agent.call(targetOf(victim));
    const planId = planned.structuredContent?.planId ?? '';
    const refused = await agent.call({ ...targetOf(victim), planId });
    expect(refused.isError).toBe(true);
    expect(refused.content[0]?.text).toMatch(/^NOT_SUPPORTED: .*--confirm-without-elicitation/);
    expect(victim.isAlive()).toBe(true);
    expect(trailOf(node.path('audit'), planId)).toEqual(['plan planned', 'confirm refused']);
    agent.child.stdin.end();
    expect((await agent.exited).code).toBe(0);
  });

  it('acts on the plan alone where that was allowed, and the audit says that nobody was asked', async () => {
    const victim = await holder(node);
    const agent = await connectAlone(node, '--confirm-without-elicitation');
    const { planId = '' } = (await agent.call(targetOf(victim))).structuredContent ?? {};
    const done = await agent.call({ ...targetOf(victim), planId });
    expect(done.structuredContent).toMatchObject({ outcome: 'done' });
    await victim.exited;
    const confirmed = auditOf(node.path('audit')).find(
      (line) => line.planId === planId && line.phase === 'confirm',
    );
    expect(confirmed).toMatchObject({
      outcome: 'done',
      detail: expect.stringContaining('No person was asked'),
    });
    agent.child.stdin.end();
    expect((await agent.exited).code).toBe(0);
  });

  it.each([
    ['SIGTERM', true, ({ child }: RunningAgent) => child.kill('SIGTERM')],
    ['the end of its input', true, ({ child }: RunningAgent) => child.stdin.end()],
    [
      'a client that goes away',
      false,
      ({ child }: RunningAgent) => {
        child.stdout.destroy();
        child.stdin.destroy();
      },
    ],
  ] as const)('%s does not cut off a kill in its grace', async (_, isThere, shutDown) => {
    const after = node.prepare(heldBy());
    const victim = await holder(node, { isStubborn: true, after });
    const agent = await connectAlone(node, '--confirm-without-elicitation');
    const target = { ...targetOf(victim), graceSeconds: 3 };
    const { planId = '' } = (await agent.call(target)).structuredContent ?? {};
    agent.send({ ...target, planId });
    // Until it has its SIGTERM, the caller may still call it off.
    await until(() => !existsSync(after.from));
    shutDown(agent);
    const { code, stdout } = await agent.exited;
    expect(code).toBe(0);
    expect(trailOf(node.path('audit'), planId)).toEqual([
      'plan planned',
      'confirm done',
      'act done',
      'verify done',
    ]);
    expect(await victim.exited).toEqual({ code: null, signal: 'SIGKILL' });
    if (isThere) expect(stdout).toContain('ended-by-sigkill');
  });

  it('a second signal means now', async () => {
    const after = node.prepare(heldBy());
    const victim = await holder(node, { isStubborn: true, after });
    const agent = await connectAlone(node, '--confirm-without-elicitation');
    const target = { ...targetOf(victim), graceSeconds: 60 };
    const { planId = '' } = (await agent.call(target)).structuredContent ?? {};
    agent.send({ ...target, planId });
    await until(() => !existsSync(after.from));
    const startedAt = performance.now();
    // Two different ones: of two equal ones the kernel may deliver one.
    agent.child.kill('SIGTERM');
    agent.child.kill('SIGINT');
    expect((await agent.exited).code).toBe(0);
    expect(performance.now() - startedAt).toBeLessThan(10_000);
    expect(victim.isAlive()).toBe(true);
  });
});

describe.skipIf(cannotKill)(`shutdown while a person is asked${because(cannotKill)}`, () => {
  it('withdraws the question and leaves the process alone', async () => {
    node = createFakeNode();
    const victim = await holder(node);
    const session = await connectPerson(node, { mode: 'legacy' });
    const planId = await session.plan(targetOf(victim));
    let isAsked = () => {};
    const asked = new Promise<void>((resolve) => {
      isAsked = resolve;
    });
    session.answerWith(() => {
      isAsked();
      return new Promise(() => {});
    });
    const closed = new Promise<void>((resolve) => {
      session.client.onclose = resolve;
    });
    const call = session.operate(kill, { ...targetOf(victim), planId }).then(
      ({ outcome }) => outcome,
      () => 'no answer',
    );
    await asked;
    const startedAt = performance.now();
    process.kill(session.pid ?? 0, 'SIGTERM');
    await closed;
    expect(performance.now() - startedAt).toBeLessThan(10_000);
    expect(await call).toBe('cancelled');
    expect(victim.isAlive()).toBe(true);
    expect(trailOf(node.path('audit'), planId)).toEqual(['plan planned', 'confirm declined']);
    node.dispose();
  });
});
