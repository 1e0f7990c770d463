// Ten real agents (mock backend, a scenario each) as processes in network namespaces with addresses of their own, behind an API server that
// fails in the ways of real ones, and a real gateway asked by a real MCP client. For each fault: every call answers within its deadline,
// the healthy nodes are there, whole and with the verdict of their scenario, the faulty one is named with its status and the reason, never
// called ok, and it comes back when the fault ends. Prints a line for each fault and survived/tried; exits 1 when they differ.
//
// Needs Linux, iproute2, openssl, and root or user namespaces; else it says why and is skipped. Partitions by nftables, without it by routes.
// With --planted the gateway is given four times the deadline, and one agent shows another scenario than is expected of it: the drill must
// fail. A word given runs only the faults whose name has it.
import { setTimeout as sleep } from 'node:timers/promises';
import { agentFaults, manyAtOnce } from './cluster/agent-faults.mjs';
import { apiFaults } from './cluster/api-faults.mjs';
import { askDuring, deadlineMilliseconds, judgeAll, untilWell } from './cluster/judge.mjs';
import { nodes } from './cluster/nodes.mjs';
import { enterOwnNamespaces } from './cluster/own-namespaces.mjs';

await enterOwnNamespaces('cluster drill');
const { createTestBed } = await import('./cluster/test-bed.mjs');

const isPlanted = process.argv.includes('--planted');
const only = process.argv.slice(2).find((word) => !word.startsWith('--'));
/** A node whose circuit is still closed: the next call finds it well. */
const comesBackMilliseconds = isPlanted ? 1_000 : 15_000;
/**
 * An open circuit is left alone for 30 s first, and for 60 s more when its one trial call met the fault; requests to an API server that
 * is dead time out after 15 s, and are tried again later.
 */
const comesBackLateMilliseconds = 120_000;
/** Less than a circuit stays open, so that its trial call comes when all is well, unless the machine is held up. */
const flappingMilliseconds = 8_000;
/** So many faults at the same time, each on a node of its own. */
const atOnce = 4;

setTimeout(() => {
  console.error('cluster drill: still not at its end after 15 minutes');
  process.exit(1);
}, 900_000).unref();
const bed = await createTestBed({
  deadlineMilliseconds: isPlanted ? 4 * deadlineMilliseconds : deadlineMilliseconds,
});
const { gateway, api } = bed;
if (isPlanted) Object.assign(nodes.find(({ name }) => name === 'gpu-08') ?? {}, { verdict: 'ok', sick: [] });
else await untilWell(gateway, comesBackMilliseconds);

let survived = 0;
let tried = 0;
function tell(name, { wrong, said = '', milliseconds = 0, recovery = 0 }) {
  tried += 1;
  if (wrong === undefined) survived += 1;
  const seconds = (each) => `${(each / 1_000).toFixed(1)} s`;
  const times = `answered in ${seconds(milliseconds)}, well again after ${seconds(recovery)}`;
  const outcome = wrong === undefined ? 'survived' : 'FAILED  ';
  console.log(`${outcome} ${name.padEnd(50)} ${times}; ${said}${wrong === undefined ? '' : ` -- ${wrong}`}`);
}

/** What was asked while something was wrong, and how long it took to be well again. */
async function afterwards(asked, limitMilliseconds) {
  const { recovery, last, wrong } = await untilWell(gateway, limitMilliseconds);
  const said = typeof asked.said === 'object' ? Object.values(asked.said).join(' | ') : asked.said;
  const late = recovery > 5_000 ? `; last before it was well: ${last}` : '';
  return { ...asked, said: `${said}${late}`, recovery, wrong: asked.wrong ?? wrong };
}

/** Faults, each on its node, until `during` is over. */
async function withNodeFaults(faults, during) {
  await Promise.all(faults.map(({ node, begin }) => begin(bed.nodes[node])));
  try {
    return await during(Object.fromEntries(faults.map(({ node, expected }) => [node, expected])));
  } finally {
    await Promise.all(faults.map(({ node, end }) => end(bed.nodes[node])));
  }
}

async function wave(faults) {
  const own = nodes.filter(({ isForeign }) => !isForeign);
  const foreign = nodes.find(({ isForeign }) => isForeign);
  const placed = faults.map((fault, index) => ({
    ...fault,
    node: (fault.isForeign ? foreign : own[index]).name,
  }));
  const asked = await withNodeFaults(placed, (expected) => askDuring(gateway, expected));
  const result = await afterwards(asked, comesBackMilliseconds);
  for (const { name, node } of placed) tell(name, { ...result, said: asked.said[node] });
}

/** Another pod, while the old one's process is gone: the circuit and connections of the old one are of no concern. */
async function replaced() {
  const place = bed.nodes['gpu-05'];
  await place.stop();
  const asked = await askDuring(gateway, {
    'gpu-05': { statuses: ['error'], reason: /cannot be reached/ },
  });
  place.pod.remove();
  await place.start();
  place.newPod();
  return afterwards(asked, comesBackMilliseconds);
}

async function notReady() {
  const [stopping, starting] = [bed.nodes['gpu-05'], bed.nodes['gpu-06']];
  stopping.pod.leave();
  starting.pod.notReady();
  // The watch brings it byte by byte.
  await sleep(500);
  const asked = await askDuring(gateway, {
    'gpu-05': { statuses: ['not-ready'], reason: /pod is stopping/ },
    'gpu-06': { statuses: ['not-ready'], reason: /pod is not ready/ },
  });
  stopping.pod.remove();
  stopping.newPod();
  starting.pod.ready();
  return afterwards(asked, comesBackMilliseconds);
}

/** A dead node costs three calls; then it costs nothing, until another pod takes its place. */
async function circuitOpens() {
  const place = bed.nodes['gpu-02'];
  place.signal('SIGSTOP');
  const silent = {
    'gpu-02': { statuses: ['timeout', 'circuit-open'], reason: /no answer within|left alone/ },
  };
  const before = [await askDuring(gateway, silent), await askDuring(gateway, silent)];
  const open = { statuses: ['circuit-open'], reason: /\d failed calls in a row.*left alone until/ };
  const asked = await askDuring(gateway, { 'gpu-02': open });
  place.signal('SIGCONT');
  place.newPod();
  const slow = asked.milliseconds > deadlineMilliseconds / 2 ? 'an open circuit is waited for' : undefined;
  const wrong = before.find((each) => each.wrong)?.wrong ?? asked.wrong ?? slow;
  return afterwards({ ...asked, wrong }, comesBackMilliseconds);
}

async function withApiFault({ begin, isStale, lastsMilliseconds = 1_000 }) {
  const place = bed.nodes['gpu-10'];
  const stop = await begin();
  const until = performance.now() + lastsMilliseconds;
  // An answer from before the gateway has noticed would tell nothing.
  await sleep(300);
  let asked;
  do asked = await askDuring(gateway, {}, isStale);
  while (performance.now() < until && asked.wrong === undefined);
  // Nobody is told of this pod while the fault lasts; its process is the same.
  place.pod.remove();
  place.newPod();
  stop?.();
  const said = { true: 'marked as out of date', false: 'current', undefined: 'current or marked' }[isStale];
  return afterwards({ ...asked, said: `the set of nodes is whole and ${said}` }, comesBackLateMilliseconds);
}

async function everything() {
  const faults = manyAtOnce.map((word, index) => {
    const fault = faultsOfAgents.find(({ name }) => name.includes(word));
    const { statuses, reason } = fault.expected;
    // Who does not answer may be gone, for all that is known while the directory is out of date.
    const expected = { statuses: [...statuses, 'stale'], reason };
    return { ...fault, expected, node: nodes[index].name };
  });
  const stop = api.inject({ kind: 'dead' });
  api.closeWatches('reset');
  await sleep(300);
  const asked = await withNodeFaults(faults, (expected) => askDuring(gateway, expected, true));
  stop();
  return afterwards(asked, comesBackLateMilliseconds);
}

async function flapping() {
  const place = bed.nodes['gpu-01'];
  let flaps = 0;
  let isOver = false;
  const until = performance.now() + flappingMilliseconds;
  const flap = (async () => {
    for (; performance.now() < until; flaps += 1) {
      await place.stop();
      await sleep(500);
      await place.start();
      await sleep(500);
    }
  })().finally(() => {
    isOver = true;
  });
  const failing = {
    statuses: ['error', 'timeout', 'circuit-open'],
    reason: /cannot be reached|cut off|left alone|no answer within|trial call/,
  };
  let wrong;
  let count = 0;
  let milliseconds = 0;
  while (!isOver) {
    const asked = await gateway.health();
    const isWell = asked.answer?.nodes.find(({ node }) => node === 'gpu-01')?.status === 'ok';
    wrong ??= judgeAll(asked, isWell ? {} : { 'gpu-01': failing });
    milliseconds = Math.max(milliseconds, asked.milliseconds);
    count += 1;
    await sleep(100);
  }
  await flap;
  const said = `${count} calls during ${flaps} flaps`;
  return afterwards({ wrong, said, milliseconds }, comesBackLateMilliseconds);
}

const isChosen = ({ name }) => {
  // What is planted shows at once; its faults need not all be waited for.
  if (isPlanted) return /^hung:|^401/.test(name);
  return only === undefined || name.includes(only);
};
const faultsOfAgents = agentFaults(bed);
const chosenFaults = faultsOfAgents.filter(isChosen);
const waveSize = isPlanted ? 1 : atOnce;
for (let index = 0; index < chosenFaults.length; index += waveSize)
  await wave(chosenFaults.slice(index, index + waveSize));
const others = [
  { name: 'old instance replaced by another pod', run: replaced },
  { name: 'a pod that stops, and one that is not ready', run: notReady },
  { name: 'hung for long: the circuit opens', run: circuitOpens },
  ...apiFaults(api).map((fault) => ({ name: fault.name, run: () => withApiFault(fault) })),
  { name: `${manyAtOnce.length} nodes and the API server at once`, run: everything },
  { name: 'flapping: killed and started again every second', run: flapping },
];
for (const { name, run } of others.filter(isChosen))
  tell(name, await run().catch((error) => ({ wrong: error.message })));

const hasLived = bed.program.child.exitCode === null && bed.program.child.signalCode === null;
// Only when all faults were tried does something in the place of an agent tell which tokens it was sent.
const isTokenKept = bed.tokens.foreign === 0 && (only !== undefined || isPlanted || bed.tokens.own > 0);
tell('the gateway, from the first fault to the last', {
  said: `requests with the token: ${bed.tokens.own} to its own pods, ${bed.tokens.foreign} to others`,
  wrong: hasLived ? (isTokenKept ? undefined : 'the token went where it must not') : bed.program.stderr(),
});
console.log(`cluster drill: survived ${survived}/${tried}`);
process.exit(survived === tried ? 0 : 1);
