// What is asked of the cluster for each fault, and what must come of it.
import { setTimeout as sleep } from 'node:timers/promises';
import { judgeFaulty, judgeWell, nodes } from './nodes.mjs';

/** What the gateway is told; the answer must be there by then. */
export const deadlineMilliseconds = 5_000;
/** Twice that: a machine that others use too may hold up a whole process. Far below what a gateway without a deadline would take. */
export const answerLimitMilliseconds = 2 * deadlineMilliseconds;

/**
 * What is wrong with an answer of all nodes, or undefined. `faults`: by name, what must be said of the nodes that have one; every other
 * node must be there, whole and right. `isStale`: whether the set of nodes must be marked as out of date; undefined when either is right.
 */
export function judgeAll({ isError, answer, text, milliseconds }, faults = {}, isStale) {
  if (isError) return `an error instead of an answer: ${text.slice(0, 200)}`;
  if (milliseconds > answerLimitMilliseconds) return `answered after ${Math.round(milliseconds)} ms`;
  const rows = new Map(answer.nodes.map((row) => [row.node, row]));
  if (answer.nodeCount !== nodes.length || rows.size !== nodes.length || answer.truncated)
    return `${answer.nodeCount} nodes, ${rows.size} of them shown, instead of ${nodes.length}`;
  for (const node of nodes) {
    const fault = faults[node.name];
    const row = rows.get(node.name);
    const wrong = fault === undefined ? judgeWell(node, row) : judgeFaulty(node.name, fault, row);
    if (wrong !== undefined) return wrong;
  }
  const counted = Object.values(answer.statusCounts).reduce((sum, count) => sum + count, 0);
  const failed = answer.nodes.filter(({ status }) => status !== 'ok').length;
  if (counted !== nodes.length || answer.statusCounts.ok !== nodes.length - failed)
    return `the counts are ${JSON.stringify(answer.statusCounts)}`;
  if (failed > 0 && !answer.summary.includes(`${failed} of ${nodes.length} nodes did not answer`))
    return `the summary does not say that ${failed} did not answer: ${answer.summary}`;
  const expectedGpus = nodes
    .filter(({ name }) => faults[name] === undefined)
    .reduce((sum, { gpuCount }) => sum + gpuCount, 0);
  if (answer.gpuCount !== expectedGpus) return `${answer.gpuCount} GPUs instead of ${expectedGpus}`;
  if (isStale !== undefined && (answer.directory.staleSince !== null) !== isStale)
    return `staleSince is ${answer.directory.staleSince}`;
  return undefined;
}

/** What is wrong with an answer about one node, or undefined. */
export function judgeOne({ name }, { isError, answer, text, milliseconds }, fault) {
  if (milliseconds > answerLimitMilliseconds)
    return `one node: answered after ${Math.round(milliseconds)} ms`;
  if (fault === undefined)
    return !isError && answer.node === name ? undefined : `${name} alone: ${text.slice(0, 200)}`;
  // What is not an answer of version v1, and was given without an error, is passed on as it is.
  if (fault.statuses.includes('ok')) return undefined;
  // An error of the agent's own tool is passed on in its words.
  if (isError && fault.reason.test('error of its tool') && text.includes(`node ${name}: its agent said: `))
    return undefined;
  const isNamed =
    isError && fault.statuses.some((status) => text.includes(`${name} did not answer (${status}): `));
  return isNamed && fault.reason.test(text) ? undefined : `${name} alone: ${text.slice(0, 200)}`;
}

/**
 * All nodes at once, each faulty one alone and a healthy one alone, at the same time.
 * @returns what is wrong, if anything, what was said of each faulty node, and how long the slowest call took.
 */
export async function askDuring(gateway, faults, isStale) {
  const faulty = nodes.filter(({ name }) => faults[name] !== undefined);
  const healthy = nodes.find(({ name }) => faults[name] === undefined);
  const alone = [...faulty, healthy];
  const [all, ...ones] = await Promise.all([
    gateway.health(),
    ...alone.map(({ name }) => gateway.call('get_gpu_topology', { node: name })),
  ]);
  const wrongs = alone.map((node, index) => judgeOne(node, ones[index], faults[node.name]));
  const rows = (all.answer?.nodes ?? []).filter(({ node }) => faults[node] !== undefined);
  return {
    wrong: judgeAll(all, faults, isStale) ?? wrongs.find((wrong) => wrong !== undefined),
    said: Object.fromEntries(
      rows.map(({ node, status, reason }) => [node, reason ? `${status}: ${reason}` : status]),
    ),
    milliseconds: Math.max(...[all, ...ones].map(({ milliseconds }) => milliseconds)),
  };
}

/**
 * Asks until every node is well and the list of nodes current.
 * @returns how long that took, what was last seen to be wrong, and that as `wrong` when it took longer than the limit.
 */
export async function untilWell(gateway, limitMilliseconds) {
  const began = performance.now();
  let last;
  for (;;) {
    const wrong = judgeAll(await gateway.health(), {}, false);
    const recovery = performance.now() - began;
    if (wrong === undefined) return { recovery, last };
    last = wrong;
    if (recovery > limitMilliseconds)
      return { recovery, last, wrong: `not well after ${Math.round(recovery / 1_000)} s: ${wrong}` };
    await sleep(100);
  }
}
