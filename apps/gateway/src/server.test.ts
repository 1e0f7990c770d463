import { type GpuTool, silentLogger } from '@k8s-gpu-mcp/core';
import { Client } from '@modelcontextprotocol/client';
import { InMemoryTransport } from '@modelcontextprotocol/server';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { composeGateway, type Gateway } from './composition/compose-gateway.ts';
import { type GatewayConfig, resolveConfig } from './config.ts';
import { principals } from './principals.ts';
import { createServerFactory } from './server.ts';

const acting = ['kill_gpu_process', 'reset_gpu'];
const readOnly: GatewayConfig = resolveConfig('serve', { agents: ['node-a=http://127.0.0.1:9'] }, {});
const operator: GatewayConfig = {
  ...readOnly,
  mode: 'operator',
  operatorTokenFile: '/does/not/exist',
  agentOperatorTokenFile: '/does/not/exist/either',
};

/** A client of the server object that this caller gets. */
async function clientOf(clientId: string | undefined, gateway: Gateway): Promise<Client> {
  const server = await createServerFactory({ ...gateway, version: '0' })({
    era: 'legacy',
    ...(clientId === undefined ? {} : { authInfo: { token: '', clientId, scopes: [] } }),
  });
  const [near, far] = InMemoryTransport.createLinkedPair();
  await server.connect(far);
  const client = new Client({ name: 'test', version: '0' });
  await client.connect(near);
  return client;
}
const toolsOf = async (client: Client) => (await client.listTools()).tools.map(({ name }) => name);

describe('the tools by principal', () => {
  let gateway: Gateway;
  const callers: unknown[] = [];
  beforeAll(async () => {
    const composed = await composeGateway(operator, {}, silentLogger);
    const operatorTools = composed.operatorTools.map(
      (tool): GpuTool => ({
        ...tool,
        async call(_, context) {
          callers.push(context?.caller);
          return { isError: true, code: 'UNAVAILABLE', text: 'not here' };
        },
      }),
    );
    gateway = { ...composed, operatorTools };
  });
  afterAll(() => gateway.close());

  it('the bearer of the operator token has them all, and is told to the tool', async () => {
    const client = await clientOf(principals.operator, gateway);
    expect(await toolsOf(client)).toEqual([...gateway.tools.map(({ name }) => name), ...acting]);
    await client.callTool({ name: 'reset_gpu', arguments: { node: 'node-a', gpu: 0 } });
    expect(callers.splice(0)).toEqual(['operator']);
  });

  // Nobody is local here: whoever came without a name may only read.
  it.each([undefined, principals.reader, 'local', 'anonymous', 'anyone', '', 'Operator'])(
    '%j may only read',
    async (clientId) => {
      const client = await clientOf(clientId, gateway);
      expect(await toolsOf(client)).toEqual(gateway.tools.map(({ name }) => name));
      for (const name of acting)
        await expect(client.callTool({ name, arguments: { node: 'node-a', gpu: 0 } })).rejects.toThrow(name);
      expect(callers).toEqual([]);
    },
  );
});

describe('a read-only gateway', () => {
  it.each([principals.reader, principals.operator, undefined])(
    'cannot be made to act by any way in (%s)',
    async (clientId) => {
      const gateway = await composeGateway(readOnly, {}, silentLogger);
      const client = await clientOf(clientId, gateway);
      const listed = await toolsOf(client);
      expect(listed).toContain('get_gpu_health');
      expect(listed.filter((name) => /kill|reset/.test(name))).toEqual([]);
      for (const name of acting) {
        await expect(client.callTool({ name, arguments: { node: 'node-a', gpu: 0 } })).rejects.toThrow(name);
        for (const uri of [`gpu://node-a/${name}`, `gpu://${name}`, name])
          await expect(client.readResource({ uri })).rejects.toThrow();
      }
      const resources = await client.listResources().catch(() => ({ resources: [] }));
      expect(JSON.stringify(resources)).not.toMatch(/kill|reset/);
      await gateway.close();
    },
  );
});
