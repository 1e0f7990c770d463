// The agent on a real dlopen'ed library that hangs in one GPU, for as many health calls as the first argument says (200): each must name the
// hung GPU and answer for all siblings. Prints survived/tried. Needs cc.
import { join, resolve } from 'node:path';
import { Client } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { createFakeNode } from './fake-node.mjs';

const calls = Number(process.argv[2] ?? 200);
const gpuCount = 8;
const hungGpu = 3;
const root = resolve(import.meta.dirname, '../..');
const { library, environment } = createFakeNode(gpuCount, [
  `mode nvmlDeviceGetTemperature ${hungGpu} hang`,
  `mode nvmlDeviceGetTemperatureV ${hungGpu} hang`,
]);

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
    env: { ...process.env, ...environment },
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
