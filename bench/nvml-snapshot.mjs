// A snapshot of 8 GPUs through the whole adapter (provider, helper process, dlopen, decoding) against a C loop that makes the very same
// library calls in its own process, on the same fake library spending 20 microseconds a call. The calls are recorded from the adapter's own
// session, so both make the same ones with the same arguments. With a library that costs nothing, all that is left is ours: told beside it.
// And what the helper process holds after its first snapshot, against a bare node that has only koffi loaded.
//
// Run alone: node bench/nvml-snapshot.mjs (after npm run build; needs cc).
import { execFileSync, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { createFakeNode } from './drills/fake-node.mjs';
import { printAlone } from './harness/alone.mjs';
import { isShort, measuredEnvironment } from './harness/environment.mjs';
import { fewestRounds, figure, median, notMeasured } from './harness/figure.mjs';
import { memoryOf, processTree, spawnProgram } from './harness/processes.mjs';

const gpuCount = 8;
/** Together more than 40 readings of a GPU. */
const sections = ['memory', 'thermal', 'power', 'clocks', 'utilization', 'ecc', 'pcie'];
const fewestReadings = 40;
const callMicroseconds = 20;
const rounds = isShort ? 9 : 40;
const snapshotsPerRound = isShort ? 4 : 10;
const packageRoot = resolve(import.meta.dirname, '../packages/nvml');
const dist = join(packageRoot, 'dist');

const timeFigure = {
  name: `NVML: snapshot of ${gpuCount} GPUs through the helper process / the same calls from C`,
  must: 1.2,
  stretch: 1.05,
  guard: 2,
};
/**
 * Beside koffi it holds our code, the buffers of its pipes, and what V8 makes of code that has run: a bare node runs none. So it cannot be
 * the same; more than a quarter above would mean that it loads what it does not need.
 */
const memoryFigure = {
  name: 'NVML: resident memory of the helper process after a snapshot / bare node with koffi loaded',
  must: 1.25,
  stretch: 1.1,
  guard: 1.6,
};

/** Runs one snapshot in this process and writes down every call, in order. */
async function recordCalls(node) {
  const { NvmlSession } = await import(join(dist, 'helper/session.js'));
  const { loadKoffi } = await import(join(dist, 'helper/library.js'));
  const { functions } = await import(join(dist, 'abi/functions.js'));
  Object.assign(process.env, node.environment);
  const koffi = loadKoffi();
  const lines = [];
  let indexByHandle = new Map();
  const load = (path) => {
    const native = koffi(path);
    return {
      func: (name, result, parameters) => {
        const call = native.func(name, result, parameters);
        const kinds = functions[name].parameters;
        return (...values) => {
          const words = values.map((value, position) => {
            if (kinds[position] === 'handle') return `h${indexByHandle.get(value)}`;
            return Buffer.isBuffer(value) ? `b${value.toString('hex')}` : `i${value}`;
          });
          const code = call(...values);
          if (name === 'nvmlDeviceGetHandleByIndex_v2')
            indexByHandle = indexByHandle.set(values[1].readBigUInt64LE(0), values[0]);
          lines.push([name, values.length, ...words].join(' '));
          return code;
        };
      },
    };
  };
  const session = new NvmlSession(
    async () => load,
    () => {},
  );
  await session.run({ kind: 'open', library: node.library });
  lines.length = 0;
  let readings = 0;
  for (let index = 0; index < gpuCount; index += 1) {
    const uuid = `GPU-00000000-1111-2222-3333-${String(index).padStart(12, '0')}`;
    const sample = await session.run({ kind: 'read', index, uuid, sections, peers: [] });
    if (sample.failure) throw new Error(`snapshot failed: ${sample.failure.message}`);
    readings = sections.reduce((sum, section) => sum + Object.keys(sample[section]).length, 0);
  }
  if (readings < fewestReadings) throw new Error(`only ${readings} readings of a GPU`);
  const record = join(node.folder, 'record');
  writeFileSync(record, `${lines.join('\n')}\n`);
  return { record, calls: lines.length, readings };
}

function compileReplay(folder) {
  const program = join(folder, 'replay-calls');
  execFileSync('cc', ['-O2', '-o', program, join(import.meta.dirname, 'native/replay-calls.c'), '-ldl']);
  return program;
}

const deadline = () => AbortSignal.timeout(60_000);

async function openProvider(node) {
  const { createNvmlProvider } = await import(join(dist, 'index.js'));
  const provider = createNvmlProvider({ library: node.library, environment: node.environment });
  const { gpus } = await provider.describeNode(deadline());
  const snapshot = () => Promise.all(gpus.map((gpu) => provider.readGpu(gpu, sections, deadline())));
  return { snapshot, close: () => provider.close() };
}

/** Milliseconds of a snapshot, ours and theirs, medians of one batch each after the other. */
async function measureTime(node, record, program) {
  const { snapshot, close } = await openProvider(node);
  for (let warm = 0; warm < 50; warm += 1) await snapshot();
  const pairs = [];
  for (let round = 0; round < rounds; round += 1) {
    const ours = [];
    for (let call = 0; call < snapshotsPerRound; call += 1) {
      const startedAt = performance.now();
      await snapshot();
      ours.push(performance.now() - startedAt);
    }
    const output = execFileSync(program, [node.library, record, String(snapshotsPerRound)], {
      encoding: 'utf8',
      env: { ...measuredEnvironment, ...node.environment },
    });
    const theirs = output.trim().split('\n').map(Number);
    pairs.push([median(ours), median(theirs) / 1e6]);
  }
  await close();
  return pairs;
}

const medianOf = (pairs, select) => median(pairs.map(select)).toFixed(2);
const describeTime = (pairs) =>
  `${medianOf(pairs, ([ours]) => ours)} ms, in C ${medianOf(pairs, ([, theirs]) => theirs)} ms, ours above it ${medianOf(pairs, ([ours, theirs]) => ours - theirs)} ms`;

async function helperMemory(node) {
  const { snapshot, close } = await openProvider(node);
  await snapshot();
  const [helper] = processTree(process.pid).filter((pid) => pid !== process.pid);
  const memory = memoryOf(helper);
  await close();
  return memory;
}

async function bareMemory() {
  const koffi = createRequire(join(packageRoot, 'package.json')).resolve('koffi');
  const script = `require(${JSON.stringify(koffi)}); setInterval(() => {}, 2 ** 30); console.log('loaded')`;
  const bare = spawnProgram([process.execPath, '-e', script]);
  await once(bare.child.stdout, 'data');
  const memory = memoryOf(bare.pid);
  await bare.kill();
  return memory;
}

async function measureMemory(node) {
  const samples = [];
  for (let round = 0; round < fewestRounds; round += 1) {
    samples.push([await helperMemory(node), await bareMemory()]);
  }
  const megabytes = (side, key) => (median(samples.map((pair) => pair[side][key])) / 1e6).toFixed(1);
  const describe = (side) =>
    `${megabytes(side, 'residentBytes')} MB resident (${megabytes(side, 'anonymousBytes')} anonymous, ${megabytes(side, 'proportionalBytes')} proportional)`;
  return figure({
    ...memoryFigure,
    pairs: samples.map((pair) => pair.map(({ residentBytes }) => residentBytes)),
    detail: `helper ${describe(0)}, bare ${describe(1)}; node ${process.version}`,
  });
}

export async function run() {
  if (spawnSync('cc', ['--version']).status !== 0) {
    const why = 'there is no C compiler (cc)';
    return { figures: [notMeasured(timeFigure, why), notMeasured(memoryFigure, why)] };
  }
  const node = createFakeNode(gpuCount);
  const { record, calls, readings } = await recordCalls(node);
  const program = compileReplay(node.folder);
  const memory = await measureMemory(node);
  const free = await measureTime(node, record, program);
  node.configure([`latency ${callMicroseconds}`]);
  const pairs = await measureTime(node, record, program);
  const detail = `${readings} readings a GPU, ${calls} calls of ${callMicroseconds} us: ${describeTime(pairs)}; with calls that take no time ${describeTime(free)}; node ${process.version}`;
  return { figures: [figure({ ...timeFigure, pairs, detail }), memory] };
}

await printAlone(import.meta.filename, run);
