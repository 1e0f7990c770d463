// The machine that the figures are of, and whether it is quiet enough to believe them.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, release, tmpdir, type } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { measuredEnvironment } from './environment.mjs';

/** More than this part of all cores in use by others, and times are theirs as much as ours. */
const busyPart = 0.15;
const watchedMilliseconds = 500;

/** Jiffies in all states, and those in which a core had nothing to do. */
function coreTimes() {
  const [line] = readFileSync('/proc/stat', 'utf8').split('\n');
  const times = line.split(/\s+/).slice(1, 9).map(Number);
  return { all: times.reduce((sum, each) => sum + each, 0), idle: times[3] + times[4] };
}

/** The part of all cores that is in use while we wait. */
async function busyness() {
  const before = coreTimes();
  await pause(watchedMilliseconds);
  const after = coreTimes();
  return 1 - (after.idle - before.idle) / Math.max(1, after.all - before.all);
}

/** What `perf stat -x,` wrote: the number of its only event; undefined where the machine does not count it. */
export function countOf(report) {
  const [count] =
    report
      .split('\n')
      .find((line) => line.includes('instructions'))
      ?.split(',') ?? [];
  return /^\d+$/.test(count ?? '') && Number(count) > 0 ? Number(count) : undefined;
}

/** User instructions of a whole program and all it starts, from its start to its end; undefined where the machine does not count them. */
export function instructionsOf([program, ...args], input = '') {
  const folder = mkdtempSync(join(tmpdir(), 'bench-instructions-'));
  try {
    const report = join(folder, 'report');
    const options = ['stat', '-e', 'instructions:u', '-x', ',', '-o', report, '--', program, ...args];
    const { error } = spawnSync('perf', options, {
      input,
      env: measuredEnvironment,
      timeout: 60_000,
      stdio: ['pipe', 'ignore', 'ignore'],
    });
    return error === undefined ? countOf(readFileSync(report, 'utf8')) : undefined;
  } catch {
    return undefined;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

export const versionOf = (node) => execFileSync(node, ['--version'], { encoding: 'utf8' }).trim();

/** `nodes`: further Node binaries that are measured, beside the one that runs this. */
export async function describeMachine(nodes = []) {
  const [{ model = 'unknown' } = {}] = cpus();
  const busy = await busyness();
  const [load] = loadavg();
  return {
    node: [process.version, ...nodes.map(versionOf)],
    cpu: model.trim(),
    cores: availableParallelism(),
    kernel: `${type()} ${release()}`,
    countsInstructions: instructionsOf(['true']) !== undefined,
    load: Number(load.toFixed(2)),
    busyPart: Number(busy.toFixed(2)),
    isBusy: busy > busyPart,
  };
}

export function machineLines({ node, cpu, cores, kernel, countsInstructions, load, busyPart: part, isBusy }) {
  return [
    `Node ${node.join(' and ')}, ${cores} x ${cpu}, ${kernel}`,
    `instructions are ${countsInstructions ? '' : 'not '}counted here; load ${load}, ${Math.round(part * 100)} % of the cores in use before the first benchmark`,
    ...(isBusy
      ? [
          'WARNING: this machine is busy with something else. Ratios bear it better than times do, but look at their spread.',
        ]
      : []),
  ];
}
