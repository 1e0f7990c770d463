import { describe, expect, test } from 'vitest';
import { h100Ref } from '../../../test/h100.ts';
import { gpuProcess, linkTo, operatorRig, ready, trainer, yes } from '../../../test/operator-rig.ts';
import { turn } from '../../../test/rig.ts';
import { GpuError } from '../../errors.ts';

const reset = 'reset_gpu';
const input = { gpu: 3 };
const daemon = {
  ...trainer,
  pid: 900,
  name: 'nvidia-persiste',
  command: 'nvidia-persistenced',
  podUid: null,
};

test('the plan names the GPU, its modes, what a reset needs and that nobody holds it', async () => {
  const { answer, machine } = operatorRig();
  machine.gpus[3] = { mig: { enabled: true }, recovery: { action: 'reset' } };
  const { plan, warnings, summary } = await answer(reset, input);
  expect(plan).toEqual({
    gpus: [
      {
        ...h100Ref(3),
        state: 'ok',
        persistenceModeEnabled: true,
        migEnabled: true,
        recoveryAction: 'reset',
      },
    ],
    nvlinkPeers: { gpus: [], reason: expect.stringContaining('hopper') },
    requirements: ready.requirements,
    holdersVisible: true,
    holders: [],
  });
  expect(warnings.join(' ')).toMatch(/MIG is enabled on GPU 3.*not certain/);
  expect(summary).toContain('Resets GPU 3: all that is in GPU memory is lost.');
});

describe('refused', () => {
  const planned = async (change: (machine: ReturnType<typeof operatorRig>['machine']) => void) => {
    const { answer, machine, done, trail } = operatorRig();
    change(machine);
    const told = await answer(reset, input, yes);
    expect(done).toEqual([]);
    if (told.outcome === 'cannot-act') {
      expect(told.planId).toBeUndefined();
      expect(trail()).toEqual(['plan refused']);
    }
    return told;
  };

  test('while a process has its device file open: listed with what is known of it', async () => {
    const told = await planned((machine) => {
      machine.hosts = [trainer];
      machine.readiness = { ...ready, holders: [{ pid: 4711, path: '/dev/nvidia3' }] };
    });
    expect(told).toMatchObject({
      outcome: 'cannot-act',
      reasons: ['It is held by process 4711.'],
      plan: {
        holders: [
          {
            pid: 4711,
            blocks: true,
            listedByDriver: false,
            paths: ['/dev/nvidia3'],
            process: { userName: 'alice' },
          },
        ],
      },
    });
  });

  test('while the driver lists a process that cannot be seen otherwise', async () => {
    const told = await planned((machine) => {
      machine.clients[3] = [gpuProcess(31_337)];
    });
    expect(told).toMatchObject({
      outcome: 'cannot-act',
      plan: { holders: [{ pid: 31_337, listedByDriver: true, process: null }] },
    });
  });

  test('when who holds it cannot be seen', async () => {
    const told = await planned((machine) => {
      machine.readiness = { ...ready, holders: null };
    });
    expect(told).toMatchObject({ outcome: 'cannot-act', plan: { holdersVisible: false } });
  });

  test('when a requirement is missing', async () => {
    const told = await planned((machine) => {
      machine.readiness = {
        ...ready,
        requirements: [{ name: 'CAP_SYS_ADMIN', met: false, detail: 'run it as root' }],
      };
    });
    expect(told.reasons).toEqual(['CAP_SYS_ADMIN is missing: run it as root']);
  });

  test('when no reset can reach it', async () => {
    const told = await planned((machine) => {
      machine.gpus[3] = new GpuError('GPU_LOST', 'fell off the bus');
    });
    expect(told.reasons.join(' ')).toContain('rebooted');
  });

  test('for a virtual GPU', async () => {
    const told = await planned((machine) => {
      machine.gpus[3] = { identity: { virtualizationMode: 'vgpu' } };
    });
    expect(told.reasons.join(' ')).toContain('only its host');
  });
});

describe('not refused', () => {
  test('for a job on another GPU, which has the control device open too', async () => {
    const { answer, machine } = operatorRig();
    machine.readiness = {
      ...ready,
      holders: [
        { pid: 4711, path: '/dev/nvidiactl' },
        { pid: 4711, path: '/dev/nvidia-uvm' },
      ],
    };
    expect(await answer(reset, input)).toMatchObject({
      outcome: 'planned',
      plan: { holders: [{ pid: 4711, blocks: false }] },
    });
  });

  test("for the driver's own persistence daemon", async () => {
    const { answer, machine } = operatorRig();
    machine.hosts = [daemon];
    machine.readiness = { ...ready, holders: [{ pid: 900, path: '/dev/nvidia3' }] };
    expect(await answer(reset, input)).toMatchObject({ outcome: 'planned' });
  });

  test('for what could not be told of a requirement: the plan warns of it', async () => {
    const { answer, machine } = operatorRig();
    machine.readiness = {
      ...ready,
      requirements: [{ name: 'writable /sys', met: null, detail: 'no such file' }],
    };
    const { outcome, warnings } = await answer(reset, input);
    expect([outcome, warnings]).toEqual(['planned', expect.arrayContaining(['writable /sys: no such file'])]);
  });

  test('for a GPU that the driver refuses until it is reset', async () => {
    const { plan, answer, machine, done } = operatorRig();
    machine.gpus[3] = new GpuError('RESET_REQUIRED', 'GPU requires reset');
    machine.reset = async () => {
      machine.gpus[3] = {};
      return { succeeded: true, exitCode: 0, output: '' };
    };
    const planId = await plan(reset, input, yes);
    expect(await answer(reset, { ...input, planId }, yes)).toMatchObject({
      outcome: 'done',
      verification: [
        { check: 'gpu-3-readable', passed: true },
        { check: 'gpu-3-recovery-action', passed: true },
      ],
    });
    expect(done).toEqual(['reset 3']);
  });
});

test('NVLink peers that cannot stay behind go along, and the plan names them', async () => {
  const { plan, answer, machine, done } = operatorRig();
  const volta = { architecture: 'volta' };
  machine.gpus = [0, 1, 2, 3].map((index) => ({
    identity: volta,
    nvlink: {
      links: index < 2 ? [] : [linkTo(index === 2 ? 3 : 2)],
    },
  }));
  machine.clients = {};
  const planned = await answer(reset, input, yes);
  expect(planned).toMatchObject({ plan: { gpus: [{ index: 3 }, { index: 2 }], nvlinkPeers: { gpus: [2] } } });
  const planId = await plan(reset, input, yes);
  await answer(reset, { ...input, planId }, yes);
  expect(done).toEqual(['reset 3 2']);
});

describe('what became of it', () => {
  const acted = async (change: (rig: ReturnType<typeof operatorRig>) => void) => {
    const rig = operatorRig();
    const planId = await rig.plan(reset, input, yes);
    change(rig);
    const call = rig.answer(reset, { ...input, planId }, yes);
    let answer: Awaited<typeof call> | undefined;
    void call.then((value) => {
      answer = value;
    });
    // Past the pauses between the looks at a GPU that comes back slowly.
    for (let step = 0; !answer && step < 100; step += 1) {
      await turn();
      rig.clock.advance(1_000);
    }
    if (!answer) throw new Error('no answer');
    return { rig, answer };
  };

  test.each([
    [{ succeeded: false, exitCode: 255, output: 'In use by another client' }, 'another client'],
    [{ succeeded: false, exitCode: 3, output: '\u001b[31mno\u001b[0m' }, 'exit code 3'],
    [{ succeeded: false, exitCode: null, output: '' }, 'was ended before'],
  ])('%j is a failure', async (outcome, told) => {
    const { rig, answer } = await acted(({ machine }) => {
      machine.reset = async () => outcome;
    });
    expect(answer).toMatchObject({ outcome: 'failed', summary: expect.stringContaining(told) });
    expect(JSON.stringify(answer)).not.toContain('\\u001b');
    expect(rig.trail().slice(-2)).toEqual(['act failed', 'verify failed']);
  });

  test('a tool that did not end is told with its code', async () => {
    const { answer } = await acted(({ machine }) => {
      machine.reset = () => Promise.reject(new GpuError('TIMEOUT', 'not done after 120 s'));
    });
    expect(answer).toMatchObject({ outcome: 'failed', summary: expect.stringContaining('TIMEOUT') });
  });

  test.each([
    ['still asks for a reset', { recovery: { action: 'reset' } }, 'failed'],
    ['lost its persistence mode', { identity: { persistenceModeEnabled: false } }, 'failed'],
    ['does not tell its persistence mode', { identity: { persistenceModeEnabled: null } }, 'unverified'],
    ['does not tell its recovery action', { recovery: { action: null } }, 'unverified'],
    ['is off the bus', new GpuError('GPU_LOST', 'gone'), 'failed'],
    ['does not answer', new GpuError('GPU_HUNG', 'no answer'), 'unverified'],
  ] as const)('a GPU that %s after the reset: %j is %s', async (_, after, expected) => {
    const { answer } = await acted(({ machine }) => {
      machine.reset = async () => {
        machine.gpus[3] = after;
        return { succeeded: true, exitCode: 0, output: '' };
      };
    });
    expect(answer.outcome).toBe(expected);
  });

  test('a GPU that takes seconds to come back is waited for', async () => {
    const { rig, answer } = await acted(({ machine, clock }) => {
      machine.reset = async () => {
        machine.gpus[3] = new GpuError('GPU_HUNG', 'initialising');
        clock.after(5_000, () => {
          machine.gpus[3] = {};
        });
        return { succeeded: true, exitCode: 0, output: '' };
      };
    });
    expect(answer.outcome).toBe('done');
    expect(rig.trail().slice(-2)).toEqual(['act done', 'verify done']);
  });
});
