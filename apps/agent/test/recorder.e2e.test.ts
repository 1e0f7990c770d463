// The flight recorder as users meet it: the program, on a real dlopen'ed library (the C fake) or on simulated GPUs, killed and started again.
import { mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { createFakeNode, helperPids, noCompiler, until } from './fake-node.ts';
import { initialize, type RunningAgent, runAgent, startAgent, toolCall } from './run-agent.ts';

const root = mkdtempSync(join(tmpdir(), 'recorder-e2e-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

const mock = ['--backend', 'mock', '--scenario', 'thermal-throttle'];
const because = noCompiler ? ` (${noCompiler})` : '';

interface Timeline {
  readonly summary: string;
  readonly gpus: readonly {
    readonly index: number;
    readonly state: string | null;
    readonly sampleCount: number;
  }[];
  readonly startAt: string;
  readonly events: readonly { readonly atSeconds: number; readonly kind: string; readonly reason?: string }[];
  readonly gaps: readonly { readonly field: string; readonly detail: string }[];
  readonly coverage: {
    readonly recorder: {
      readonly recording: boolean;
      readonly to: string | null;
      readonly store?: { readonly loadedSampleCount: number; readonly lostSampleCount: number };
    };
  };
}

/** An agent over stdio, with a client that asks for timelines. */
function start(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const agent = startAgent([...args], env);
  let id = 0;
  agent.child.stdin.write(initialize(id));
  const timeline = async (input: Readonly<Record<string, unknown>> = {}): Promise<Timeline> => {
    id += 1;
    agent.child.stdin.write(toolCall(id, 'get_gpu_timeline', input));
    const answer = (await agent.answerTo(id)) as {
      readonly result: { readonly structuredContent: Timeline };
    };
    return answer.result.structuredContent;
  };
  /** Asks until the answer is as wanted: samples come with time only. */
  const timelineWhere = async (isWanted: (told: Timeline) => boolean, input = {}): Promise<Timeline> => {
    const deadline = Date.now() + 15_000;
    for (;;) {
      const told = await timeline(input);
      if (isWanted(told)) return told;
      if (Date.now() > deadline) throw new Error(`not so in time: ${JSON.stringify(told)}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  };
  return { ...agent, initialized: agent.answerTo(0), timeline, timelineWhere };
}

/** How long the agent took to end, whichever way it was told to. */
async function ended({ child, exited }: RunningAgent, how: 'stdin' | NodeJS.Signals) {
  const before = performance.now();
  if (how === 'stdin') child.stdin.end();
  else child.kill(how);
  const { code, stderr } = await exited;
  return { code, stderr, milliseconds: performance.now() - before };
}

const warnings = (stderr: string): readonly string[] =>
  stderr
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as { readonly level: string; readonly message: string })
    .filter(({ level }) => level === 'warn' || level === 'error')
    .map(({ message }) => message)
    .filter((message) => message !== 'the GPUs are simulated');

const bytesIn = (directory: string): number => {
  try {
    return readdirSync(directory).reduce((sum, name) => sum + statSync(join(directory, name)).size, 0);
  } catch {
    return 0;
  }
};

describe.skipIf(noCompiler)(`on a driver${because}`, () => {
  it('nobody asks: there is no helper; then one, and the call is answered; it ends with the agent', async () => {
    const node = createFakeNode({ gpus: [{}, {}] });
    const agent = start([...node.args, '--kernel-log', 'none', '--record-interval', '200'], node.env);
    const { pid } = agent.child;
    await agent.initialized;
    expect(helperPids(pid)).toEqual([]);
    const first = await agent.timeline();
    expect(first.summary).toContain('Nothing has been recorded yet; recording began with this call');
    expect(first.coverage.recorder.recording).toBe(true);
    const later = await agent.timelineWhere(({ gpus }) => gpus.some(({ sampleCount }) => sampleCount >= 5));
    expect(later.gpus.map(({ index, state }) => [index, state])).toEqual([
      [0, 'ok'],
      [1, 'ok'],
    ]);
    // One event for all: that one GPU was read a moment after the other is no gap of its own.
    expect(later.events).toEqual([
      { atSeconds: 0, kind: 'recorder-gap', seconds: expect.any(Number), reason: 'not-recorded-yet' },
    ]);
    expect(helperPids(pid)).toHaveLength(1);
    const { code, milliseconds, stderr } = await ended(agent, 'stdin');
    expect([code, warnings(stderr)]).toEqual([0, []]);
    expect(milliseconds).toBeLessThan(2_000);
    expect(helperPids(pid)).toEqual([]);
    node.dispose();
  });

  it('with --record it has one without being asked, and a driver that is installed later is found', async () => {
    const node = createFakeNode({ gpus: [{}] });
    const library = join(root, 'libnvidia-ml.so.1');
    const args = ['--nvml-library', library, '--kernel-log', 'none', '--record', '--record-interval', '200'];
    const agent = start(args, node.env);
    const without = await agent.timelineWhere(({ summary }) => summary.includes('driver does not say'));
    expect(without.gpus).toEqual([]);
    const [, built = ''] = node.args;
    writeFileSync(`${library}.new`, readFileSync(built));
    renameSync(`${library}.new`, library);
    await until(() => helperPids(agent.child.pid).length === 1, 40_000);
    await agent.timelineWhere(({ gpus }) => gpus.length === 1 && (gpus[0]?.sampleCount ?? 0) > 1);
    const { code, stderr } = await ended(agent, 'SIGTERM');
    expect([code, warnings(stderr)]).toEqual([0, []]);
    node.dispose();
  });
});

describe('the record directory', () => {
  it('has after a kill -9 what was recorded before, but for one interval; the gap says not-running', async () => {
    const directory = join(root, 'killed');
    const args = [...mock, '--record', '--record-interval', '200', '--record-directory', directory];
    let newest = 0;
    for (const round of [0, 1, 2]) {
      const agent = start(args);
      const fresh = await agent.timelineWhere(({ gpus }) => gpus.length === 4, {
        detail: 'full',
        since: '1m',
      });
      const { store } = fresh.coverage.recorder;
      if (round > 0) {
        expect(store).toMatchObject({ lostSampleCount: 0 });
        expect(store?.loadedSampleCount).toBeGreaterThanOrEqual(round * 4 * 4);
        const gap = fresh.events.findLast(({ reason }) => reason === 'not-running');
        const from = Date.parse(fresh.startAt) + (gap?.atSeconds ?? Number.NaN) * 1_000;
        // Times of events are told in tenths of a second.
        expect(from).toBeGreaterThanOrEqual(newest - 200 - 100);
      }
      const before = bytesIn(directory);
      // More than the four rounds that are asked for: how the file begins may be among it.
      await until(() => bytesIn(directory) > before + 9 * 4 * 250, 10_000);
      newest = Date.parse((await agent.timeline()).coverage.recorder.to ?? '');
      await ended(agent, 'SIGKILL');
      // A program that is there again within two and a half intervals has missed nothing, and there is no gap to tell of.
      await until(() => Date.now() > newest + 3 * 200, 10_000);
    }
  });

  it.each(['SIGTERM', 'stdin'] as const)('has every sample after an end by %s', async (how) => {
    const directory = join(root, how);
    const args = [...mock, '--record', '--record-interval', '60000', '--record-directory', directory];
    const agent = start(args);
    const told = await agent.timelineWhere(({ gpus }) => gpus.length === 4);
    const { code, milliseconds } = await ended(agent, how);
    expect(code).toBe(0);
    expect(milliseconds).toBeLessThan(2_000);
    const { stdout } = await runAgent(['timeline', ...mock, '--record-directory', directory, '--json']);
    const shown = JSON.parse(stdout) as Timeline;
    expect(shown.coverage.recorder.to).toBe(told.coverage.recorder.to);
    expect(shown.gpus.map(({ sampleCount }) => sampleCount)).toEqual([1, 1, 1, 1]);
  });

  it('planted fault: what an agent kept in memory only is not there afterwards', async () => {
    const args = [...mock, '--record', '--record-interval', '60000'];
    const agent = start(args);
    const told = await agent.timelineWhere(({ gpus }) => gpus.length === 4);
    await ended(agent, 'SIGTERM');
    const { stdout } = await runAgent([
      'timeline',
      ...mock,
      '--record-directory',
      join(root, 'none'),
      '--window',
      '1',
      '--json',
    ]);
    expect((JSON.parse(stdout) as Timeline).coverage.recorder.to).not.toBe(told.coverage.recorder.to);
  });

  it.each([
    ['is a file', () => process.execPath],
    ['cannot be made', () => '/proc/k8s-gpu-mcp/record'],
  ])(
    'that %s: logged once, told in the answer, warned of by doctor; the agent still ends',
    async (_, path) => {
      const directory = path();
      const agent = start([...mock, '--record', '--record-interval', '200', '--record-directory', directory]);
      const told = await agent.timelineWhere(({ gaps }) =>
        gaps.some(({ field }) => field === 'recorder.store'),
      );
      expect(told.gaps.find(({ field }) => field === 'recorder.store')?.detail).toContain(directory);
      await agent.timelineWhere(({ gpus }) => (gpus[0]?.sampleCount ?? 0) >= 5);
      const { code, milliseconds, stderr } = await ended(agent, 'stdin');
      expect([code, warnings(stderr)]).toEqual([0, [expect.stringContaining('flight recorder')]]);
      expect(milliseconds).toBeLessThan(2_000);
      const doctor = await runAgent(['doctor', '--backend', 'mock', '--record-directory', directory]);
      expect(doctor.stdout).toMatch(/^warn +record directory/m);
    },
  );
});

describe('the timeline command', () => {
  it('shows what there is when it is interrupted in its window', async () => {
    const agent = startAgent(['timeline', ...mock, '--window', '60', '--record-interval', '200', '--json']);
    await agent.logged('recording for 60 s');
    agent.child.kill('SIGINT');
    const { code, stdout } = await agent.exited;
    expect(code).toBe(0);
    const { seconds } = JSON.parse(stdout) as { readonly seconds: number };
    // What passed, not the whole window.
    expect(seconds).toBeLessThan(20);
  });
});
