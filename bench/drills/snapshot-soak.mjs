// 10,000 snapshots (or as many as the first argument says): every section of 8 GPUs, through the provider, its helper process and a real
// dlopen'ed library. The resident memory of both processes must not grow with them: the median slope over the last half, in bytes a snapshot,
// is printed for both. Exits 1 when one is over the limit, or when a snapshot was not whole. Needs cc.
import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { createFakeNode } from './fake-node.mjs';

const snapshots = Number(process.argv[2] ?? 10_000);
const gpuCount = 8;
/**
 * A leak of one small object (64 bytes) for each GPU of each snapshot is 512 bytes. A limit below that would be within the noise: resident
 * memory moves by whole pages, and a megabyte that the collector has not given back yet is 200 bytes a snapshot over 5,000.
 */
const limitBytesPerSnapshot = 512;

const root = resolve(import.meta.dirname, '../..');
const { gpuSections } = await import(join(root, 'packages/core/dist/index.js'));
const { createNvmlProvider } = await import(join(root, 'packages/nvml/dist/index.js'));
const node = createFakeNode(gpuCount);
const provider = createNvmlProvider({ library: node.library, environment: node.environment });

function helperPid() {
  return readdirSync('/proc').find((name) => {
    try {
      const words = readFileSync(`/proc/${name}/cmdline`, 'utf8').split('\0');
      return (
        words.some((word) => word.endsWith('/nvml/dist/helper/helper.js')) &&
        words.at(-2) === String(process.pid)
      );
    } catch {
      return false;
    }
  });
}
const residentBytes = (pid) =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) * 1024;

/**
 * Bytes for each snapshot: the median of the slopes between all pairs of samples (Theil and Sen). A heap that the collector shrinks or grows
 * by megabytes at one moment bends a line of least squares by thousands of bytes a snapshot, and this one not at all.
 */
function slopeOf(samples) {
  const slopes = samples.flatMap(([x, y], index) =>
    samples.slice(index + 1).map(([laterX, laterY]) => (laterY - y) / (laterX - x)),
  );
  return slopes.sort((one, other) => one - other)[Math.floor(slopes.length / 2)];
}

/** What is no longer used is given back before this process is measured; the helper, which nobody can ask to collect, is small. */
setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc');

const signal = new AbortController().signal;
const { gpus } = await provider.describeNode(signal);
const firstPid = helperPid();
const seen = { parent: [], helper: [] };
let incomplete = 0;
for (let snapshot = 1; snapshot <= snapshots; snapshot += 1) {
  const samples = await Promise.all(gpus.map((gpu) => provider.readGpu(gpu, gpuSections, signal)));
  // The fake's own: 31 degrees, and one more for each GPU.
  if (!samples.every(({ thermal }, index) => thermal?.temperatureCelsius === 31 + index)) incomplete += 1;
  // The first half warms caches and the heaps; the slope is taken over the second.
  if (snapshot > snapshots / 2 && snapshot % Math.ceil(snapshots / 200) === 0) {
    collectGarbage();
    seen.parent.push([snapshot, residentBytes(process.pid)]);
    seen.helper.push([snapshot, residentBytes(firstPid)]);
  }
}
const isSameHelper = helperPid() === firstPid;
await provider.close();

let isFlat = true;
for (const [name, samples] of Object.entries(seen)) {
  const slope = slopeOf(samples);
  if (!(slope <= limitBytesPerSnapshot)) isFlat = false;
  const megabytes = (bytes) => `${(bytes / 1e6).toFixed(1)} MB`;
  console.log(
    `${name.padEnd(6)} resident ${megabytes(samples[0][1])} to ${megabytes(samples.at(-1)[1])}, slope ${slope.toFixed(1)} bytes a snapshot (limit ${limitBytesPerSnapshot})`,
  );
}
console.log(
  `${snapshots} snapshots of ${gpus.length} GPUs x ${gpuSections.length} sections, ${incomplete} not whole, ${isSameHelper ? 'one helper' : 'the helper was replaced'}`,
);
process.exit(isFlat && incomplete === 0 && isSameHelper && gpus.length === gpuCount ? 0 : 1);
