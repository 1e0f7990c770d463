import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { actions, isDisruptive } from '@k8s-gpu-mcp/core';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { named, tellMissing } from '../missing.ts';
import { type NodeName, nodes, type SlurmCluster, slurmSkipReason, startSlurm } from './slurm-cluster.ts';

const skipped = slurmSkipReason();
tellMissing(skipped);

describe.skipIf(skipped)(named('a real Slurm of two nodes', skipped), () => {
  let slurm: SlurmCluster;
  const program = (name: string) => join(slurm.directory, 'gpu-health', name);
  const state = async (node: NodeName) => (await slurm.stateOf(node)).state;
  const reason = async (node: NodeName) => (await slurm.stateOf(node)).reason;
  /** What a job on that node prints; nothing when it may not start there. */
  const runJob = async (node: NodeName, command = 'echo ran') =>
    (await slurm.run('srun', ['--quiet', '--immediate=30', '-w', node, 'sh', '-c', command])).stdout;
  /** Returns a drained node to service; again, should a health check that was under way have drained it once more. */
  const stateResumed = async (node: NodeName) => {
    if ((await reason(node)) !== 'none') {
      await slurm.run('scontrol', ['update', `NodeName=${node}`, 'State=RESUME']);
    }
    return state(node);
  };

  beforeAll(async () => {
    slurm = await startSlurm();
  });
  afterAll(() => slurm?.stop());
  beforeEach(async () => {
    await slurm.install();
    await slurm.configure();
    await slurm.run('scancel', ['--user=root']);
    for (const node of nodes) {
      await slurm.show(node, 'healthy-8xh100');
      await expect.poll(() => stateResumed(node)).toBe('idle');
    }
  });

  it('runs a job on a healthy node', async () => {
    expect(await runJob('n1')).toBe('ran\n');
  });

  it('drains a critical node with our reason before a job starts there, and requeues the job', async () => {
    await slurm.show('n2', 'fallen-off-bus');
    const file = join(slurm.directory, 'never');
    const job = await slurm.run('sbatch', [
      '--parsable',
      '-w',
      'n2',
      '--output=/dev/null',
      '--wrap',
      `touch ${file}`,
    ]);
    expect(job.code).toBe(0);
    await expect.poll(() => state('n2')).toBe('drained');
    expect(await reason('n2')).toMatch(/^gpu: reboot-node: GPU 3: .*lost this GPU/);
    await expect
      .poll(async () => (await slurm.run('squeue', ['--noheader', '--format=%T %r'])).stdout)
      .toMatch(/^PENDING .*requeued held/);
    await expect(readFile(file)).rejects.toThrow('ENOENT');
    expect(await runJob('n1')).toBe('ran\n');
  });

  it('turns red when the prolog no longer looks at the verdict', async () => {
    await slurm.install((text) => text.replace('    2)\n', '    9)\n'));
    await slurm.show('n2', 'fallen-off-bus');
    expect(await runJob('n2')).toBe('ran\n');
    expect(await reason('n2')).toBe('none');
  });

  it('lets a job end and drains the node that it left critical', async () => {
    expect(await runJob('n1', `echo gsp-timeout > ${slurm.directory}/scenario-n1; echo ran`)).toBe('ran\n');
    await expect.poll(() => state('n1')).toBe('drained');
    expect(await reason('n1')).toMatch(/^gpu: reset-gpu: GPU 6: /);
  });

  it.each([
    ['is critical with nothing to drain for', 'power-brake', ''],
    ['has a warning', 'memory-held-by-nobody', ''],
    ['is called wrongly', 'no-such-scenario', ''],
    ['is not installed', 'fallen-off-bus', 'GPU_HEALTH_AGENT=/nowhere/agent'],
    ['does not answer in time', 'fallen-off-bus', 'GPU_HEALTH_TIMEOUT_SECONDS=0.01'],
    ['has no driver', 'fallen-off-bus', 'K8S_GPU_MCP_BACKEND=nvml; K8S_GPU_MCP_SCENARIO='],
  ])('runs the job where the agent %s', async (_what, scenario, settings) => {
    await slurm.show('n1', scenario);
    await slurm.configure(settings);
    expect(await runJob('n1')).toBe('ran\n');
    expect(await reason('n1')).toBe('none');
  });

  it('drains what could not be judged when told to', async () => {
    await slurm.configure('GPU_HEALTH_AGENT=/nowhere/agent; GPU_HEALTH_DRAIN_ON_UNKNOWN=yes');
    expect(await runJob('n1')).toBe('');
    expect(await reason('n1')).toBe('gpu: GPUs could not be judged (exit code 127)');
  });

  it('drains a node on which nothing runs when the health check finds it critical', async () => {
    await slurm.reconfigure('HealthCheckInterval=1');
    await slurm.show('n1', 'ecc-uncorrectable');
    await expect.poll(() => state('n1')).toBe('drained');
    expect(await reason('n1')).toMatch(/^gpu: reset-gpu: GPU 2: 1 uncorrectable ECC error/);
    await slurm.reconfigure('HealthCheckInterval=0');
  });

  describe('called by itself', () => {
    const call = (name: string) => slurm.run(program(name), [], { SLURMD_NODENAME: 'n1' });
    /** An agent that gives this answer, with the exit code of a critical verdict. */
    const pretend = async (answer: unknown) => {
      const agent = join(slurm.directory, 'pretender');
      await writeFile(`${agent}.json`, JSON.stringify(answer));
      await writeFile(agent, `#!/bin/sh\ncat ${agent}.json\nexit 2\n`, { mode: 0o755 });
      await slurm.configure(`GPU_HEALTH_AGENT=${agent}`);
    };

    it('keeps the reason of a person', async () => {
      await slurm.show('n1', 'fallen-off-bus');
      await slurm.run('scontrol', ['update', 'NodeName=n1', 'State=DRAIN', 'Reason=new cables']);
      expect((await call('health-check.sh')).code).toBe(0);
      expect((await call('prolog.sh')).code).toBe(1);
      expect(await reason('n1')).toBe('new cables');
    });

    it('drains for exactly the actions that the agent calls disruptive', async () => {
      const refused: string[] = [];
      for (const action of actions) {
        await pretend({ nextSteps: [{ action, reason: 'because' }] });
        if ((await call('prolog.sh')).code !== 0) refused.push(action);
      }
      expect(refused).toEqual(actions.filter(isDisruptive));
    });

    it('makes a plain short reason of hostile text', async () => {
      const hostile = `$(touch ${slurm.directory}/hacked)\`id\`; State=RESUME\tÄ ${'x'.repeat(500)}`;
      await pretend({
        raw: '"nextSteps":[{"action":"none"',
        nextSteps: [{ action: 'reset-gpu', reason: hostile }],
      });
      await call('epilog.sh');
      const text = await reason('n1');
      expect(text).toMatch(/^gpu: reset-gpu: [A-Za-z0-9 .,:;()%/_-]+$/);
      expect(text.length).toBeLessThanOrEqual(120);
      await expect(readFile(join(slurm.directory, 'hacked'))).rejects.toThrow('ENOENT');
    });

    it('does not fail a job because of an answer that it cannot read', async () => {
      await pretend('gibberish');
      expect((await call('prolog.sh')).code).toBe(0);
      expect(await reason('n1')).toBe('none');
    });
  });

  describe('exclude-list.sh', () => {
    // A user's job has no gpu-health.conf: the agent is one that knows the node it runs on. Prolog and epilog are out of the way.
    const list = async (...args: readonly string[]) => {
      await slurm.configure('GPU_HEALTH_AGENT=/nowhere/agent');
      const agent = join(slurm.directory, 'agent-of-node');
      const scenario = `K8S_GPU_MCP_SCENARIO=$(cat "${slurm.directory}/scenario-$SLURMD_NODENAME")`;
      await writeFile(
        agent,
        `#!/bin/sh\nexport K8S_GPU_MCP_BACKEND=mock ${scenario}\nexec ${slurm.directory}/agent "$@"\n`,
        { mode: 0o755 },
      );
      return slurm.run(program('exclude-list.sh'), args, { GPU_HEALTH_AGENT: agent });
    };

    it('lists no healthy node', async () => {
      expect(await list('gpu')).toEqual({ code: 0, stdout: '\n', stderr: '' });
    });

    it('lists the critical node, and sbatch takes the list', async () => {
      await slurm.show('n1', 'mixed-faults');
      const { stdout } = await list('gpu');
      expect(stdout).toBe('n1\n');
      const args = ['--parsable', `--exclude=${stdout.trim()}`, '--output=/dev/null', '--wrap', 'true'];
      const job = (await slurm.run('sbatch', args)).stdout.trim();
      await expect
        .poll(async () => (await slurm.run('scontrol', ['-o', 'show', 'job', job])).stdout)
        .toMatch(/JobState=COMPLETED .* NodeList=n2 /);
    });

    it('says which node could not be judged, and lists it when asked to', async () => {
      await slurm.show('n2', 'no-such-scenario');
      expect(await list('gpu')).toEqual({
        code: 0,
        stdout: '\n',
        stderr: 'exclude-list.sh: not judged: n2\n',
      });
      for (const node of nodes) await expect.poll(() => state(node)).toBe('idle');
      expect((await list('-u', 'gpu')).stdout).toBe('n2\n');
    });

    it.each([
      ['a partition without idle nodes', ['-t', 'down', 'gpu'], 1, 'no node to ask'],
      ['what Slurm refuses', ['gpu', '--gres=gpu:8'], 1, 'Invalid generic resource'],
      ['no partition', [], 64, 'usage:'],
      ['an unknown option', ['-x', 'gpu'], 64, 'usage:'],
    ])('fails with a sentence for %s', async (_what, args, code, sentence) => {
      const result = await list(...args);
      expect(result.code).toBe(code);
      expect(result.stderr).toContain(sentence);
    });
  });
});
