import { describe, expect, test } from 'vitest';
import { type Machine, operatorRig, trainer, yes } from '../../../test/operator-rig.ts';
import { turn } from '../../../test/rig.ts';
import { createGpuTools } from '../create-gpu-tools.ts';
import type { Confirmation, ConfirmationRequest, ToolContext } from '../tool.ts';
import { type Plan, PlanStore } from './plan-store.ts';

const kill = 'kill_gpu_process';
const reset = 'reset_gpu';
const victim = { gpu: 2, pid: 4711 };

/** One operation of each kind: what is asked for, and how the machine changes so that its plan is void. */
const operations = [
  {
    name: kill,
    input: victim,
    act: 'kill 4711 880011 10000',
    change: (machine: Machine) => {
      machine.hosts = [{ ...trainer, startTicks: 990_022 }];
    },
    told: 'startTicks was 880011, is 990022',
  },
  {
    name: reset,
    input: { gpu: 3 },
    act: 'reset 3',
    change: (machine: Machine) => {
      machine.hosts = [...machine.hosts, { ...trainer, pid: 5000, startTicks: 7 }];
      machine.readiness = { ...machine.readiness, holders: [{ pid: 5000, path: '/dev/nvidia3' }] };
    },
    told: 'holder 5000 is new',
  },
] as const;

test('the tools say that they are destructive, and the read-only set does not hold them', () => {
  const { tools, ports } = operatorRig();
  expect(tools.map(({ name }) => name)).toEqual([kill, reset]);
  for (const { annotations } of tools)
    expect(annotations).toEqual({
      readOnlyHint: false,
      destructiveHint: true,
      idempotentHint: false,
      openWorldHint: false,
    });
  const readOnly = createGpuTools(ports, { nodeName: 'gpu-node-7' });
  const names = readOnly.map(({ name }) => name);
  for (const { name } of tools) expect(names).not.toContain(name);
  expect(readOnly.every(({ annotations }) => annotations.readOnlyHint)).toBe(true);
});

describe.each(operations)('$name', ({ name, input, act, change, told }) => {
  test('plans first, and changes nothing', async () => {
    const { answer, done, trail, clock } = operatorRig();
    const planned = await answer(name, input, yes);
    expect(planned).toMatchObject({ outcome: 'planned', canAct: true, reasons: [], planId: 'plan-1' });
    expect(planned).toHaveProperty('expiresAt', new Date(clock.now() + 60_000).toISOString());
    expect(planned.summary).toMatch(/nothing was changed/);
    expect(done).toEqual([]);
    expect(trail()).toEqual(['plan planned']);
  });

  test('acts on the plan once a person confirmed, and verifies', async () => {
    const { answer, plan, done, audit, trail } = operatorRig();
    const context = { ...yes, caller: 'operator' };
    const planId = await plan(name, input, context);
    const acted = await answer(name, { ...input, planId }, context);
    expect(acted).toMatchObject({ outcome: 'done', verification: expect.any(Array) });
    expect(acted.verification?.every(({ passed }) => passed === true)).toBe(true);
    expect(done).toEqual([act]);
    expect(trail()).toEqual(['plan planned', 'confirm done', 'act done', 'verify done']);
    for (const record of audit)
      expect(record).toMatchObject({
        caller: 'operator',
        tool: name,
        node: 'gpu-node-7',
        planId,
        at: '2026-11-21T12:00:00.000Z',
      });
  });

  test('a plan serves once', async () => {
    const { plan, call, done, trail } = operatorRig();
    const planId = await plan(name, input, yes);
    await call(name, { ...input, planId }, yes);
    const again = await call(name, { ...input, planId }, yes);
    expect(again).toMatchObject({
      isError: true,
      code: 'INVALID_INPUT',
      text: expect.stringMatching(/used.*without planId/s),
    });
    expect(done).toEqual([act]);
    expect(trail().at(-1)).toBe('confirm refused');
  });

  test('a plan expires after 60 s', async () => {
    const { plan, call, done, clock } = operatorRig();
    const [first, second] = [await plan(name, input, yes), await plan(name, input, yes)];
    clock.advance(60_000);
    expect((await call(name, { ...input, planId: first }, yes)).isError).toBe(false);
    clock.advance(1);
    expect(await call(name, { ...input, planId: second }, yes)).toMatchObject({
      text: expect.stringContaining('expired'),
    });
    expect(done).toEqual([act]);
  });

  test("another caller's plan is reported as none", async () => {
    const { plan, call, done } = operatorRig();
    const planId = await plan(name, input, { ...yes, caller: 'operator' });
    const theirs = await call(name, { ...input, planId }, { ...yes, caller: 'mallory' });
    const none = await call(name, { ...input, planId: 'plan-99' }, { ...yes, caller: 'mallory' });
    expect(theirs).toEqual(none);
    expect(theirs).toMatchObject({ isError: true, code: 'INVALID_INPUT' });
    expect(done).toEqual([]);
  });

  test('a plan of another tool or for other arguments does not serve', async () => {
    const { plan, call, done, machine } = operatorRig();
    const planId = await plan(name, input, yes);
    const other = operations.find((each) => each.name !== name);
    expect(await call(other?.name ?? '', { ...other?.input, planId }, yes)).toMatchObject({
      isError: true,
      text: expect.stringContaining(`is a plan of ${name}`),
    });
    machine.clients[5] = machine.clients[2] ?? [];
    expect(await call(name, { ...input, gpu: 5, planId }, yes)).toMatchObject({
      isError: true,
      text: expect.stringContaining('other arguments'),
    });
    expect(done).toEqual([]);
  });

  test('refuses when the facts changed since the plan, says what, and asks nobody', async () => {
    const { plan, call, done, machine, trail } = operatorRig();
    const planId = await plan(name, input, yes);
    change(machine);
    let asked = 0;
    const confirm = async (): Promise<Confirmation> => {
      asked += 1;
      return 'accepted';
    };
    expect(await call(name, { ...input, planId }, { confirm })).toMatchObject({
      isError: true,
      text: expect.stringContaining(told),
    });
    expect([asked, done, trail().at(-1)]).toEqual([0, [], 'confirm refused']);
  });

  test('refuses when the facts changed while the person thought', async () => {
    const { plan, call, done, machine } = operatorRig();
    const planId = await plan(name, input, yes);
    const confirm = async (): Promise<Confirmation> => {
      change(machine);
      return 'accepted';
    };
    expect(await call(name, { ...input, planId }, { confirm })).toMatchObject({
      isError: true,
      text: expect.stringContaining(told),
    });
    expect(done).toEqual([]);
  });

  test.each(['declined', 'cancelled'] as const)('%s: nothing is done', async (answer) => {
    const { plan, answer: ask, done, trail } = operatorRig();
    const planId = await plan(name, input, yes);
    const told = await ask(name, { ...input, planId }, { confirm: async () => answer });
    expect(told).toMatchObject({ outcome: answer, summary: expect.stringContaining('Nothing was done.') });
    expect([done, trail().at(-1)]).toEqual([[], 'confirm declined']);
  });

  test('a question that cannot be put is no yes', async () => {
    const { plan, answer, done } = operatorRig();
    const planId = await plan(name, input, yes);
    const confirm = () => Promise.reject(new Error('the client went away'));
    expect(await answer(name, { ...input, planId }, { confirm })).toMatchObject({ outcome: 'cancelled' });
    expect(done).toEqual([]);
  });

  test('nobody answers: it is given up after 120 s', async () => {
    const { plan, answer, done, clock } = operatorRig();
    const planId = await plan(name, input, yes);
    const { confirm, question } = silentPerson();
    const call = answer(name, { ...input, planId }, { confirm });
    const { signal, timeoutMilliseconds } = await question;
    clock.advance(119_999);
    await turn();
    expect([signal.aborted, timeoutMilliseconds]).toEqual([false, 120_000]);
    clock.advance(1);
    expect(await call).toMatchObject({ outcome: 'cancelled' });
    expect([signal.aborted, done]).toEqual([true, []]);
  });

  test('the caller cancels while a person is asked: nothing is done', async () => {
    const { plan, answer, done } = operatorRig();
    const planId = await plan(name, input, yes);
    const { confirm, question } = silentPerson();
    const caller = new AbortController();
    const call = answer(name, { ...input, planId }, { confirm, signal: caller.signal });
    const { signal } = await question;
    caller.abort();
    expect(await call).toMatchObject({ outcome: 'cancelled' });
    expect([signal.aborted, done]).toEqual([true, []]);
  });

  test('the caller cancels in the moment before the act: nothing is done', async () => {
    const { plan, call, done, machine } = operatorRig();
    const planId = await plan(name, input, yes);
    const caller = new AbortController();
    machine.auditFails = ({ phase, outcome }) => {
      if (phase === 'confirm' && outcome === 'done') caller.abort();
      return false;
    };
    expect(await call(name, { ...input, planId }, { ...yes, signal: caller.signal })).toMatchObject({
      isError: true,
      code: 'CANCELLED',
    });
    expect(done).toEqual([]);
  });

  test('the question goes out with the result: the plan waits, and the answer has to be of that question', async () => {
    const { plan, answer, call, done, trail, clock } = operatorRig();
    const planId = await plan(name, input, yes);
    let id = '';
    const put: ToolContext['confirm'] = async (question) => {
      id = question.id;
      return 'pending';
    };
    expect(await answer(name, { ...input, planId }, { confirm: put })).toMatchObject({
      outcome: 'awaiting-confirmation',
    });
    expect(id).not.toBe(planId);
    // The plan's own 60 s are over: a person may take 120.
    clock.advance(100_000);
    for (const answeredQuestion of [undefined, planId, 'guess'])
      expect(
        await call(
          name,
          { ...input, planId },
          { ...yes, ...(answeredQuestion === undefined ? {} : { answeredQuestion }) },
        ),
      ).toMatchObject({ isError: true, text: expect.stringContaining('used') });
    expect(done).toEqual([]);
    const acted = await answer(name, { ...input, planId }, { ...yes, answeredQuestion: id });
    expect(acted.outcome).toBe('done');
    expect(await call(name, { ...input, planId }, { ...yes, answeredQuestion: id })).toMatchObject({
      isError: true,
    });
    expect(done).toEqual([act]);
    expect(trail().filter((step) => step !== 'confirm refused')).toEqual([
      'plan planned',
      'confirm planned',
      'confirm done',
      'act done',
      'verify done',
    ]);
  });

  test('an answer after 120 s is too late', async () => {
    const { plan, answer, call, done, clock } = operatorRig();
    const planId = await plan(name, input, yes);
    let id = '';
    const put: ToolContext['confirm'] = async (question) => {
      id = question.id;
      return 'pending';
    };
    await answer(name, { ...input, planId }, { confirm: put });
    clock.advance(120_001);
    expect(await call(name, { ...input, planId }, { ...yes, answeredQuestion: id })).toMatchObject({
      text: expect.stringContaining('too late'),
    });
    expect(done).toEqual([]);
  });

  test('a client that cannot ask: refused, and the error tells how', async () => {
    const { plan, call, done, trail } = operatorRig();
    const planId = await plan(name, input);
    expect(await call(name, { ...input, planId })).toMatchObject({
      isError: true,
      code: 'NOT_SUPPORTED',
      text: expect.stringMatching(/elicitation.*--confirm-without-elicitation/s),
    });
    expect([done, trail().at(-1)]).toEqual([[], 'confirm refused']);
  });

  test('with the flag a client that cannot ask may act, and the record says that nobody was asked', async () => {
    const { plan, answer, done, audit } = operatorRig({ confirmWithoutElicitation: true });
    const planId = await plan(name, input);
    expect(await answer(name, { ...input, planId })).toMatchObject({ outcome: 'done' });
    expect(done).toEqual([act]);
    expect(audit[1]).toMatchObject({
      phase: 'confirm',
      outcome: 'done',
      detail: expect.stringContaining('No person'),
    });
  });

  test('the flag is not a way round a person who can be asked', async () => {
    const { plan, answer, done } = operatorRig({ confirmWithoutElicitation: true });
    const planId = await plan(name, input);
    const confirm = async (): Promise<Confirmation> => 'declined';
    expect(await answer(name, { ...input, planId }, { confirm })).toMatchObject({ outcome: 'declined' });
    expect(done).toEqual([]);
  });

  test.each(['plan', 'confirm'] as const)(
    'nothing is done when the %s record cannot be written',
    async (phase) => {
      const { plan, call, done, machine } = operatorRig();
      const planId = await plan(name, input, yes);
      machine.auditFails = (record) => record.phase === phase;
      const again = phase === 'plan' ? input : { ...input, planId };
      expect(await call(name, again, yes)).toMatchObject({
        isError: true,
        code: 'UNAVAILABLE',
        text: expect.stringMatching(/audit record.*nothing was done.*--audit-file/s),
      });
      expect(done).toEqual([]);
    },
  );

  test('what was done is told even when its record cannot be written', async () => {
    const { plan, answer, machine } = operatorRig();
    const planId = await plan(name, input, yes);
    machine.auditFails = ({ phase }) => phase === 'act';
    const acted = await answer(name, { ...input, planId }, yes);
    expect(acted.outcome).toBe('done');
    expect(acted.summary).toContain('audit log could not be written');
  });

  test('one operation acts at a time', async () => {
    const { plan, call, done, machine } = operatorRig();
    let release = () => {};
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    const { terminate, reset: resetNow } = machine;
    machine.terminate = async (process) => gate.then(() => terminate(process));
    machine.reset = async (gpus) => gate.then(() => resetNow(gpus));
    const [first, second] = [await plan(name, input, yes), await plan(name, input, yes)];
    const running = call(name, { ...input, planId: first }, yes);
    while (done.length === 0) await turn();
    expect(await call(name, { ...input, planId: second }, yes)).toMatchObject({
      isError: true,
      code: 'UNAVAILABLE',
    });
    release();
    expect((await running).isError).toBe(false);
    expect(done).toEqual([act]);
  });

  test('what has begun is finished and answered, whatever the caller does and however long it takes', async () => {
    const { plan, answer, done, machine, clock, trail } = operatorRig();
    let release = () => {};
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    const { terminate, reset: resetNow } = machine;
    machine.terminate = async (process) => gate.then(() => terminate(process));
    machine.reset = async (gpus) => gate.then(() => resetNow(gpus));
    const planId = await plan(name, input, yes);
    const caller = new AbortController();
    const running = answer(name, { ...input, planId }, { ...yes, signal: caller.signal });
    while (done.length === 0) await turn();
    caller.abort();
    clock.advance(600_000);
    release();
    expect(await running).toMatchObject({ outcome: 'done' });
    expect(trail().slice(-2)).toEqual(['act done', 'verify done']);
  });

  test('a caller that asked for progress hears that the call is alive, and nothing once it is answered', async () => {
    const { plan, answer, clock } = operatorRig();
    const planId = await plan(name, input, yes);
    const { confirm, question } = silentPerson();
    const heard: (readonly [number, number, string | undefined])[] = [];
    const progress: ToolContext['progress'] = (...note) => heard.push([note[0], note[1], note[2]]);
    const call = answer(name, { ...input, planId }, { confirm, progress });
    await question;
    clock.advance(25_000);
    expect(heard).toEqual([
      [10, 300, 'waiting for a person to confirm'],
      [20, 300, 'waiting for a person to confirm'],
    ]);
    clock.advance(95_000);
    await call;
    const count = heard.length;
    clock.advance(60_000);
    expect(heard).toHaveLength(count);
  });

  test('a port that throws in the act is a failure that is told and recorded', async () => {
    const { plan, answer, machine, trail } = operatorRig();
    const planId = await plan(name, input, yes);
    machine.terminate = () => Promise.reject(new Error('unforeseen'));
    machine.reset = () => Promise.reject(new Error('unforeseen'));
    const acted = await answer(name, { ...input, planId }, yes);
    expect(acted.outcome).toBe('failed');
    expect(acted.summary).not.toContain('unforeseen');
    expect(trail().slice(-2)).toEqual(['act failed', 'verify failed']);
  });

  test('who cannot see every process may not act', async () => {
    for (const seesAllProcesses of [false, null]) {
      const { answer, machine } = operatorRig();
      machine.seesAllProcesses = seesAllProcesses;
      const planned = await answer(name, input, yes);
      expect(planned).toMatchObject({ outcome: 'cannot-act', canAct: false });
      expect(planned.planId).toBeUndefined();
      expect(planned.reasons.join(' ')).toContain('hostPID');
    }
  });
});

/** What must hold of any set of tools: the number of acts for one plan that is used twice. */
async function actsForOnePlan(rig: ReturnType<typeof operatorRig>): Promise<number> {
  rig.machine.terminate = async () => ({ result: 'still-running', detail: '' });
  const planId = await rig.plan(kill, victim, yes);
  await rig.call(kill, { ...victim, planId }, yes);
  await rig.call(kill, { ...victim, planId }, yes);
  return rig.done.length;
}

test('planted fault: a store that forgets that a plan was used is found out', async () => {
  class ForgetfulStore extends PlanStore {
    #plan: Plan | undefined;
    override add(...args: Parameters<PlanStore['add']>): Plan {
      this.#plan = super.add(...args);
      return this.#plan;
    }
    override claim(...args: Parameters<PlanStore['claim']>): Plan {
      return this.#plan ?? super.claim(...args);
    }
  }
  const forgetful = operatorRig({ plans: (clock, newId) => new ForgetfulStore(clock, newId) });
  expect(await actsForOnePlan(operatorRig())).toBe(1);
  expect(await actsForOnePlan(forgetful)).toBe(2);
});

test('plans are bounded in number: the oldest goes first', async () => {
  const { plan, call, done } = operatorRig();
  const first = await plan(kill, victim, yes);
  const kept = await plan(kill, victim, yes);
  for (let count = 0; count < 63; count += 1) await plan(kill, victim, yes);
  expect(await call(kill, { ...victim, planId: first }, yes)).toMatchObject({ isError: true });
  expect(await call(kill, { ...victim, planId: kept }, yes)).toMatchObject({ isError: false });
  expect(done).toHaveLength(1);
});

test.each([
  [kill, { pid: 4711 }, 'gpu'],
  [kill, { gpu: 2 }, 'pid'],
  [kill, { ...victim, pid: 0 }, 'pid'],
  [kill, { ...victim, graceSeconds: 61 }, 'graceSeconds'],
  [kill, { ...victim, force: true }, 'force'],
  [reset, {}, 'gpu'],
  [reset, { gpu: 3, planId: '' }, 'planId'],
])('%s %j is refused by name', async (name, input, field) => {
  const { call, done, audit } = operatorRig();
  expect(await call(name, input, yes)).toMatchObject({
    isError: true,
    code: 'INVALID_INPUT',
    text: expect.stringContaining(field),
  });
  expect([done, audit]).toEqual([[], []]);
});

/** A person who is asked and says nothing. */
function silentPerson() {
  let heard: (question: ConfirmationRequest) => void = () => {};
  const question = new Promise<ConfirmationRequest>((resolve) => {
    heard = resolve;
  });
  const confirm = (asked: ConfirmationRequest): Promise<Confirmation> => {
    heard(asked);
    return new Promise(() => {});
  };
  return { confirm, question };
}
