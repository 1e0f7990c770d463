// 10,000 health calls (or as many as the first argument says) over one stdio session against a simulated faulty node: no call may fail,
// and the agent's resident memory must not grow with the calls. Prints the slope; exits 1 when it is over the limit.
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { Client } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';

const calls = Number(process.argv[2] ?? 10_000);
const limitBytesPerCall = 512;
const bin = resolve(import.meta.dirname, '../../apps/agent/bin/k8s-gpu-mcp-server.js');

const transport = new StdioClientTransport({
  command: process.execPath,
  args: [bin, '--backend', 'mock', '--scenario', 'mixed-faults', '--log-level', 'error'],
});
const client = new Client({ name: 'soak', version: '0' });
await client.connect(transport);
const residentBytes = () =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${transport.pid}/status`, 'utf8'))[1]) * 1024;

const samples = [];
let failed = 0;
for (let call = 1; call <= calls; call += 1) {
  const { isError } = await client.callTool({ name: 'get_gpu_health', arguments: {} });
  if (isError) failed += 1;
  // The first half warms caches and the heap; the slope is taken over the second.
  if (call > calls / 2 && call % Math.ceil(calls / 100) === 0) samples.push([call, residentBytes()]);
}
await client.close();

const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
const [x, y] = [mean(samples.map(([call]) => call)), mean(samples.map(([, bytes]) => bytes))];
const slope =
  samples.reduce((sum, [call, bytes]) => sum + (call - x) * (bytes - y), 0) /
  samples.reduce((sum, [call]) => sum + (call - x) ** 2, 0);
const megabytes = (bytes) => `${(bytes / 1e6).toFixed(1)} MB`;
console.log(
  `${calls} calls, ${failed} failed; resident ${megabytes(samples[0][1])} to ${megabytes(samples.at(-1)[1])}, slope ${slope.toFixed(1)} bytes a call (limit ${limitBytesPerCall})`,
);
process.exit(failed === 0 && slope <= limitBytesPerCall ? 0 : 1);
