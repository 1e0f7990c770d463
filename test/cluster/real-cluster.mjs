#!/usr/bin/env node
// The chart, the bridge and the kubectl plugin in a real cluster, from nothing to nothing. See README.md beside it.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openCallers } from './caller.mjs';
import { bridgeChecks, otherChecks } from './checks.mjs';
import { createHelm } from './helm.mjs';
import { createKubectl, eventually } from './kubectl.mjs';
import { agentSelector, callers, failingJob, gpuResource, releases, workload } from './manifests.mjs';
import { readOptions, UsageError, usage } from './options.mjs';
import { connectBridge } from './programs.mjs';

const counts = { passed: 0, failed: 0 };

async function check(name, trial, hold) {
  try {
    const seen = await hold(trial);
    counts.passed += 1;
    console.log(`ok    ${name}${typeof seen === 'string' ? `: ${seen}` : ''}`);
    return seen;
  } catch (error) {
    counts.failed += 1;
    console.log(`FAIL  ${name}: ${String(error?.message ?? error).slice(0, 1_500)}`);
    return undefined;
  }
}

async function setUp(options, kubectl, helm) {
  if ((await kubectl.text('get', 'namespace', options.namespace, '--ignore-not-found')) !== '')
    throw new UsageError(`the namespace ${options.namespace} exists: choose another with --namespace`);
  return () => tearDown(options, kubectl, helm);
}

async function tearDown({ namespace, nodeSelector, pretendGpus }, kubectl, helm) {
  for (const kind of Object.keys(releases)) await helm.uninstall(kind);
  if (pretendGpus > 0) await patchGpus(kubectl, nodeSelector, () => ({ op: 'remove' }));
  await kubectl.text('delete', 'namespace', namespace, '--ignore-not-found', '--timeout=280s');
}

/** Extended resources are advertised by a patch of the node's status (Kubernetes documentation, "Advertise Extended Resources for a Node"). */
async function patchGpus(kubectl, nodeSelector, change) {
  const selector = Object.entries(nodeSelector).map(([key, value]) => `${key}=${value}`);
  const { items } = await kubectl.json('get', 'nodes', '-l', selector.join(','));
  const path = `/status/capacity/${gpuResource.replace('/', '~1')}`;
  for (const { metadata, status } of items) {
    const patch = { path, ...change() };
    if (patch.op === 'add' || status.capacity?.[gpuResource] !== undefined)
      await kubectl.patchStatus(metadata.name, [patch]);
  }
}

async function install(options, kubectl, helm) {
  await kubectl.text('create', 'namespace', options.namespace);
  for (const kind of Object.keys(releases)) await helm.install(kind);
  await kubectl.apply(callers(options.namespace));
  const fails = [
    { name: 'ends-with-1', script: 'console.error("loss is NaN"); process.exit(1)' },
    {
      name: 'out-of-memory',
      script: 'const all = []; for (;;) all.push(Buffer.alloc(1 << 20, 1))',
      memory: '96Mi',
    },
    ...(options.pretendGpus > 0
      ? [{ name: 'holds-a-gpu', script: 'setTimeout(() => {}, 1e9)', gpus: 1 }]
      : []),
  ];
  if (options.pretendGpus > 0)
    await patchGpus(kubectl, options.nodeSelector, () => ({ op: 'add', value: String(options.pretendGpus) }));
  await kubectl.apply([
    ...fails.map((each) => workload(options, each)),
    failingJob(options, { name: 'train', script: 'setTimeout(() => process.exit(1), 3_000)' }),
  ]);
  for (const name of ['ends-with-1', 'out-of-memory'])
    await eventually(`pod ${name} has ended`, 120, async () => {
      const { status } = await kubectl.json('get', 'pod', name);
      return status.phase === 'Failed' ? true : undefined;
    });
  await kubectl.text('wait', '--for=condition=Failed', 'job/train', '--timeout=120s');
  const { items } = await kubectl.json('get', 'pods', '-l', agentSelector);
  return items.map(({ spec }) => spec.nodeName).sort();
}

async function main() {
  const options = readOptions(process.argv.slice(2));
  const kubectl = createKubectl(options);
  const helm = createHelm(options);
  const leave = await setUp(options, kubectl, helm);
  const folder = await mkdtemp(join(tmpdir(), 'real-cluster-'));
  const closing = [() => rm(folder, { recursive: true })];
  if (!options.keep) closing.push(leave);
  const stop = () => {
    process.exitCode = 130;
    void closeAll(closing).finally(() => process.exit(130));
  };
  process.once('SIGINT', stop).once('SIGTERM', stop);
  try {
    const { serverVersion } = await kubectl.json('version');
    console.log(`Kubernetes ${serverVersion.gitVersion}, Node.js ${process.version}`);
    const trial = { ...options, kubectl, helm };
    const nodes = await check('agents, gateway and the pods of the trial are up', trial, () =>
      install(options, kubectl, helm),
    );
    if (nodes === undefined) {
      console.log(await kubectl.text('get', 'pods,events', '-o', 'wide'));
      return;
    }
    const ways = await openCallers(kubectl, options, folder);
    closing.push(ways.close);
    Object.assign(trial, { nodes, callers: ways, callerConfig: ways.caller });
    trial.session = await check('bridge, port-forward: connects with the token of the Secret', trial, () =>
      connectBridge('--kubeconfig', ways.caller),
    );
    if (trial.session !== undefined) {
      closing.push(() => trial.session.close());
      for (const [name, hold] of bridgeChecks) await check(name, trial, hold);
    }
    for (const [name, hold] of otherChecks) await check(name, trial, hold);
  } finally {
    await closeAll(closing);
    console.log(`${counts.passed} passed, ${counts.failed} failed`);
    if (counts.failed > 0) process.exitCode = 1;
  }
}

/** The last opened first; one that cannot be closed does not keep the others open. */
async function closeAll(closing) {
  for (const close of closing.splice(0).reverse())
    try {
      await close();
    } catch (error) {
      process.exitCode = 1;
      console.error(`clean-up: ${error.message}`);
    }
}

try {
  await main();
} catch (error) {
  if (!(error instanceof UsageError)) throw error;
  console.error(`${error.message}\n\n${usage}`);
  process.exitCode = 64;
}
