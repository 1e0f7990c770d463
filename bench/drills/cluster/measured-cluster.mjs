// So many simulated agents, a real gateway that asks them, and raw sockets to the same agents.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { peers } from '../../harness/peers.mjs';
import { cpuMilliseconds } from '../../harness/processes.mjs';
import { connectToGateway } from './ask-gateway.mjs';
import { freePort, gatewayProgram, startProgram } from './programs.mjs';
import { openRawSockets } from './raw-sockets.mjs';

const simulator = join(import.meta.dirname, 'simulated-agents.mjs');
const probe = join(import.meta.dirname, 'memory-probe.mjs');

/** Wall clock and CPU time, in milliseconds. */
async function costOf(work, cpu) {
  const cpuBefore = cpu();
  const startedAt = performance.now();
  await work();
  const wall = performance.now() - startedAt;
  return { wall, cpu: cpu() - cpuBefore };
}

const ownCpuMilliseconds = () => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000;
};

/** `recording`: of `recordAgent`; `folder`: for its files; `latencyMilliseconds`: the median of what an agent takes. */
/** The gateway runs on the Node of the image, where that can be had. */
const { node24 = process.execPath } = peers();
const onImageNode = ([, ...args]) => [node24, ...args];

export async function startMeasuredCluster({
  agents,
  latencyMilliseconds,
  recording,
  folder,
  nodeFlags = [],
}) {
  const closing = [];
  const close = async () => {
    for (const each of closing.splice(0).reverse()) await each();
  };
  try {
    const recordingFile = join(folder, 'recording.json');
    writeFileSync(recordingFile, JSON.stringify(recording));
    const agentPort = await freePort('0.0.0.0');
    const words = [recordingFile, agentPort, agents, latencyMilliseconds].map(String);
    const simulated = await startProgram([simulator, ...words]);
    closing.push(() => simulated.stop('SIGKILL'));
    const list = JSON.parse(simulated.line('agents: '));
    const agentsFile = join(folder, `agents-${agentPort}.json`);
    writeFileSync(agentsFile, JSON.stringify(list.map(({ name, url }) => ({ name, url }))));
    const port = await freePort();
    const program = await startProgram(
      [
        ...[...nodeFlags, '--expose-gc', '--import', probe, gatewayProgram],
        // The longest there is: a machine that is held up makes a fan-out slow here, and not partial.
        ...['--port', String(port), '--agents-file', agentsFile, '--deadline', '50s'],
      ],
      { ipc: true, place: onImageNode },
    );
    closing.push(() => program.stop('SIGKILL'));
    const gateway = await connectToGateway(`http://127.0.0.1:${port}`);
    closing.push(() => gateway.close());
    const raw = await openRawSockets(list, recording.request);
    closing.push(() => raw.close());
    const ask = async () => {
      const { answer, text } = await gateway.call('get_gpu_health', {});
      if (answer?.nodeCount === agents && answer.statusCounts.ok === agents) return;
      throw new Error(`an answer is not whole: ${(answer?.summary ?? text).slice(0, 300)}`);
    };
    return {
      agents,
      program,
      /** One question to all agents. @throws Error when an agent is missing in the answer. */
      ask,
      askMeasured: (times) =>
        costOf(
          () => repeat(ask, times),
          () => cpuMilliseconds(program.pid),
        ),
      askRawMeasured: (times) => costOf(() => repeat(raw.ask, times), ownCpuMilliseconds),
      /** Bytes on the heap of the gateway after a collection. */
      heapAfterCollection: () =>
        new Promise((resolve) => {
          program.child.once('message', resolve);
          program.child.send('collect');
        }),
      /** From now on the gateway keeps a piece of every answer for ever. */
      leak: () => program.child.send('leak'),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

async function repeat(work, times) {
  for (let time = 0; time < times; time += 1) await work();
}
