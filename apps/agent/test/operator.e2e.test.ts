// Operator mode as a whole: the program as users run it, on a real dlopen'ed library (the C fake), with real processes that it ends.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createHostProcesses } from '@k8s-gpu-mcp/host-linux';
import { nvidiaSmiCandidates } from '@k8s-gpu-mcp/nvml';
import { Client } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import {
  auditOf,
  createFakeNode,
  endVictims,
  type FakeNode,
  heldBy,
  heldBytes,
  noCompiler,
  startVictim,
  trailOf,
  until,
  type Victim,
} from './fake-node.ts';
import { agentBin, cleanEnvironment, initialize, startAgent, toolCall } from './run-agent.ts';

const { seesAllProcesses } = await createHostProcesses().describe([], AbortSignal.timeout(10_000));
const blind = seesAllProcesses ? undefined : 'not every process of this machine can be seen from here';
/** Why nothing can be ended on this machine; undefined where it can. */
const cannotKill = noCompiler ?? blind;
const because = (reason: string | undefined) => (reason ? ` (skipped: ${reason})` : '');

const kill = 'kill_gpu_process';
const operator = ['--mode', 'operator', '--kernel-log', 'none', '--node-name', 'node-a'];
const operatorArgs = (node: FakeNode) => [...node.args, ...operator, '--audit-file', node.path('audit')];

interface Operated {
  readonly outcome: string;
  readonly canAct: boolean;
  readonly reasons: readonly string[];
  readonly planId?: string;
  readonly summary: string;
  readonly plan: Readonly<Record<string, unknown>>;
  readonly act?: { readonly result: string };
  readonly verification?: readonly { readonly check: string; readonly passed: boolean | null }[];
}

type Answer = { action: 'accept'; content: { confirm: boolean } } | { action: 'decline' | 'cancel' };
type Person = (message: string) => Answer | Promise<Answer>;
const yes: Person = () => ({ action: 'accept', content: { confirm: true } });

/** A client with a person behind it, and the agent it started. */
async function connect(node: FakeNode, versionNegotiation: object) {
  const client = new Client(
    { name: 'person', version: '0' },
    { capabilities: { elicitation: {} }, versionNegotiation },
  );
  let person: Person = yes;
  const questions: string[] = [];
  client.setRequestHandler('elicitation/create', async ({ params }) => {
    questions.push(params.message);
    return person(params.message);
  });
  const transport = new StdioClientTransport({
    command: process.execPath,
    args: [agentBin, ...operatorArgs(node), '--log-level', 'error'],
    env: cleanEnvironment(node.env),
    stderr: 'ignore',
  });
  await client.connect(transport);
  const raw = (name: string, input: Record<string, unknown>) => client.callTool({ name, arguments: input });
  const operate = async (name: string, input: Record<string, unknown>) => {
    const result = await raw(name, input);
    if (result.isError) throw new Error(JSON.stringify(result.content));
    return result.structuredContent as unknown as Operated;
  };
  return {
    client,
    questions,
    pid: transport.pid,
    operate,
    refusal: async (name: string, input: Record<string, unknown>) => {
      const result = await raw(name, input);
      expect(result.isError).toBe(true);
      return JSON.stringify(result.content);
    },
    plan: async (input: Record<string, unknown>) => {
      const { planId } = await operate(kill, input);
      if (planId === undefined) throw new Error('no plan');
      return planId;
    },
    answerWith(next: Person) {
      person = next;
      questions.length = 0;
    },
  };
}

let node: FakeNode;
const startNode = () => {
  node = createFakeNode();
};
/** A process that the driver lists until it is told to end. */
async function holder(options: { isStubborn?: boolean; after?: ReturnType<FakeNode['prepare']> } = {}) {
  const victim = await startVictim({ after: node.prepare(heldBy()), ...options });
  node.configure(heldBy(victim.pid));
  return victim;
}
const targetOf = ({ pid }: Victim) => ({ gpu: 0, pid, graceSeconds: 20 });

afterEach(endVictims);

const eras = [
  ['up to 2025-11-25', { mode: 'legacy' }],
  ['2026-07-28', { mode: { pin: '2026-07-28' } }],
] as const;

describe.skipIf(cannotKill)(`a person at the client, over stdio${because(cannotKill)}`, () => {
  describe.each(eras)('%s', (_, negotiation) => {
    let session: Awaited<ReturnType<typeof connect>>;
    beforeAll(async () => {
      startNode();
      session = await connect(node, negotiation);
    });
    afterAll(async () => {
      await session.client.close();
      node.dispose();
    });

    it('ends the process that was planned, once the person agreed, and says so in the audit', async () => {
      const victim = await holder();
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
      const victim = await holder();
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
      const victim = await holder();
      const planId = await session.plan(targetOf(victim));
      session.answerWith(async (message) => {
        await victim.end();
        await holder();
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
  let session: Awaited<ReturnType<typeof connect>>;
  beforeAll(async () => {
    startNode();
    session = await connect(node, { mode: 'legacy' });
  });
  afterAll(async () => {
    await session.client.close();
    node.dispose();
  });

  it('a plan whose process was replaced is refused before anybody is asked', async () => {
    const victim = await holder();
    const planId = await session.plan(targetOf(victim));
    await victim.end();
    const successor = await holder();
    session.answerWith(yes);
    const text = await session.refusal(kill, { ...targetOf(victim), planId });
    expect(text).toContain(`it is held by ${successor.pid}`);
    expect(session.questions).toEqual([]);
    expect(successor.isAlive()).toBe(true);
  });

  const lastPid = '/proc/sys/kernel/ns_last_pid';
  const cannotReuse = existsSync(lastPid) && process.getuid?.() === 0 ? undefined : `needs root and ${lastPid}`;
  it.skipIf(cannotReuse)(
    `a plan whose pid went to another process is refused${because(cannotReuse)}`,
    async () => {
      const victim = await holder();
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
    const victim = await holder({ isStubborn: true });
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
    const victim = await holder({ after });
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
  it.skipIf(hasTool)(`a reset without nvidia-smi cannot be done, and nothing runs${because(hasTool)}`, async () => {
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

describe.skipIf(cannotKill)(`a client that cannot ask${because(cannotKill)}`, () => {
  beforeAll(startNode);
  afterAll(() => node.dispose());

  async function started(...more: string[]) {
    const agent = startAgent([...operatorArgs(node), ...more, '--log-level', 'error'], node.env);
    agent.child.stderr.on('data', (c) => console.log(String(c)));
    agent.child.stdin.write(initialize(1));
    await agent.answerTo(1);
    let lastId = 1;
    return {
      ...agent,
      async call(input: Record<string, unknown>) {
        lastId += 1;
        agent.child.stdin.write(toolCall(lastId, kill, input));
        const { result } = await agent.answerTo(lastId);
        return result as { isError?: boolean; structuredContent?: Operated; content: { text: string }[] };
      },
      send: (input: Record<string, unknown>) => agent.child.stdin.write(toolCall((lastId += 1), kill, input)),
    };
  }

  it('is refused', async () => {
    const victim = await holder();
    const agent = await started();
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
    const victim = await holder();
    const agent = await started('--confirm-without-elicitation');
    const { planId = '' } = (await agent.call(targetOf(victim))).structuredContent ?? {};
    const done = await agent.call({ ...targetOf(victim), planId });
    expect(done.structuredContent).toMatchObject({ outcome: 'done' });
    await victim.exited;
    const confirmed = auditOf(node.path('audit')).find(
      (line) => line.planId === planId && line.phase === 'confirm',
    );
    expect(confirmed).toMatchObject({ outcome: 'done', detail: expect.stringContaining('No person was asked') });
    agent.child.stdin.end();
    expect((await agent.exited).code).toBe(0);
  });

  it.each([
    ['SIGTERM', ({ child }: Awaited<ReturnType<typeof started>>) => child.kill('SIGTERM')],
    ['the end of its input', ({ child }: Awaited<ReturnType<typeof started>>) => child.stdin.end()],
    [
      'a client that goes away',
      ({ child }: Awaited<ReturnType<typeof started>>) => {
        child.stdout.destroy();
        child.stdin.destroy();
      },
    ],
  ])('%s does not cut off a kill in its grace', async (_, shutDown) => {
    const victim = await holder({ isStubborn: true });
    const agent = await started('--confirm-without-elicitation');
    const target = { ...targetOf(victim), graceSeconds: 4 };
    const { planId = '' } = (await agent.call(target)).structuredContent ?? {};
    agent.send({ ...target, planId });
    // The record is written before the first signal is sent.
    await until(() => trailOf(node.path('audit'), planId).includes('confirm done'));
    shutDown(agent);
    console.log('awaiting exit');
    const { code, stdout } = await agent.exited;
    console.log('exited', code);
    expect(await victim.exited).toEqual({ code: null, signal: 'SIGKILL' });
    expect(code).toBe(0);
    expect(trailOf(node.path('audit'), planId)).toEqual([
      'plan planned',
      'confirm done',
      'act done',
      'verify done',
    ]);
    if (!agent.child.stdout.destroyed || stdout.includes('"outcome":"done"'))
      expect(stdout).toContain('ended-by-sigkill');
  });

  it('a second SIGTERM means now', async () => {
    const victim = await holder({ isStubborn: true });
    const agent = await started('--confirm-without-elicitation');
    const target = { ...targetOf(victim), graceSeconds: 60 };
    const { planId = '' } = (await agent.call(target)).structuredContent ?? {};
    agent.send({ ...target, planId });
    await until(() => trailOf(node.path('audit'), planId).includes('confirm done'));
    agent.child.kill('SIGTERM');
    await new Promise((resolve) => setTimeout(resolve, 200));
    const startedAt = performance.now();
    agent.child.kill('SIGTERM');
    expect((await agent.exited).code).toBe(0);
    expect(performance.now() - startedAt).toBeLessThan(10_000);
    expect(victim.isAlive()).toBe(true);
  });
});

describe.skipIf(cannotKill)(`shutdown while a person is asked${because(cannotKill)}`, () => {
  it('withdraws the question and leaves the process alone', async () => {
    startNode();
    const victim = await holder();
    const session = await connect(node, { mode: 'legacy' });
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
    expect(readFileSync(node.path('calls'), 'utf8')).toContain('nvmlDeviceGetComputeRunningProcesses');
    node.dispose();
  });
});
