import { table } from '@k8s-gpu-mcp/command-line/layout';
import { listingOf } from '@k8s-gpu-mcp/core';
import { InMemoryTransport, type JSONRPCMessage, type McpServerFactory } from '@modelcontextprotocol/server';
import { composeAgent } from '../../composition/compose-agent.ts';
import { createServerFactory } from '../../server.ts';
import { agentVersion } from '../../version.ts';
import type { CommandContext } from '../command.ts';
import { wrap } from '../render/layout.ts';

/** The tools; with `--json` the very tools/list that a client gets. */
export async function tools({ config, terminal, createLogger }: CommandContext): Promise<number> {
  const agent = await composeAgent(config, await createLogger());
  try {
    if (config.json) {
      const served = { listing: listingOf(agent), parts: () => agent, version: agentVersion() };
      const list = await askToolsList(createServerFactory(served));
      await terminal.write(`${JSON.stringify(list)}\n`);
      return 0;
    }
    const columns = [{ heading: 'TOOL' }, { heading: 'WHAT', canShrink: true as const }];
    const all = [...agent.tools, ...agent.operatorTools];
    const rows = all.map(({ name, title }) => [{ text: name }, { text: title }]);
    const details = all.map(({ name, description, inputSchema }) => {
      const names = Object.keys(inputSchema.shape).join(', ');
      return `\n${terminal.style('bold', name)}\n  ${wrap(description, terminal.columns - 2, '  ')}\n  arguments: ${names}\n`;
    });
    await terminal.write(`${table(columns, rows, terminal.columns)}${details.join('')}`);
    return 0;
  } finally {
    await agent.close();
  }
}

const protocolVersion = '2025-06-18';

/** Speaks MCP to a server object in this process. */
async function askToolsList(factory: McpServerFactory): Promise<unknown> {
  const [ours, theirs] = InMemoryTransport.createLinkedPair();
  const server = await factory({ era: 'legacy' });
  try {
    await server.connect(theirs);
    const answers = new Map<unknown, (message: JSONRPCMessage) => void>();
    ours.onmessage = (message) => 'id' in message && answers.get(message.id)?.(message);
    await ours.start();
    const ask = (id: number, method: string, params: Record<string, unknown>) =>
      new Promise<unknown>((resolve, reject) => {
        answers.set(id, (message) => {
          if ('result' in message) resolve(message.result);
          else reject(new Error(`${method} failed: ${JSON.stringify(message)}`));
        });
        ours.send({ jsonrpc: '2.0', id, method, params }).catch(reject);
      });
    const clientInfo = { name: 'tools command', version: agentVersion() };
    await ask(1, 'initialize', { protocolVersion, capabilities: {}, clientInfo });
    await ours.send({ jsonrpc: '2.0', method: 'notifications/initialized' });
    return await ask(2, 'tools/list', {});
  } finally {
    await server.close();
  }
}
