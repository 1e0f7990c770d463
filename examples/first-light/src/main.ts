/**
 * First light: starts the agent with simulated GPUs, asks it three questions over a real MCP connection, and prints the diagnosis.
 * Run it with `npm start` at the root of this repository.
 */
import { fileURLToPath } from 'node:url';
import { styleText } from 'node:util';
import { Client } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import {
  type Emphasis,
  type HealthAnswer,
  type InventoryAnswer,
  renderDiagnosis,
  type XidAnswer,
} from './diagnosis.ts';

const agentBin = fileURLToPath(new URL('../../../apps/agent/bin/k8s-gpu-mcp-server.js', import.meta.url));
const scenario = 'mixed-faults';
const agentArguments = [agentBin, '--backend', 'mock', '--scenario', scenario, '--node-name', 'demo-node'];

const { stdout, env } = process;
const hasColor = env['FORCE_COLOR'] ? env['FORCE_COLOR'] !== '0' : stdout.isTTY === true && !env['NO_COLOR'];
const styles = { bad: 'red', poor: 'yellow', good: 'green', strong: 'bold' } as const;
const emphasize: Emphasis = (kind, text) =>
  hasColor ? styleText(styles[kind], text, { validateStream: false }) : text;

/** One tool's structured answer. */
async function ask<Answer>(client: Client, name: string): Promise<Answer> {
  const result = await client.callTool({ name, arguments: {} });
  if (result.isError) throw new Error(`${name}: ${JSON.stringify(result.content)}`);
  return result.structuredContent as Answer;
}

async function diagnose(): Promise<string> {
  const client = new Client({ name: 'first-light', version: '0.1.0' });
  const inherited = Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined);
  await client.connect(
    new StdioClientTransport({
      command: process.execPath,
      args: agentArguments,
      env: Object.fromEntries(inherited),
      stderr: 'ignore',
    }),
  );
  try {
    const inventory = await ask<InventoryAnswer>(client, 'get_gpu_inventory');
    const health = await ask<HealthAnswer>(client, 'get_gpu_health');
    const xid = await ask<XidAnswer>(client, 'analyze_xid_errors');
    if (!health.coverage.gpuBackend.simulated)
      throw new Error('the agent did not say that its GPUs are simulated');
    return renderDiagnosis({ inventory, health, xid }, emphasize);
  } finally {
    await client.close();
  }
}

const hostConfiguration = JSON.stringify(
  { mcpServers: { gpu: { command: process.execPath, args: [agentBin] } } },
  null,
  2,
);

// A reader that goes away (`| head`) is no error.
stdout.on('error', () => {});
stdout.write(
  `${emphasize('poor', 'SIMULATED')}: the GPUs below are invented (mock backend, scenario ${scenario}); the questions and answers are real MCP.\n\n`,
);
stdout.write(await diagnose());
stdout.write(`
${emphasize('strong', 'Now with real GPUs')}, on a machine that has them:
  node ${agentBin} health      (published: npx k8s-gpu-mcp-server health)
  node ${agentBin} doctor      what it can see there, and what to do about the rest
A kernel log from anywhere, no GPU needed:
  node ${agentBin} analyze /path/to/kern.log

${emphasize('strong', 'In your MCP host')} (Claude, Cursor, VS Code, ...), then ask "is GPU 3 healthy?":
${hostConfiguration}
`);
