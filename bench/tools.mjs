// What each tool costs by itself: no protocol, no transport, a simulated node of eight healthy GPUs. Against writing its answer as JSON,
// which every answer needs whatever becomes of the code that finds it.
import { join, resolve } from 'node:path';
import { printAlone } from './harness/alone.mjs';
import { isShort } from './harness/environment.mjs';
import { figure, median } from './harness/figure.mjs';

const root = resolve(import.meta.dirname, '..');
const rounds = isShort ? 7 : 21;
const [callsPerRound, warmUpCalls, writesPerRound] = isShort ? [20, 300, 500] : [50, 600, 2_000];

/**
 * In answers written: told, not promised, since what a tool examines is not what it answers. The guards are about three times what is
 * usual; taking addresses apart for each pair of GPUs, and not once, was eighteen times.
 */
const guards = {
  get_gpu_health: 1_500,
  explain_failure: 1_500,
  get_gpu_inventory: 200,
  get_gpu_telemetry: 60,
  analyze_xid_errors: 120,
  get_gpu_topology: 180,
  get_gpu_processes: 60,
  compare_gpus: 400,
  get_incident_report: 1_100,
};

/** CPU of one of `count`, in microseconds; the least of three, since what else the process does (collecting garbage, compiling) only adds. */
async function costOf(count, workMany) {
  const costs = [];
  for (let turn = 0; turn < 3; turn += 1) {
    const before = process.cpuUsage();
    await workMany(count);
    const { user, system } = process.cpuUsage(before);
    costs.push((user + system) / count);
  }
  return Math.min(...costs);
}

async function toolsHere() {
  const [{ createGpuTools, systemClock }, mock] = await Promise.all([
    import(join(root, 'packages/core/dist/index.js')),
    import(join(root, 'packages/nvml-mock/dist/index.js')),
  ]);
  const simulation = { scenario: 'healthy-8xh100', clock: systemClock };
  return createGpuTools(
    {
      gpuProvider: mock.createMockProvider(simulation),
      kernelLog: mock.createMockKernelLog(simulation),
      hostDevices: mock.mockHostDevices(simulation),
      hostProcesses: mock.mockHostProcesses(simulation),
    },
    { nodeName: 'bench' },
  );
}

async function figureOf({ name, call }) {
  const answer = await call({});
  if (answer.isError) throw new Error(`${name}: ${answer.text}`);
  const callMany = async (count) => {
    for (let index = 0; index < count; index += 1) await call({});
  };
  const writeMany = (count) => {
    for (let index = 0; index < count; index += 1) JSON.stringify(answer.structuredContent);
  };
  const ours = () => costOf(callsPerRound, callMany);
  const theirs = () => costOf(writesPerRound, writeMany);
  await callMany(warmUpCalls);
  writeMany(writesPerRound);
  const pairs = [];
  for (let round = 0; round < rounds; round += 1) {
    if (round % 2 === 0) pairs.push([await ours(), await theirs()]);
    else pairs.push([await theirs(), await ours()].reverse());
  }
  const [cost, write] = [0, 1].map((at) => median(pairs.map((pair) => pair[at])));
  return figure({
    name: `warm ${name} of 8 simulated GPUs, in process / JSON.stringify of its answer`,
    pairs,
    guard: guards[name],
    detail: `CPU ${cost.toFixed(0)} / ${write.toFixed(1)} microseconds`,
  });
}

/** @returns {Promise<{ figures: import('./harness/figure.mjs').Figure[] }>} */
export async function run() {
  const figures = [];
  for (const tool of await toolsHere()) figures.push(await figureOf(tool));
  return { figures };
}

await printAlone(import.meta.filename, run);
