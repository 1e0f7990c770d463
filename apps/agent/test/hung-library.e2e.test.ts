// The whole agent on a real dlopen'ed library (the C fake) that hangs in one GPU: siblings are answered, the hung GPU is named, the next
// call works, and SIGTERM ends the agent while the library still hangs.
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { expect, test } from 'vitest';
import { compileFakeLibrary, configText, noCompiler } from '../../../packages/nvml/test/fake/rig.ts';
import { agentCommand, cleanEnvironment, startAgent } from './run-agent.ts';

const hungGpu = 3;
const gpuCount = 8;

/** An 8-GPU node on which the driver never comes back from a temperature reading of one GPU. */
function hungNode(): { library: string; env: Record<string, string> } {
  const folder = mkdtempSync(join(tmpdir(), 'hung-library-'));
  const config = join(folder, 'config');
  const faults = [
    `mode nvmlDeviceGetTemperature ${hungGpu} hang`,
    `mode nvmlDeviceGetTemperatureV ${hungGpu} hang`,
  ];
  writeFileSync(
    config,
    configText({ gpus: Array.from({ length: gpuCount }, () => ({})), faults }, join(folder, 'calls')),
  );
  return { library: compileFakeLibrary(), env: { FAKE_NVML_CONFIG: config } };
}

const agentArguments = (library: string) => [
  '--nvml-library',
  library,
  '--kernel-log',
  'none',
  '--log-level',
  'error',
];

interface HealthAnswer {
  readonly verdict: string;
  readonly summary: string;
  readonly gpus: readonly { readonly index: number; readonly verdict: string; readonly state?: string }[];
}

test.skipIf(noCompiler)(
  `siblings are answered and the hung GPU is named, call after call${noCompiler ? ` (${noCompiler})` : ''}`,
  async () => {
    const { library, env } = hungNode();
    const client = new Client({ name: 'test', version: '0' });
    await client.connect(
      new StdioClientTransport({
        ...agentCommand(agentArguments(library)),
        env: cleanEnvironment(env),
      }),
    );
    try {
      for (const call of ['first', 'second', 'third']) {
        const result = await client.callTool({ name: 'get_gpu_health', arguments: {} });
        const { gpus, summary, verdict } = result.structuredContent as unknown as HealthAnswer;
        expect(gpus, call).toHaveLength(gpuCount);
        for (const gpu of gpus) {
          expect(gpu, `${call} call`).toMatchObject(
            gpu.index === hungGpu ? { verdict: 'critical', state: 'hung' } : { verdict: 'ok' },
          );
        }
        expect(verdict).toBe('critical');
        expect(summary).toContain(`GPU ${hungGpu}`);
      }
      const one = await client.callTool({ name: 'get_gpu_telemetry', arguments: { gpu: 0 } });
      expect(one.structuredContent).toMatchObject({ gpus: [{ index: 0, state: 'ok' }] });
    } finally {
      await client.close();
    }
  },
);

test.skipIf(noCompiler)('SIGTERM ends the agent with 0 while the library hangs', async () => {
  const { library, env } = hungNode();
  const agent = startAgent(agentArguments(library), env);
  const send = (message: object) =>
    agent.child.stdin.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`);
  const clientInfo = { name: 'test', version: '0' };
  send({
    id: 1,
    method: 'initialize',
    params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo },
  });
  await agent.answerTo(1);
  send({ method: 'notifications/initialized' });
  send({ id: 2, method: 'tools/call', params: { name: 'get_gpu_telemetry', arguments: { gpu: hungGpu } } });
  send({ id: 3, method: 'ping' });
  // The ping overtakes the call that hangs.
  await agent.answerTo(3);
  agent.child.kill('SIGTERM');
  expect((await agent.exited).code).toBe(0);
});
