// The agent on a real dlopen'ed library that hangs in one GPU, for as many health calls as the first argument says (200): each must name the
// hung GPU and answer for all siblings. Prints survived/tried. Needs cc.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { Client } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';

const calls = Number(process.argv[2] ?? 200);
const gpuCount = 8;
const hungGpu = 3;
const root = resolve(import.meta.dirname, '../..');
const folder = mkdtempSync(join(tmpdir(), 'hang-drill-'));
const library = join(folder, 'libnvidia-ml.so.1');
const config = join(folder, 'config');
execFileSync('cc', [
  '-shared',
  '-fPIC',
  '-fvisibility=hidden',
  '-O1',
  '-o',
  library,
  join(root, 'packages/nvml/test/fake/fake_nvml.c'),
  '-lpthread',
]);

const readings = (index) => ({
  name: 'NVIDIA H100 80GB HBM3',
  uuid: `GPU-00000000-1111-2222-3333-${String(index).padStart(12, '0')}`,
  bus: `00000000:${(0x1b + index).toString(16).toUpperCase()}:00.0`,
  'temp.0': 40,
  'threshold.0': 95,
  'threshold.1': 92,
  'ecc.current': 1,
  'ecc.total.1.0': 0,
});
const lines = [
  `set sys count ${gpuCount}`,
  'set sys driver 580.95.05',
  `mode nvmlDeviceGetTemperature ${hungGpu} hang`,
  `mode nvmlDeviceGetTemperatureV ${hungGpu} hang`,
];
for (let index = 0; index < gpuCount; index += 1) {
  for (const [key, value] of Object.entries(readings(index))) lines.push(`set ${index} ${key} ${value}`);
}
writeFileSync(config, `${lines.join('\n')}\n`);

const client = new Client({ name: 'hang-drill', version: '0' });
await client.connect(
  new StdioClientTransport({
    command: process.execPath,
    args: [
      join(root, 'apps/agent/bin/k8s-gpu-mcp-server.js'),
      '--nvml-library',
      library,
      '--kernel-log',
      'none',
      '--log-level',
      'error',
    ],
    env: { ...process.env, FAKE_NVML_CONFIG: config },
  }),
);
let survived = 0;
for (let call = 0; call < calls; call += 1) {
  const { structuredContent } = await client.callTool({ name: 'get_gpu_health', arguments: {} });
  const gpus = structuredContent?.gpus ?? [];
  const right = gpus.filter(({ index, verdict, state }) =>
    index === hungGpu ? state === 'hung' : verdict === 'ok',
  );
  if (right.length === gpuCount) survived += 1;
  else console.error(`call ${call + 1}: ${structuredContent?.summary}`);
}
await client.close();
console.log(
  `hang drill: ${survived}/${calls} calls named the hung GPU and answered for its ${gpuCount - 1} siblings`,
);
process.exit(survived === calls ? 0 : 1);
