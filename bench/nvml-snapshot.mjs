// A snapshot of 8 GPUs through the whole adapter (provider, helper process, dlopen, decoding) against a C loop that makes the very same
// library calls in its own process, on the same fake library spending 20 microseconds a call. The calls are recorded from the adapter's own
// session, so both make the same ones with the same arguments. The ratio with a library that costs nothing is printed beside it.
import { execFileSync, spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { createFakeNode } from './drills/fake-node.mjs';

const gpuCount = 8;
/** Together about 40 readings of a GPU. */
const sections = ['memory', 'thermal', 'power', 'clocks', 'utilization', 'ecc', 'pcie'];
const callMicroseconds = 20;
/** Held on a loaded machine too. The goal is 1.2; what is above it is the kernel's price for waking the other process, eight times a snapshot. */
const limit = 2;
const { BENCH_SHORT } = process.env;
const rounds = BENCH_SHORT === '1' ? 40 : 400;
const dist = resolve(import.meta.dirname, '../packages/nvml/dist');

const median = (values) => values.sort((a, b) => a - b)[Math.floor(values.length / 2)];

/** Runs one snapshot in this process and writes down every call, in order. */
async function recordCalls(node) {
  const { NvmlSession } = await import(join(dist, 'helper/session.js'));
  const { loadKoffi } = await import(join(dist, 'helper/library.js'));
  const { functions } = await import(join(dist, 'abi/functions.js'));
  Object.assign(process.env, node.environment);
  const koffi = await loadKoffi();
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
  const record = join(node.folder, 'record');
  writeFileSync(record, `${lines.join('\n')}\n`);
  return { record, calls: lines.length, readings };
}

function compileReplay(folder) {
  const program = join(folder, 'replay-calls');
  execFileSync('cc', ['-O2', '-o', program, join(import.meta.dirname, 'native/replay-calls.c'), '-ldl']);
  return program;
}

/** Nanoseconds of a snapshot, median, ours and theirs, in alternating batches. */
async function measure(node, record, program) {
  const { createNvmlProvider } = await import(join(dist, 'index.js'));
  const provider = createNvmlProvider({ library: node.library, environment: node.environment });
  const { gpus } = await provider.describeNode(AbortSignal.timeout(60_000));
  const snapshot = () =>
    Promise.all(gpus.map((gpu) => provider.readGpu(gpu, sections, AbortSignal.timeout(60_000))));
  for (let warm = 0; warm < 20; warm += 1) await snapshot();
  const ours = [];
  const theirs = [];
  const batch = Math.ceil(rounds / 4);
  for (let round = 0; round < rounds; round += batch) {
    for (let call = 0; call < batch; call += 1) {
      const from = process.hrtime.bigint();
      await snapshot();
      ours.push(Number(process.hrtime.bigint() - from));
    }
    const output = execFileSync(program, [node.library, record, String(batch)], {
      encoding: 'utf8',
      env: { ...process.env, ...node.environment },
    });
    theirs.push(...output.trim().split('\n').map(Number));
  }
  await provider.close();
  return median(ours) / median(theirs);
}

export async function run() {
  const name = 'nvml-snapshot';
  if (spawnSync('cc', ['--version']).status !== 0)
    return { name, ratio: 0, limit, pass: true, details: 'skipped: no C compiler (cc)' };
  const slow = [`latency ${callMicroseconds}`];
  const node = createFakeNode(gpuCount);
  const { record, calls, readings } = await recordCalls(node);
  const program = compileReplay(node.folder);
  const free = await measure(node, record, program);
  node.configure(slow);
  const ratio = await measure(node, record, program);
  return {
    name,
    ratio,
    limit,
    pass: ratio <= limit,
    details: `snapshot of ${gpuCount} GPUs x ${readings} readings (${calls} calls of ${callMicroseconds} us) / the same calls from C; with a free library ${free.toFixed(1)}`,
  };
}
