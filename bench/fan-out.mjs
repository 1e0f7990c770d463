// A question to many agents through a real gateway process, against what no gateway can be faster than: the same requests to the same
// agents over raw sockets, bodies read and thrown away. Both right after each other in every round, connections open, agents that answer
// at once; and what a node costs among 1,000 against what it costs among 64. Then fan-outs one after the other: neither the resident memory
// of the gateway nor its heap after a collection may grow with them.
//
// The agents of one size are one process: each has an address of its own (127.1.x.y) and answers what a real agent was recorded to answer.
//
// `--long`: 1,000 fan-outs to 1,000 agents for the memory. `--planted`: the gateway keeps a piece of every answer for ever, and the
// figures of memory must be regressions.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startMeasuredCluster } from './drills/cluster/measured-cluster.mjs';
import { recordAgent } from './drills/cluster/record-agent.mjs';
import { printAlone } from './harness/alone.mjs';
import { isShort } from './harness/environment.mjs';
import { exactFigure, figure, median } from './harness/figure.mjs';

const isLong = process.argv.includes('--long');
const isPlanted = process.argv.includes('--planted');

const sizes = isShort ? [64, 1_000] : [64, 256, 1_000];
const rounds = isShort ? 7 : 25;
/** Connections, handshakes and compiled code are made by the first ones. */
const warmUpRounds = isShort ? 4 : 12;
/** A round asks each size so often that about as many agents answer, so that no figure rests on a few milliseconds. */
const agentsPerRound = 1_000;
/** What agents take that do not answer at once: log-normal, the same every time. */
const latencyMilliseconds = 50;

/**
 * The least leak that must show, in bytes for each agent of each fan-out: in a long run one small object. In a short one the heap still moves
 * by a megabyte with code that is compiled and caches that fill, so there only a part of each answer shows.
 */
const leakLimits = isLong ? { heap: 64, resident: 256 } : { heap: 512, resident: 4_096 };
const memoryRun = isLong ? { agents: 1_000, fanOuts: 1_000 } : { agents: 64, fanOuts: isShort ? 60 : 200 };

const residentBytes = (pid) =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) * 1024;

/** The median of the slopes between all pairs (Theil and Sen): a step by the collector does not bend it. */
function slopeOf(samples) {
  const slopes = samples.flatMap(([x, y], index) =>
    samples.slice(index + 1).map(([laterX, laterY]) => (laterY - y) / (laterX - x)),
  );
  return median(slopes);
}

const each = (values, digits = 1) => median(values).toFixed(digits);

/** All sizes in every round, gateway and raw sockets right after each other. */
async function measureRounds(clusters) {
  const measured = clusters.map(() => ({ gateway: [], raw: [] }));
  for (let round = -warmUpRounds; round < rounds; round += 1) {
    for (const [index, cluster] of clusters.entries()) {
      const times = Math.max(1, Math.round(agentsPerRound / cluster.agents));
      const raw = await cluster.askRawMeasured(times);
      const gateway = await cluster.askMeasured(times);
      if (round < 0) continue;
      const perAgent = ({ wall, cpu }) => ({
        wall: wall / times,
        cpuMicroseconds: (cpu * 1_000) / times / cluster.agents,
      });
      measured[index].gateway.push(perAgent(gateway));
      measured[index].raw.push(perAgent(raw));
    }
  }
  return measured;
}

/** The promise is about 1,000 agents that answer at once. */
const boundsOf = (agents, latency) =>
  agents === 1_000 && latency === 0 ? { must: 1.8, stretch: 1.4, guard: 5 } : { guard: 8 };

function figuresOf(agents, latency, { gateway, raw }) {
  const pairs = (of) => gateway.map((ours, round) => [of(ours), of(raw[round])]);
  const walls = (values) => each(values.map(({ wall }) => wall));
  const cpus = (values) =>
    each(
      values.map(({ cpuMicroseconds }) => cpuMicroseconds),
      0,
    );
  const what = latency === 0 ? `${agents} agents` : `${agents} agents that take ${latency} ms`;
  const cpu = `CPU for each agent ${cpus(gateway)} µs, raw ${cpus(raw)} µs`;
  return [
    figure({
      name: `gateway, ${what}: a question / raw sockets`,
      pairs: pairs(({ wall }) => wall),
      ...boundsOf(agents, latency),
      detail: `${walls(gateway)} ms, raw ${walls(raw)} ms; ${cpu}`,
    }),
    ...(latency === 0
      ? [
          figure({
            name: `gateway, ${what}: CPU / CPU of raw sockets`,
            pairs: pairs(({ cpuMicroseconds }) => cpuMicroseconds),
            guard: 15,
            detail: cpu,
          }),
        ]
      : []),
  ];
}

/** Among many a node may cost no more than among few. */
function flatness(measured) {
  const [few, many] = [measured[0], measured.at(-1)].map(({ gateway }) =>
    gateway.map(({ cpuMicroseconds }) => cpuMicroseconds),
  );
  return figure({
    name: `gateway: CPU for each agent, of ${sizes.at(-1)} / of ${sizes[0]}`,
    pairs: many.map((cost, round) => [cost, few[round]]),
    must: 1.2,
    guard: 2.5,
    detail: sizes
      .map((size, index) => {
        const costs = measured[index].gateway.map(({ cpuMicroseconds }) => cpuMicroseconds);
        return `${size}: ${each(costs, 0)} µs`;
      })
      .join(', '),
  });
}

/**
 * Fan-outs one after the other; both slopes are taken over the second half, the first warms heaps and pools. Resident memory is told once as
 * it is, before anybody asks for a collection, and then after each.
 */
async function measureMemory(cluster, fanOuts) {
  if (isPlanted) cluster.leak();
  const { pid } = cluster.program;
  const heap = [];
  const resident = [];
  const firstHalf = Math.floor(fanOuts / 2);
  for (let count = 0; count < firstHalf; count += 1) await cluster.ask();
  const warm = residentBytes(pid);
  const every = Math.max(1, Math.floor(fanOuts / 100));
  for (let count = firstHalf; count < fanOuts; count += 1) {
    await cluster.ask();
    if (count % every !== 0) continue;
    heap.push([count, await cluster.heapAfterCollection()]);
    resident.push([count, residentBytes(pid)]);
  }
  const megabytes = (bytes) => `${(bytes / 1e6).toFixed(1)} MB`;
  const of = (name, samples, limit, more) => {
    const slope = slopeOf(samples) / cluster.agents;
    return exactFigure({
      name: `gateway, ${fanOuts} fan-outs to ${cluster.agents} agents: ${name} kept of each answer / ${limit} bytes`,
      // What shrinks is no leak, and no ratio either.
      ours: Math.max(slope, 1),
      theirs: limit,
      must: 1,
      detail: `${slope.toFixed(1)} bytes; ${more}`,
    });
  };
  return [
    of('heap', heap, leakLimits.heap, `${megabytes(heap.at(-1)[1])} after a collection`),
    of('resident memory', resident, leakLimits.resident, `${megabytes(warm)} while it runs`),
  ];
}

export async function run() {
  const folder = mkdtempSync(join(tmpdir(), 'fan-out-'));
  const clusters = [];
  const start = async (agents, latency) => {
    const cluster = await startMeasuredCluster({ agents, latencyMilliseconds: latency, recording, folder });
    clusters.push(cluster);
    return cluster;
  };
  const recording = await recordAgent(['healthy-8xh100', 'fallen-off-bus', 'memory-held-by-nobody']);
  try {
    for (const size of sizes) await start(size, 0);
    const measured = await measureRounds(clusters);
    const figures = sizes.flatMap((size, index) => figuresOf(size, 0, measured[index]));
    figures.push(flatness(measured));
    const forMemory = clusters.find(({ agents }) => agents === memoryRun.agents);
    figures.push(...(await measureMemory(forMemory, memoryRun.fanOuts)));
    if (!isShort) {
      const [slow] = await measureRounds([await start(1_000, latencyMilliseconds)]);
      figures.push(...figuresOf(1_000, latencyMilliseconds, slow));
    }
    return { figures };
  } finally {
    for (const cluster of clusters.reverse()) await cluster.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

await printAlone(import.meta.filename, run);
