// Memory of the agent as the image runs it, against the Go peer in the same run: after the start, with the NVML helper process beside it
// (8 GPUs of the fake library), after 10,000 calls, and idle again. Resident is what the kernel counts for a process, with every page of
// Node's own file it touched; proportional divides what several processes share; anonymous is nobody else's.
//
// The calls are of the cheapest tool of each side that answers from what it has: `get_gpu_inventory` of 8 simulated GPUs, and
// `configuration_view`, which prints a kubeconfig of one cluster.
import { spawnSync } from 'node:child_process';
import { setTimeout as pause } from 'node:timers/promises';
import { createFakeNode } from './drills/fake-node.mjs';
import { printAlone } from './harness/alone.mjs';
import { isShort } from './harness/environment.mjs';
import { figure, median, notMeasured } from './harness/figure.mjs';
import { imageForm } from './harness/forms.mjs';
import { peers } from './harness/peers.mjs';
import { memoryOf, openSession, processTree } from './harness/processes.mjs';

const rounds = isShort ? 5 : 7;
const calls = isShort ? 300 : 10_000;
const window = 64;
const gpuCount = 8;
/** After the last answer, so that what is done after it is done. */
const settledMilliseconds = 200;
const idleMilliseconds = 3_000;
const helperIdleSeconds = 1;
const helperGoneWithinMilliseconds = 15_000;

const callsText = `${calls.toLocaleString('en-US')} calls`;

/** [figure, must, stretch, guard]. Memory varies little with other work, so the guards are near. */
const table = {
  start: ['image form: resident memory after start / Go kubernetes-mcp-server', 0.95, 0.85, 1.4],
  helper: ['image form: proportional memory with the NVML helper / Go kubernetes-mcp-server', 1.5, 1.2, 2],
  calls: [`image form: resident memory after ${callsText} / Go kubernetes-mcp-server`, 1.3, 1.1, 1.8],
  idle: [`image form: resident memory, idle after ${callsText} / Go kubernetes-mcp-server`],
  helperGone: ['image form: resident memory, idle without its NVML helper / Go kubernetes-mcp-server'],
};
const megabytes = (bytes) => `${(bytes / 1e6).toFixed(1)} MB`;

async function inSession(command, options, work) {
  const session = openSession(command, options);
  try {
    await session.start();
    await pause(settledMilliseconds);
    return await work(session);
  } finally {
    await session.kill();
  }
}

const afterCalls = (command, tool) =>
  inSession(command, {}, async (session) => {
    const start = memoryOf(session.pid);
    await session.callMany(calls, window, tool);
    await pause(settledMilliseconds);
    const called = memoryOf(session.pid);
    if (isShort) return { start, calls: called };
    await pause(idleMilliseconds);
    return { start, calls: called, idle: memoryOf(session.pid) };
  });

/** The agent and its helper together after a reading; then the agent alone, when the helper has gone. */
const withHelper = (command, node) =>
  inSession(
    [...command, '--backend', 'nvml', '--nvml-library', node.library],
    { environment: node.environment },
    async (session) => {
      await session.call('get_gpu_health');
      await pause(settledMilliseconds);
      const pids = processTree(session.pid);
      if (pids.length !== 2) throw new Error(`the agent and its helper are ${pids.length} processes`);
      const helper = memoryOf(...pids);
      return { helper, agent: memoryOf(session.pid) };
    },
  );

/** The recorder, which goes on for a while after a call, would ask the helper every second; here once a minute, so that it is idle between. */
const helperGone = (command, node) =>
  inSession(
    [
      ...[...command, '--backend', 'nvml', '--nvml-library', node.library],
      ...['--nvml-idle-exit', String(helperIdleSeconds), '--record-interval', '60000'],
    ],
    { environment: node.environment },
    async (session) => {
      await session.call('get_gpu_inventory');
      const startedAt = performance.now();
      while (processTree(session.pid).length > 1) {
        if (performance.now() - startedAt > helperGoneWithinMilliseconds)
          throw new Error(
            `the NVML helper is still there ${helperGoneWithinMilliseconds / 1_000} s after a call`,
          );
        await pause(50);
      }
      await pause(settledMilliseconds);
      return { ...memoryOf(session.pid), seconds: (performance.now() - startedAt) / 1_000 };
    },
  );

export async function run() {
  const { reason: peersReason, node24, go } = peers();
  const image = peersReason === undefined ? imageForm(node24) : { reason: peersReason };
  const base = ([name, must, stretch, guard]) => ({ name, must, stretch, guard });
  if (image.reason !== undefined)
    return { figures: Object.values(table).map((each) => notMeasured(base(each), image.reason)) };
  const command = [...image.command, '--log-level', 'silent'];
  const node = spawnSync('cc', ['--version']).status === 0 ? createFakeNode(gpuCount) : undefined;
  const ours = [];
  const theirs = [];
  const helper = [];
  for (let round = 0; round < rounds; round += 1) {
    ours.push(await afterCalls([...command, '--backend', 'mock'], 'get_gpu_inventory'));
    theirs.push(await afterCalls(go.stdio, go.tool));
    if (node !== undefined)
      helper.push({
        ...(await withHelper(command, node)),
        ...(isShort ? {} : { gone: await helperGone(command, node) }),
      });
  }
  const middle = (samples) => megabytes(median(samples));
  const compare = (key, mine, others, detail) =>
    figure({
      ...base(table[key]),
      pairs: mine.map((value, round) => [value, others[round]]),
      detail: `${middle(mine)} / ${middle(others)}${detail}`,
    });
  const resident = (side, when) => side.map((each) => each[when].residentBytes);
  const anonymous = (when) =>
    `; anonymous ${middle(ours.map((each) => each[when].anonymousBytes))} / ${middle(theirs.map((each) => each[when].anonymousBytes))}`;
  const peerProportional = theirs.map((each) => each.start.proportionalBytes);
  const figures = [
    compare('start', resident(ours, 'start'), resident(theirs, 'start'), anonymous('start')),
    compare(
      'calls',
      resident(ours, 'calls'),
      resident(theirs, 'calls'),
      `${anonymous('calls')}; ${window} on their way at a time`,
    ),
  ];
  // What takes its time, and has no bound, is left out of the short run.
  if (!isShort)
    figures.push(compare('idle', resident(ours, 'idle'), resident(theirs, 'idle'), anonymous('idle')));
  if (node === undefined) {
    const reason = 'no C compiler (cc) for the fake library';
    figures.push(notMeasured(base(table.helper), reason));
  } else {
    const of = (what) => middle(helper.map(what));
    figures.push(
      compare(
        'helper',
        helper.map((each) => each.helper.proportionalBytes),
        peerProportional,
        `; of ours the agent ${of((each) => each.agent.proportionalBytes)}; anonymous, both processes ${of((each) => each.helper.anonymousBytes)}`,
      ),
    );
    if (!isShort)
      figures.push(
        compare(
          'helperGone',
          helper.map((each) => each.gone.residentBytes),
          resident(theirs, 'idle'),
          `; the helper was gone ${median(helper.map((each) => each.gone.seconds)).toFixed(1)} s after the call (--nvml-idle-exit ${helperIdleSeconds})`,
        ),
      );
  }
  return { figures };
}

await printAlone(import.meta.filename, run);
