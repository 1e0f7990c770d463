// 10,000 snapshots (or as many as the first argument says): every section of 8 GPUs, through the provider, its helper process and a real
// dlopen'ed library. The resident memory of both processes must not grow with them: the slope by least squares over the last half, in bytes
// a snapshot, is printed for both. Exits 1 when one is over the limit, or when a snapshot was not whole. Needs cc.
import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
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

/** Bytes for each snapshot. */
function slopeOf(samples) {
  const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const x = mean(samples.map(([at]) => at));
  const y = mean(samples.map(([, bytes]) => bytes));
  const covariance = samples.reduce((sum, [at, bytes]) => sum + (at - x) * (bytes - y), 0);
  return covariance / samples.reduce((sum, [at]) => sum + (at - x) ** 2, 0);
}

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
