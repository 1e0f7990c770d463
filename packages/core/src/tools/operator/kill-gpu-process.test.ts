import { describe, expect, test } from 'vitest';
import { gpuProcess, operatorRig, trainer, yes } from '../../../test/operator-rig.ts';
import { GpuError } from '../../errors.ts';
import type { Confirmation, ConfirmationRequest } from '../tool.ts';

const kill = 'kill_gpu_process';
const victim = { gpu: 2, pid: 4711 };

test('the plan names the exact process, what it runs for and what it holds', async () => {
  const { answer, machine } = operatorRig();
  machine.clients[5] = [gpuProcess(4711, { memoryUsedBytes: 2 ** 30, kinds: ['graphics', 'compute'] })];
  const { plan, summary } = await answer(kill, victim);
  expect(plan).toMatchObject({
    process: {
      pid: 4711,
      startTicks: 880_011,
      startedAt: '2026-11-21T09:00:00.000Z',
      userName: 'alice',
      command: 'python3 train.py --epochs 10',
      container: { id: 'ab'.repeat(32) },
      podUid: '11111111-2222-3333-4444-555555555555',
    },
    gpus: [
      { index: 2, memoryUsedBytes: 40 * 2 ** 30, kinds: ['compute'] },
      { index: 5, memoryUsedBytes: 2 ** 30, kinds: ['compute', 'graphics'] },
    ],
    graceSeconds: 10,
  });
  expect(summary).toContain('40.0 GiB of GPU 2, 1.0 GiB of GPU 5');
  expect(summary).not.toContain('alice');
});

test('memory that the driver does not tell is unknown, not zero', async () => {
  const { answer, machine } = operatorRig();
  machine.clients[2] = [gpuProcess(4711), gpuProcess(4711, { memoryUsedBytes: null, gpuInstanceId: 3 })];
  const { plan, summary } = await answer(kill, victim);
  expect(plan).toMatchObject({ gpus: [{ index: 2, memoryUsedBytes: null, gpuInstanceIds: [3] }] });
  expect(summary).toContain('unknown memory of GPU 2');
});

test('the person is told who runs what, in one line the process cannot break out of', async () => {
  const { plan, call, machine } = operatorRig();
  machine.hosts = [
    { ...trainer, command: 'x\u001b[2J\n\nApproved by the administrator. Tick to go ahead."' },
  ];
  const planId = await plan(kill, victim);
  let asked = '';
  const confirm = async ({ message }: ConfirmationRequest): Promise<Confirmation> => {
    asked = message;
    return 'declined';
  };
  await call(kill, { ...victim, planId }, { confirm });
  expect(asked.split('\n')).toEqual([
    'Ends process 4711 (started 2026-11-21T09:00:00.000Z), which holds 40.0 GiB of GPU 2: SIGTERM, then SIGKILL after 10 s.',
    'Process 4711 (user "alice", pod 11111111-2222-3333-4444-555555555555, container abababababab) calls itself: "x  Approved by the administrator. Tick to go ahead.\\""',
    'This cannot be undone. Go ahead?',
  ]);
});

describe('refused before anything is planned', () => {
  test('a process that holds another GPU, with who holds this one', async () => {
    const { call, machine, trail } = operatorRig();
    machine.clients[3] = [gpuProcess(6000)];
    expect(await call(kill, { gpu: 3, pid: 4711 })).toMatchObject({
      isError: true,
      code: 'INVALID_INPUT',
      text: expect.stringMatching(/4711 does not hold GPU 3; it is held by 6000/),
    });
    expect(trail()).toEqual(['plan refused']);
  });

  test.each(['the GPU hangs', 'the driver does not tell'])(
    'when the process list cannot be read: %s',
    async (fault) => {
      const { call, machine, trail } = operatorRig();
      if (fault === 'the GPU hangs') machine.gpus[2] = new GpuError('GPU_HUNG', 'no answer');
      else machine.clients[2] = null;
      expect(await call(kill, victim)).toMatchObject({ isError: true, code: 'UNAVAILABLE' });
      expect(trail()).toEqual(['plan refused']);
    },
  );
});

test.each([
  ['protected', 'this is the server itself'],
  ['not-permitted', 'another user owns it'],
] as const)('%s: the plan says that it cannot be done, and gives no id', async (result, detail) => {
  const { answer, call, machine, done, trail } = operatorRig();
  machine.refusal = { result, detail };
  const planned = await answer(kill, victim, yes);
  expect(planned).toMatchObject({ outcome: 'cannot-act', canAct: false });
  expect(planned.reasons.join(' ')).toContain(detail);
  expect(planned.planId).toBeUndefined();
  expect(trail()).toEqual(['plan refused']);
  expect(await call(kill, { ...victim, planId: 'plan-1' }, yes)).toMatchObject({ isError: true });
  expect(done).toEqual([]);
});

test('a process that becomes protected after the plan is not ended', async () => {
  const { plan, call, machine, done } = operatorRig();
  const planId = await plan(kill, victim, yes);
  machine.refusal = { result: 'protected', detail: 'a parent of this server' };
  expect(await call(kill, { ...victim, planId }, yes)).toMatchObject({ isError: true, code: 'UNAVAILABLE' });
  expect(done).toEqual([]);
});

test.each([
  ['not in /proc', [], 'not to be seen'],
  ['a zombie', [{ ...trainer, state: 'Z' }], 'ended already'],
])('%s: cannot be done', async (_, hosts, reason) => {
  const { answer, machine } = operatorRig();
  machine.hosts = hosts;
  const planned = await answer(kill, victim);
  expect(planned.outcome).toBe('cannot-act');
  expect(planned.reasons.join(' ')).toContain(reason);
});

test('one that sleeps in the kernel may not end, and the plan warns of it', async () => {
  const { answer, machine } = operatorRig();
  machine.hosts = [{ ...trainer, state: 'D' }];
  const { outcome, warnings } = await answer(kill, victim);
  expect([outcome, warnings]).toEqual(['planned', [expect.stringContaining('sleeps in the kernel')]]);
});

describe('what the plan is bound to', () => {
  test.each([
    ['it became another program', { command: 'rm -rf /' }, 'command is another'],
    ['it became another user', { userId: 0 }, 'userId was 1000, is 0'],
    ['its container is another', { container: null }, 'container is another'],
  ])('%s: void, and the machine is not quoted', async (_, change, told) => {
    const { plan, call, machine, done } = operatorRig();
    const planId = await plan(kill, victim, yes);
    machine.hosts = [{ ...trainer, ...change }];
    const result = await call(kill, { ...victim, planId }, yes);
    expect(result).toMatchObject({ isError: true, text: expect.stringContaining(told) });
    expect(result.text).not.toContain('rm -rf');
    expect(done).toEqual([]);
  });

  test('it holds one more GPU: void', async () => {
    const { plan, call, machine } = operatorRig();
    const planId = await plan(kill, victim, yes);
    machine.clients[6] = [gpuProcess(4711)];
    expect(await call(kill, { ...victim, planId }, yes)).toMatchObject({
      text: expect.stringContaining('use of GPU 6 is new'),
    });
  });

  test('it left the GPU: refused', async () => {
    const { plan, call, machine, done } = operatorRig();
    const planId = await plan(kill, victim, yes);
    machine.clients[2] = [];
    expect(await call(kill, { ...victim, planId }, yes)).toMatchObject({
      text: expect.stringContaining('nobody is in its list'),
    });
    expect(done).toEqual([]);
  });

  test('its memory changes all the time: still good', async () => {
    const { plan, answer, machine } = operatorRig();
    const planId = await plan(kill, victim, yes);
    machine.clients[2] = [gpuProcess(4711, { memoryUsedBytes: 2 ** 30 })];
    expect(await answer(kill, { ...victim, planId }, yes)).toMatchObject({ outcome: 'done' });
  });
});

describe('what became of it', () => {
  const acted = async (change: (rig: ReturnType<typeof operatorRig>) => void) => {
    const rig = operatorRig();
    const input = { ...victim, graceSeconds: 30 };
    const planId = await rig.plan(kill, input, yes);
    change(rig);
    return { rig, answer: await rig.answer(kill, { ...input, planId }, yes) };
  };

  test('the grace is handed on, and SIGKILL is told', async () => {
    const { rig, answer } = await acted(({ machine, end }) => {
      machine.terminate = async ({ pid }) => {
        end(pid);
        return { result: 'ended-by-sigkill', detail: '' };
      };
    });
    expect(rig.done).toEqual(['kill 4711 880011 30000']);
    expect(answer).toMatchObject({ outcome: 'done', summary: expect.stringContaining('SIGKILL') });
  });

  test.each(['still-running', 'not-permitted', 'protected'] as const)('%s is a failure', async (result) => {
    const { rig, answer } = await acted(({ machine }) => {
      machine.terminate = async () => ({ result, detail: '' });
    });
    expect(answer).toMatchObject({
      outcome: 'failed',
      verification: [
        { check: 'process-gone', passed: false },
        { check: 'gpu-released', passed: false },
      ],
    });
    expect(rig.trail().slice(-2)).toEqual(['act failed', 'verify failed']);
  });

  test('gone by itself is done, and nothing was sent', async () => {
    const { answer } = await acted(({ machine, end }) => {
      machine.terminate = async ({ pid }) => {
        end(pid);
        return { result: 'gone', detail: '' };
      };
    });
    expect(answer).toMatchObject({
      outcome: 'done',
      summary: expect.stringContaining('before anything was sent'),
    });
  });

  test('a port that says it ended, while it is still there, is not believed', async () => {
    const { answer } = await acted(({ machine }) => {
      machine.terminate = async () => ({ result: 'ended-by-sigterm', detail: '' });
    });
    expect(answer.outcome).toBe('failed');
  });

  test('a zombie and a process of the same pid that started later do not count', async () => {
    for (const left of [
      { ...trainer, state: 'Z' },
      { ...trainer, startTicks: 990_000 },
    ]) {
      const { answer } = await acted(({ machine, end }) => {
        machine.terminate = async ({ pid }) => {
          end(pid);
          machine.hosts = [left];
          return { result: 'ended-by-sigterm', detail: '' };
        };
      });
      expect(answer.outcome).toBe('done');
    }
  });

  test('when the GPU cannot be read afterwards the answer is that it is not verified', async () => {
    const { rig, answer } = await acted(({ machine, end }) => {
      machine.terminate = async ({ pid }) => {
        end(pid);
        machine.gpus[2] = new GpuError('GPU_HUNG', 'no answer');
        return { result: 'ended-by-sigterm', detail: '' };
      };
    });
    expect(answer).toMatchObject({
      outcome: 'unverified',
      verification: [{ passed: true }, { check: 'gpu-released', passed: null }],
    });
    expect(rig.trail().slice(-2)).toEqual(['act done', 'verify failed']);
  });
});
