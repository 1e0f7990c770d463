// All agents are restarted one after the other, while a constant load of calls asks the gateway about one node and about all. No call
// fails that had a live node to ask. Three ways: each pod is deleted and then replaced (maxUnavailable), each pod is replaced before it is
// deleted (maxSurge), and with a static list, where nobody says that an agent stops. Prints calls and failures; exits 1 when one failed.
// With --planted the restarts are kept from the API server and from the drill's book of who is live: the drill must fail.
// The number of agents is the first number given (6).
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { connectToGateway } from './cluster/ask-gateway.mjs';
import { createFakeCluster, namespace } from './cluster/fake-cluster.mjs';
import { freePort, gatewayProgram, startAgent, startProgram } from './cluster/programs.mjs';

const isPlanted = process.argv.includes('--planted');
const agentCount = Number(process.argv.slice(2).find((word) => /^\d+$/.test(word)) ?? 6);
/** Callers that ask one node after the other, and one that asks all; each pauses between an answer and its next question. */
const oneNodeCallers = 4;
const oneNodePauseMilliseconds = 50;
const allNodesPauseMilliseconds = 100;
/**
 * From the moment at which an agent can be asked until everybody knows: for a watch event, or half a second of an open circuit and its one
 * trial call, on a machine that others use too.
 */
const noticeMilliseconds = 1_500;
/** Before an agent without a pod stops: what is on its way then may find nobody. */
const inFlightMilliseconds = 250;
/** Between the new agent and the next restart, as with minReadySeconds. */
const restMilliseconds = 1_500;
const port = 8_080;

const folder = mkdtempSync(join(tmpdir(), 'rolling-restart-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
const names = Array.from({ length: agentCount }, (_, index) => `gpu-${index + 1}`);
/** Each agent has an address of its own; two pods of one node have two. */
const addressOf = (index, generation) => `127.77.${generation % 200}.${index + 1}`;

const agentAt = (node, address) => startAgent({ scenario: 'healthy-8xh100', node, address, port }, []);

/** When a node had an agent that everybody could know of: spans of time, the last one without an end. */
function createBook() {
  const spans = new Map(names.map((name) => [name, []]));
  return {
    up: (name) => spans.get(name).push({ from: performance.now() + noticeMilliseconds, to: Infinity }),
    down(name, leadMilliseconds) {
      const span = spans.get(name).at(-1);
      span.to = performance.now() - leadMilliseconds;
    },
    /** Whether a call that began then had somebody to ask. To be asked once the call is over: the book is complete then. */
    wasLive: (name, at) => spans.get(name).some(({ from, to }) => from <= at && at < to),
  };
}

/** Asks until told to stop; every answer is held against the book. */
function load(gateway, book) {
  const counts = { calls: 0, answers: 0, nobodyThere: 0, failures: 0 };
  const failures = [];
  let next = 0;
  let isOver = false;
  const judge = (name, began, wrong) => {
    if (wrong === undefined) counts.answers += 1;
    else if (!book.wasLive(name, began)) counts.nobodyThere += 1;
    else {
      counts.failures += 1;
      failures.push(wrong);
    }
  };
  const askOne = async () => {
    next = (next + 1) % names.length;
    const name = names[next];
    const began = performance.now();
    const { isError, answer, text } = await gateway.call('get_gpu_inventory', { node: name });
    judge(name, began, !isError && answer?.node === name ? undefined : text);
  };
  const askAll = async () => {
    const began = performance.now();
    const { answer, text } = await gateway.call('get_gpu_inventory', { limit: 200 });
    for (const name of names) {
      const row = answer?.nodes?.find(({ node }) => node === name);
      judge(
        name,
        began,
        row?.status === 'ok' ? undefined : row ? `${name} is ${row.status}: ${row.reason}` : text,
      );
    }
  };
  const caller = async (pauseMilliseconds, ask) => {
    while (!isOver) {
      counts.calls += 1;
      await ask().catch((error) => {
        counts.failures += 1;
        failures.push(`the gateway did not answer: ${error.message}`);
      });
      await sleep(pauseMilliseconds);
    }
  };
  const running = [
    ...Array.from({ length: oneNodeCallers }, () => caller(oneNodePauseMilliseconds, askOne)),
    caller(allNodesPauseMilliseconds, askAll),
  ];
  return async () => {
    isOver = true;
    await Promise.all(running);
    return { ...counts, failed: failures };
  };
}

/** A way of restarting, told in how agents begin, and in how one is replaced. */
async function roll(title, { begin, replace, gatewayWords }) {
  const book = createBook();
  const agents = [];
  for (const [index, name] of names.entries()) agents.push(await begin(name, index));
  const gatewayPort = await freePort();
  const program = await startProgram([gatewayProgram, '--port', String(gatewayPort), ...gatewayWords()]);
  const gateway = await connectToGateway(`http://127.0.0.1:${gatewayPort}`);
  for (const name of names) book.up(name);
  const stop = load(gateway, book);
  await sleep(noticeMilliseconds);
  for (const [index, name] of names.entries()) {
    agents[index] = await replace(agents[index], name, index, book);
    await sleep(restMilliseconds);
  }
  await sleep(noticeMilliseconds);
  const result = await stop();
  await gateway.close();
  await program.stop();
  await Promise.all(agents.map((agent) => agent.program.stop('SIGKILL')));
  const { calls, answers, nobodyThere, failures, failed } = result;
  console.log(
    `${failures === 0 ? 'survived' : 'FAILED  '} ${title.padEnd(34)} ${names.length} agents restarted during ${calls} calls: ${answers} answers of nodes, ${nobodyThere} with nobody to ask, ${failures} failures`,
  );
  for (const why of new Set(failed.slice(0, 5))) console.log(`           ${why.slice(0, 300)}`);
  return result;
}

async function inCluster(title, isSurge) {
  const cluster = await createFakeCluster({});
  const kubeconfig = join(folder, `kubeconfig-${isSurge}`);
  writeFileSync(kubeconfig, cluster.api.kubeconfig());
  const start = async (node, index, generation) => {
    const address = addressOf(index, generation);
    const program = await agentAt(node, address);
    return { program, generation, pod: cluster.putPod({ node, generation, address, port }) };
  };
  const result = await roll(title, {
    gatewayWords: () => ['--kubeconfig', kubeconfig, '--namespace', namespace],
    begin: async (name, index) => {
      cluster.addGpuNode(name);
      return start(name, index, 1);
    },
    async replace(old, name, index, book) {
      if (isPlanted) {
        await old.program.stop();
        const address = addressOf(index, old.generation);
        return { ...old, program: await agentAt(name, address) };
      }
      // The order of a kubelet: the pod is marked, the process is told, the pod goes when the process is gone.
      const end = async () => {
        if (!isSurge) book.down(name, 0);
        old.pod.leave();
        await old.program.stop();
        old.pod.remove();
      };
      if (isSurge) {
        const next = await start(name, index, old.generation + 1);
        await end();
        return next;
      }
      await end();
      const next = await start(name, index, old.generation + 1);
      book.up(name);
      return next;
    },
  });
  await cluster.api.close();
  return result;
}

function fromList() {
  const urls = names.map((name, index) => `${name}=http://${addressOf(index, 0)}:${port}`);
  return roll('static list', {
    gatewayWords: () => ['--agents', urls.join(',')],
    begin: async (name, index) => ({ program: await agentAt(name, addressOf(index, 0)) }),
    async replace(old, name, index, book) {
      if (!isPlanted) book.down(name, inFlightMilliseconds);
      await old.program.stop();
      const program = await agentAt(name, addressOf(index, 0));
      if (!isPlanted) book.up(name);
      return { program };
    },
  });
}

const results = [
  await inCluster('pods deleted, then replaced', false),
  await inCluster('pods replaced, then deleted', true),
  await fromList(),
];
const sum = (key) => results.reduce((total, result) => total + result[key], 0);
console.log(
  `rolling restart: ${sum('calls')} calls, ${sum('answers')} answers of nodes, ${sum('failures')} failures with a live node to ask`,
);
// A load that never met a restart proves nothing: in two of the three ways there are moments without an agent.
process.exit(sum('failures') === 0 && sum('nobodyThere') > 0 && sum('answers') > 100 * agentCount ? 0 : 1);
