#!/usr/bin/env node
// Compares every reading with nvidia-smi on a machine that has a GPU. Needs a build (npm run build) and nothing else.
//
//   node test/hardware/compare-with-nvidia-smi.mjs [--nvidia-smi FILE] [--nvml-library FILE] [--keep FOLDER]
//
// Reads every GPU, runs nvidia-smi (-q -x, topo -m, --query-gpu, --query-compute-apps), reads again, and prints one line per field that is
// not plainly equal, then a line of counts. --keep writes what was captured, to be made a fixture. Exit code 1 when a field differs.
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { createGpuTools, gpuSections } from '@k8s-gpu-mcp/core';
import { createNvmlProvider } from '@k8s-gpu-mcp/nvml';
import { compareGpu, compareProcesses, compareTopology, failures, outcomes } from './compare.js';
import { queryFields } from './fields.js';
import { parseCsv, parseQuery, parseTopology } from './smi-output.js';

const { values: options } = parseArgs({
  options: {
    'nvidia-smi': { type: 'string', default: 'nvidia-smi' },
    'nvml-library': { type: 'string' },
    keep: { type: 'string' },
  },
});
const library = options['nvml-library'];
const open = () => createNvmlProvider(library === undefined ? {} : { library });

const captures = {};
function smi(name, ...args) {
  const text = execFileSync(options['nvidia-smi'], args, { encoding: 'utf8', maxBuffer: 64 * 1024 ** 2 });
  captures[name] = text;
  return text;
}

/** nvidia-smi that lacks a subcommand or a column is older or newer than this program: that part is left out and said. */
function optional(name, parse, ...args) {
  try {
    return parse(smi(name, ...args));
  } catch (error) {
    console.log(
      `not compared: nvidia-smi ${args.join(' ')} (${error instanceof Error ? error.message.split('\n')[0] : error})`,
    );
    return [];
  }
}

async function readAll(provider) {
  const node = await provider.describeNode(AbortSignal.timeout(60_000));
  const samples = [];
  for (const gpu of node.gpus) {
    samples.push({ gpu, sample: await provider.readGpu(gpu, gpuSections, AbortSignal.timeout(60_000)) });
  }
  return { node, samples };
}

/** Without a driver or without nvidia-smi there is nothing to compare. */
async function orGiveUp(what, work) {
  try {
    return await work();
  } catch (error) {
    const [why] = String(error instanceof Error ? error.message : error).split('\n');
    console.error(`${what}: ${why}${error?.hint ? ` ${error.hint}` : ''}`);
    process.exit(1);
  }
}

const provider = open();
const before = await orGiveUp('the GPUs cannot be read', () => readAll(provider));
const { node: head, gpus: trees } = await orGiveUp('nvidia-smi cannot be asked', () =>
  parseQuery(smi('query.xml', '-q', '-x')),
);
const topology = optional('topology.txt', parseTopology, 'topo', '-m');
const columns = ['uuid', ...queryFields.map(({ column }) => column)].join(',');
const queries = optional('query-gpu.csv', parseCsv, `--query-gpu=${columns}`, '--format=csv');
const applications = optional(
  'compute-apps.csv',
  parseCsv,
  '--query-compute-apps=gpu_uuid,pid,used_gpu_memory',
  '--format=csv',
);
const after = await readAll(provider);
captures['readings.json'] = `${JSON.stringify(after, null, 1)}\n`;

const counts = Object.fromEntries(outcomes.map((outcome) => [outcome, 0]));
function report(where, results) {
  for (const { reading, ours, theirs, outcome, gap } of results) {
    counts[outcome] += 1;
    if (outcome === 'equal' || outcome === 'absent') continue;
    console.log(
      `${outcome.padEnd(11)} ${where}  ${reading}: ours ${JSON.stringify(ours)}, nvidia-smi ${JSON.stringify(theirs)}${gap ? `  (${gap})` : ''}`,
    );
  }
}

const versions = [
  ['driverVersion', head.driver_version],
  ['computeApiVersion', head.cuda_version],
  ['gpus', head.attached_gpus],
].flatMap(([reading, theirs]) => {
  if (theirs === undefined) return [];
  const ours = reading === 'gpus' ? String(after.node.gpus.length) : after.node[reading];
  return [{ reading, ours, theirs, outcome: ours === theirs ? 'equal' : 'different' }];
});
report('node', versions);
for (const { gpu, sample } of after.samples) {
  const where = `GPU ${gpu.index}`;
  const tree = trees.find(({ uuid }) => uuid === gpu.uuid) ?? trees[gpu.index];
  if (tree === undefined) {
    report(where, [{ reading: 'the GPU itself', ours: gpu.uuid, theirs: null, outcome: 'different' }]);
    continue;
  }
  const earlier = before.samples.find((one) => one.gpu.index === gpu.index)?.sample ?? sample;
  report(
    where,
    compareGpu(
      tree,
      earlier,
      sample,
      queries.find(({ uuid }) => uuid === gpu.uuid),
    ),
  );
  const row = topology.find(({ index }) => index === gpu.index);
  if (row !== undefined) report(where, compareTopology(row, sample));
  report(
    where,
    compareProcesses(
      applications.filter(({ gpu_uuid: uuid }) => uuid === gpu.uuid),
      sample,
    ),
  );
}
await provider.close();

// How long the tools take: cold (the driver is opened for it) and warm. Absolute times of this machine, not a benchmark.
const noKernelLog = {
  read: async () => ({ records: [], coverage: { source: null, readable: false, from: null, to: null } }),
};
for (const name of ['get_gpu_inventory', 'get_gpu_telemetry', 'get_gpu_health']) {
  const fresh = open();
  const tool = createGpuTools({ gpuProvider: fresh, kernelLog: noKernelLog }, { nodeName: 'this' }).find(
    (one) => one.name === name,
  );
  const times = [];
  for (let call = 0; call < 4; call += 1) {
    const startedAt = performance.now();
    await tool.call({});
    times.push(performance.now() - startedAt);
  }
  await fresh.close();
  console.log(
    `latency ${name}: cold ${times[0].toFixed(0)} ms, warm ${Math.min(...times.slice(1)).toFixed(1)} ms`,
  );
}

if (options.keep !== undefined) {
  mkdirSync(options.keep, { recursive: true });
  for (const [name, text] of Object.entries(captures)) writeFileSync(join(options.keep, name), text);
}
const total = Object.values(counts).reduce((sum, count) => sum + count, 0);
console.log(
  `${total} fields of ${after.samples.length} GPUs: ${outcomes.map((outcome) => `${counts[outcome]} ${outcome}`).join(', ')}`,
);
process.exit([...failures].some((outcome) => counts[outcome] > 0) || total === 0 ? 1 : 0);
