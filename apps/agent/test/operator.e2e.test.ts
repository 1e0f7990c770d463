// Operator mode as a whole: the program as users run it, on a real dlopen'ed library (the C fake), with real processes that it ends.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { nvidiaSmiCandidates } from '@k8s-gpu-mcp/nvml';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import {
  auditOf,
  cannotKill,
  createFakeNode,
  endVictims,
  type FakeNode,
  heldBy,
  heldBytes,
  startVictim,
  trailOf,
} from './fake-node.ts';
import { because, connectAlone, connectPerson, holder, kill, targetOf, yes } from './operator-client.ts';

let node: FakeNode;
afterEach(endVictims);

const eras = [
  ['up to 2025-11-25', { mode: 'legacy' }],
  ['2026-07-28', { mode: { pin: '2026-07-28' } }],
] as const;

describe.skipIf(cannotKill)(`a person at the client, over stdio${because(cannotKill)}`, () => {
  describe.each(eras)('%s', (_, negotiation) => {
    let session: Awaited<ReturnType<typeof connectPerson>>;
    beforeAll(async () => {
      node = createFakeNode();
      session = await connectPerson(node, negotiation);
    });
    afterAll(async () => {
      await session.client.close();
      node.dispose();
    });

    it('ends the process that was planned, once the person agreed, and says so in the audit', async () => {
      const victim = await holder(node);
      session.answerWith(yes);
      const planned = await session.operate(kill, targetOf(victim));
      expect(planned).toMatchObject({
        outcome: 'planned',
        canAct: true,
        plan: {
          process: {
            pid: victim.pid,
            startedAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
            userId: process.getuid?.(),
            command: expect.stringContaining('SIGTERM'),
          },
          gpus: [{ index: 0, kinds: ['compute'], memoryUsedBytes: heldBytes }],
        },
      });
      expect(victim.isAlive()).toBe(true);
      const { planId } = planned;
      const done = await session.operate(kill, { ...targetOf(victim), planId });
      expect(done).toMatchObject({
        outcome: 'done',
        act: { result: 'ended-by-sigterm' },
        verification: [
          { check: 'process-gone', passed: true },
          { check: 'gpu-released', passed: true },
        ],
      });
      expect(await victim.exited).toEqual({ code: 0, signal: null });
      expect(session.questions).toHaveLength(1);
      expect(session.questions[0]).toContain(`process ${victim.pid} (started`);
      expect(session.questions[0]).toContain('4.0 GiB of GPU 0');

      const records = auditOf(node.path('audit')).filter((line) => line.planId === planId);
      for (const record of records)
        expect(record).toMatchObject({ caller: 'local', tool: kill, node: 'node-a' });
      expect(records.at(-1)?.target).toMatchObject({ pid: victim.pid, startTicks: expect.any(Number) });
      const steps = ['plan planned', 'confirm done', 'act done', 'verify done'];
      // Where the question is the result of a call, that it was put is a step of its own.
      const question = negotiation.mode === 'legacy' ? [] : ['confirm planned'];
      expect(trailOf(node.path('audit'), planId ?? '')).toEqual([steps[0], ...question, ...steps.slice(1)]);
    });

    it('leaves the process alone when the person says no, or nothing', async () => {
      const victim = await holder(node);
      for (const [answer, outcome] of [
        [{ action: 'decline' }, 'declined'],
        [{ action: 'cancel' }, 'cancelled'],
        [{ action: 'accept', content: { confirm: false } }, 'declined'],
      ] as const) {
        session.answerWith(() => answer);
        const planId = await session.plan(targetOf(victim));
        const answered = await session.operate(kill, { ...targetOf(victim), planId });
        expect(answered).toMatchObject({ outcome });
        expect(trailOf(node.path('audit'), planId).at(-1)).toBe('confirm declined');
        // Its plan is used up all the same.
        session.answerWith(yes);
        expect(await session.refusal(kill, { ...targetOf(victim), planId })).toContain('has been used');
        expect(session.questions).toEqual([]);
      }
      expect(victim.isAlive()).toBe(true);
    });

    it('refuses when the process was replaced while the person thought', async () => {
      const victim = await holder(node);
      const planId = await session.plan(targetOf(victim));
      session.answerWith(async (message) => {
        await victim.end();
        await holder(node);
        return yes(message);
      });
      const text = await session.refusal(kill, { ...targetOf(victim), planId });
      expect(text).toContain(`does not hold GPU 0`);
      expect(text).toContain('Nothing was done');
      expect(trailOf(node.path('audit'), planId).at(-1)).toBe('confirm refused');
    });
  });
});

describe.skipIf(cannotKill)(`which process it is${because(cannotKill)}`, () => {
  let session: Awaited<ReturnType<typeof connectPerson>>;
  beforeAll(async () => {
    node = createFakeNode();
    session = await connectPerson(node, { mode: 'legacy' });
  });
  afterAll(async () => {
    await session.client.close();
    node.dispose();
  });

  it('a plan whose process was replaced is refused before anybody is asked', async () => {
    const victim = await holder(node);
    const planId = await session.plan(targetOf(victim));
    await victim.end();
    const successor = await holder(node);
    session.answerWith(yes);
    const text = await session.refusal(kill, { ...targetOf(victim), planId });
    expect(text).toContain(`it is held by ${successor.pid}`);
    expect(session.questions).toEqual([]);
    expect(successor.isAlive()).toBe(true);
  });

  const lastPid = '/proc/sys/kernel/ns_last_pid';
  const cannotReuse =
    existsSync(lastPid) && process.getuid?.() === 0 ? undefined : `needs root and ${lastPid}`;
  it.skipIf(cannotReuse)(
    `a plan whose pid went to another process is refused${because(cannotReuse)}`,
    async () => {
      const victim = await holder(node);
      const planId = await session.plan(targetOf(victim));
      await victim.end();
      const successor = await startWithPid(victim.pid, lastPid);
      try {
        node.configure(heldBy(successor.pid));
        session.answerWith(yes);
        const text = await session.refusal(kill, { ...targetOf(victim), planId });
        expect(text).toContain('the facts have changed: startTicks was');
        expect(session.questions).toEqual([]);
        expect(existsSync(`/proc/${successor.pid}`)).toBe(true);
      } finally {
        successor.end();
      }
    },
  );

  it('one that ignores SIGTERM ends by SIGKILL after the grace', async () => {
    const victim = await holder(node, { isStubborn: true });
    session.answerWith(yes);
    const target = { ...targetOf(victim), graceSeconds: 1 };
    const planId = await session.plan(target);
    const startedAt = performance.now();
    expect(await session.operate(kill, { ...target, planId })).toMatchObject({
      outcome: 'done',
      act: { result: 'ended-by-sigkill' },
    });
    expect(performance.now() - startedAt).toBeGreaterThanOrEqual(1_000);
    expect(await victim.exited).toEqual({ code: null, signal: 'SIGKILL' });
  });

  it.each([
    // The driver keeps it in its list: what was to be achieved was not.
    ['still lists it', (pid: number) => heldBy(pid), 'failed', false],
    ['cannot be read', () => ({ gpus: [{ 'process.compute': null }] }), 'unverified', null],
  ] as const)('is not called done when the GPU %s afterwards', async (_, stateAfter, outcome, passed) => {
    session.answerWith(yes);
    const after = node.prepare(heldBy());
    const victim = await holder(node, { after });
    writeFileSync(after.from, readFileSync(node.prepare(stateAfter(victim.pid)).from));
    const planId = await session.plan(targetOf(victim));
    expect(await session.operate(kill, { ...targetOf(victim), planId })).toMatchObject({
      outcome,
      act: { result: 'ended-by-sigterm' },
      verification: [
        { check: 'process-gone', passed: true },
        { check: 'gpu-released', passed },
      ],
    });
    expect(trailOf(node.path('audit'), planId).slice(-2)).toEqual(['act done', 'verify failed']);
  });

  it('never the agent itself, pid 1, or one that does not hold the GPU', async () => {
    const victim = await startVictim({ after: node.prepare(heldBy()) });
    const agentPid = session.pid ?? 0;
    node.configure(heldBy(agentPid, 1));
    for (const pid of [agentPid, 1]) {
      const plan = await session.operate(kill, { gpu: 0, pid });
      expect(plan).toMatchObject({ outcome: 'cannot-act', canAct: false });
      expect(plan.planId).toBeUndefined();
      expect(plan.reasons.join()).toContain('protected');
    }
    expect(await session.refusal(kill, { gpu: 0, pid: victim.pid })).toContain('does not hold GPU 0');
    expect(await session.refusal(kill, { gpu: 0, pid: victim.pid, planId: 'made-up' })).toContain(
      'is not a plan of this caller',
    );
    expect(victim.isAlive()).toBe(true);
  });

  const hasTool = nvidiaSmiCandidates.some(existsSync) ? 'this machine has nvidia-smi' : undefined;
  it.skipIf(hasTool)(
    `a reset without nvidia-smi cannot be done, and nothing runs${because(hasTool)}`,
    async () => {
      node.configure(heldBy());
      const before = auditOf(node.path('audit')).length;
      const plan = await session.operate('reset_gpu', { gpu: 0 });
      expect(plan).toMatchObject({
        outcome: 'cannot-act',
        canAct: false,
        plan: {
          requirements: expect.arrayContaining([expect.objectContaining({ name: 'nvidia-smi', met: false })]),
        },
      });
      expect(plan.planId).toBeUndefined();
      expect(plan.reasons.join()).toContain('nvidia-smi is missing');
      expect(auditOf(node.path('audit')).slice(before)).toMatchObject([
        { tool: 'reset_gpu', phase: 'plan', outcome: 'refused' },
      ]);
    },
  );
});

describe.skipIf(cannotKill)(`a stderr that nobody reads any more${because(cannotKill)}`, () => {
  it('does not end the agent in the middle of what it does', async () => {
    node = createFakeNode();
    const victim = await holder(node);
    const agent = await connectAlone(node, '--confirm-without-elicitation');
    agent.child.stderr.destroy();
    const planned = await agent.call(targetOf(victim));
    const { planId } = planned.structuredContent ?? {};
    const done = await agent.call({ ...targetOf(victim), planId });
    expect(done.structuredContent).toMatchObject({ outcome: 'done' });
    expect(trailOf(node.path('audit'), planId ?? '').at(-1)).toBe('verify done');
    agent.child.stdin.end();
    expect(await agent.exited).toMatchObject({ code: 0 });
    node.dispose();
  });
});

/** Starts `sleep` under this very pid, which must be free. */
async function startWithPid(pid: number, lastPid: string) {
  for (let attempt = 0; attempt < 50; attempt += 1) {
    // The shell forks right after it wrote: little time for another process to come between.
    const script = `echo ${pid - 1} > ${lastPid}; sleep 600 & echo $!`;
    const shell = spawn('/bin/sh', ['-c', script], { stdio: ['ignore', 'pipe', 'ignore'] });
    const [chunk] = await once(shell.stdout, 'data');
    const got = Number(String(chunk));
    if (got === pid) return { pid, end: () => process.kill(pid, 'SIGKILL') };
    process.kill(got, 'SIGKILL');
  }
  throw new Error(`pid ${pid} could not be had`);
}
