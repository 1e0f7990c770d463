// What the commands of this node print: live events from driver and kernel log, topology and processes, on the C fake library.
import { appendFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import {
  createFakeNode,
  type FakeNode,
  helperPids,
  type NodeConfig,
  noCompiler,
  until,
} from './fake-node.ts';
import { type RunningAgent, runAgent, startAgent } from './run-agent.ts';

// nvmlEventTypeXidCriticalError, nvmlEventTypePState. Source: nvml.h.
const xid = 0x8;
const performanceState = 0x4;

interface Shown {
  readonly id?: number;
  readonly revision: number;
  readonly kind: string;
  readonly xid?: number;
  readonly notice?: string;
  readonly sources: readonly string[];
}

let running: RunningAgent | undefined;
afterEach(() => {
  running?.child.kill('SIGKILL');
  running = undefined;
});

/** Starts `watch` and gathers its lines. */
function watch(args: readonly string[], env: Record<string, string> = {}) {
  const agent = startAgent(['watch', ...args], env);
  running = agent;
  let text = '';
  agent.child.stdout.on('data', (chunk) => {
    text += chunk;
  });
  const lines = () => text.split('\n').slice(0, -1);
  const items = () => lines().map((line) => JSON.parse(line) as Shown);
  const isEvent = ({ id }: Shown) => id !== undefined;
  return {
    ...agent,
    lines,
    items,
    events: () => items().filter(isEvent),
    /** Until an event of this kind and number has been told. */
    seen: (wanted: Partial<Shown>) =>
      until(
        () =>
          items().some((item) =>
            Object.entries(wanted).every(([key, value]) => item[key as keyof Shown] === value),
          ),
        15_000,
      ),
  };
}

describe.skipIf(noCompiler !== undefined)('watch on a real dlopen', () => {
  let node: FakeNode;
  const emit = (line: string) => appendFileSync(node.path('events'), `${line}\n`);
  const log = (text: string) => appendFileSync(node.path('kern.log'), `[  100.000000] ${text}\n`);
  const xidLine = (gpu: number, code: number, detail: string) =>
    `NVRM: Xid (PCI:0000:${(0x1b + gpu).toString(16)}:00): ${code}, ${detail}`;
  /** Sends until it is told of: nobody says when the listening has begun. */
  const untilHeard = (send: () => void, isHeard: () => boolean) => {
    let last = 0;
    return until(() => {
      if (Date.now() - last > 300) {
        last = Date.now();
        send();
      }
      return isHeard();
    }, 15_000);
  };
  const hearsDriver = (watching: ReturnType<typeof watch>) =>
    untilHeard(
      () => emit(`1 ${performanceState} 5`),
      () =>
        watching.lines().length > 0 && /performance-state|Performance state/.test(watching.lines().join()),
    );

  beforeAll(() => {
    const supported = { 'events.supported': xid | performanceState };
    node = createFakeNode({ gpus: [supported, supported] });
    const events = `events ${node.path('events')}`;
    node.configure({ gpus: [supported, supported], faults: [events] });
    writeFileSync(node.path('events'), '');
    writeFileSync(node.path('kern.log'), '[    1.000000] Linux version 6.8.0\n');
  });
  afterAll(() => node.dispose());

  it('one line of JSON per event; the same in driver and kernel log is one event; an interrupt ends it', async () => {
    const kernelLog = `file:${node.path('kern.log')}`;
    const watching = watch([...node.args, '--kernel-log', kernelLog, '--json'], node.env);
    await hearsDriver(watching);
    await untilHeard(
      () => log(xidLine(1, 43, 'pid=77, name=train, Ch 00000008')),
      () => watching.events().some((event) => event.xid === 43),
    );
    emit(`0 ${xid} 79`);
    await watching.seen({ xid: 79, revision: 0 });
    log(xidLine(0, 79, 'pid=1234, name=python3, GPU has fallen off the bus.'));
    // When the window of five seconds ends, it is told again with what both have to say.
    await watching.seen({ xid: 79, revision: 1 });
    const told = watching.events().filter((event) => event.xid === 79);
    expect(told).toHaveLength(2);
    expect(told[0]).toMatchObject({
      sources: ['driver'],
      gpu: { index: 0, uuid: 'GPU-00000000-1111-2222-3333-000000000000' },
      pciAddress: '0000:1b:00',
      severity: 'fatal',
      verdict: 'critical',
      trusted: true,
      title: expect.stringMatching(/bus/i),
    });
    expect(told[1]).toMatchObject({
      id: told[0]?.id,
      sources: ['driver', 'kernel-log'],
      repeatCount: 1,
      pid: 1234,
      processName: 'python3',
      raw: expect.stringContaining('fallen off the bus'),
    });
    const { pid = 0 } = watching.child;
    expect(helperPids(pid)).toHaveLength(1);
    watching.child.kill('SIGINT');
    expect(await watching.exited).toMatchObject({ code: 0 });
    expect(helperPids(pid)).toEqual([]);
  });

  it('one GPU, for a person, without the kernel log', async () => {
    const watching = watch([...node.args, '--kernel-log', 'none', '--gpu', '1'], node.env);
    await hearsDriver(watching);
    emit(`0 ${xid} 48`);
    emit(`1 ${xid} 31`);
    await until(() => watching.lines().join().includes('Xid 31'));
    expect(watching.lines().find((line) => line.includes('Xid 31'))).toMatch(
      /^\d{4}-\d\d-\d\dT.*GPU 1 {2}Xid 31 .*from driver/,
    );
    expect(watching.lines().join()).not.toContain('Xid 48');
    watching.child.kill('SIGTERM');
    expect(await watching.exited).toMatchObject({ code: 0 });
  });

  it('a reader that has seen enough ends it quietly', async () => {
    const watching = watch([...node.args, '--kernel-log', 'none', '--json'], node.env);
    await hearsDriver(watching);
    watching.child.stdout.destroy();
    const ended = watching.exited;
    let hasEnded = false;
    ended.then(() => {
      hasEnded = true;
    });
    await untilHeard(
      () => emit(`0 ${xid} ${31}`),
      () => hasEnded,
    );
    expect(await ended).toMatchObject({ code: 0, stderr: '' });
    expect(helperPids(watching.child.pid)).toEqual([]);
  });
});

describe('watch of simulated GPUs', () => {
  it('tells the events of the scenario', async () => {
    const watching = watch(['--backend', 'mock', '--scenario', 'nvlink-down', '--json']);
    await watching.seen({ xid: 74, revision: 0 });
    expect(watching.items()).toMatchObject([{ kind: 'xid', gpu: { index: 4 }, sources: ['driver'] }]);
    watching.child.kill('SIGTERM');
    expect(await watching.exited).toMatchObject({ code: 0, stderr: '' });
  });

  it.each([
    [['--gpu', '64'], '--gpu'],
    [['--since', '1h'], '--since'],
  ])('refuses %j in one line', async (args, named) => {
    const { code, stdout, stderr } = await runAgent(['watch', '--backend', 'mock', ...args]);
    expect({ code, stdout }).toEqual({ code: 64, stdout: '' });
    expect(stderr.trim().split('\n')).toHaveLength(1);
    expect(stderr).toContain(named);
  });
});

describe.skipIf(noCompiler !== undefined)('topology and processes on a real dlopen', () => {
  let node: FakeNode;
  beforeAll(() => {
    node = createFakeNode({ gpus: [{}, {}] });
  });
  afterAll(() => node.dispose());
  const ask = (command: string, ...more: string[]) =>
    runAgent([command, ...node.args, '--kernel-log', 'none', ...more], { env: node.env });

  // No process can have this pid: Linux has at most 4,194,304.
  const noSuchPid = 4_294_967_000;
  const notLoaded = ['rc nvmlInitWithFlags * 9', 'rc nvmlInit_v2 * 9'];
  const cases: readonly [string, NodeConfig, string, number][] = [
    ['topology', { gpus: [{}, {}] }, 'ok', 0],
    ['topology', { gpus: [{ 'nvlink.0.state': 0 }, {}] }, 'critical', 2],
    ['topology', { faults: notLoaded }, 'unknown', 3],
    ['processes', { gpus: [{ 'process.compute': `${process.pid}:1048576` }, {}] }, 'ok', 0],
    ['processes', { gpus: [{ 'process.compute': `${noSuchPid}:1048576` }, {}] }, 'warning', 1],
    ['processes', { faults: ['rc * 1 15'] }, 'critical', 2],
    ['processes', { faults: notLoaded }, 'unknown', 3],
  ];
  it.each(cases)('%s of %j: %s is exit code %i', async (command, config, verdict, code) => {
    node.configure(config);
    const json = await ask(command, '--json');
    expect(json.stdout.trim().split('\n')).toHaveLength(1);
    expect(JSON.parse(json.stdout)).toMatchObject({ apiVersion: 'v1', verdict });
    expect(json.code).toBe(code);
    const shown = await ask(command);
    expect(shown).toMatchObject({ code, stderr: '' });
    expect(shown.stdout).toContain(verdict.toUpperCase());
  });

  it('print what was asked as tables', async () => {
    node.configure({ gpus: [{ 'process.compute': `${process.pid}:${3 * 2 ** 20}` }, {}] });
    const topology = (await ask('topology')).stdout;
    expect(topology).toMatch(/^GPU0 {2}X {5}NV18$/m);
    expect(topology).toMatch(/^ {2}1 {2}18 of 18 {2}completed {2}gen 5 of 5 {2}x16 of x16 {2}0 /m);
    const processes = (await ask('processes', '--gpu', '0')).stdout;
    expect(processes).toMatch(new RegExp(`^ *${process.pid} .*0: 3 MiB.*node`, 'm'));
  });
});

describe.skipIf(noCompiler !== undefined)('a driver that hangs at the start', () => {
  it('does not keep watch from being interrupted', async () => {
    const hung = createFakeNode({ gpus: [{}], faults: ['mode nvmlInit_v2 sys hang'] });
    const { child, exited } = watch([...hung.args, '--kernel-log', 'none'], hung.env);
    const calls = hung.path('calls');
    await until(() => existsSync(calls) && readFileSync(calls, 'utf8').includes('nvmlInit'), 15_000);
    const interruptedAt = performance.now();
    child.kill('SIGINT');
    expect(await exited).toEqual({ code: 0, stdout: '', stderr: '' });
    // Naming the GPUs has 10 s.
    expect(performance.now() - interruptedAt).toBeLessThan(6_000);
    hung.dispose();
  });
});
