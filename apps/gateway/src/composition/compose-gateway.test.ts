import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger } from '@k8s-gpu-mcp/core';
import { type Container, ContainerModule } from 'inversify';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type GatewayConfig, resolveConfig } from '../config.ts';
import { composeGateway, createOperatorContainer, createReadOnlyContainer } from './compose-gateway.ts';
import { operatorTokens, tokens } from './tokens.ts';

const folder = mkdtempSync(join(tmpdir(), 'gateway-'));
const fileOf = (token: string) => {
  const path = join(folder, token);
  writeFileSync(path, `${token}\n`);
  return path;
};
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const readOnly = (...agents: string[]): GatewayConfig =>
  resolveConfig(
    'serve',
    {
      agents: agents.length > 0 ? agents : ['node-a=http://127.0.0.1:9'],
      agentTokenFile: [fileOf('to-read')],
    },
    {},
  );
const operator = (...agents: string[]): GatewayConfig => ({
  ...readOnly(...agents),
  mode: 'operator',
  operatorTokenFile: fileOf('of-callers'),
  agentOperatorTokenFile: fileOf('to-act'),
});
const boundIn = (container: Container) =>
  Object.entries(operatorTokens).flatMap(([name, token]) => (container.isBound(token) ? [name] : []));

describe('the read-only container', () => {
  it('binds what reads, and nothing that acts, whatever else is configured', () => {
    const container = createReadOnlyContainer({ ...operator(), mode: 'read-only' }, {}, silentLogger);
    for (const token of Object.values(tokens)) expect(container.isBound(token)).toBe(true);
    expect(boundIn(container)).toEqual([]);
  });

  it('would show what acts if it were there', () => {
    const container = createReadOnlyContainer(readOnly(), {}, silentLogger);
    container.load(new ContainerModule(({ bind }) => void bind(operatorTokens.tools).toConstantValue([])));
    expect(boundIn(container)).toEqual(['tools']);
  });

  it('is what the default configuration makes', async () => {
    const gateway = await composeGateway(readOnly(), {}, silentLogger);
    expect(gateway.operatorTools).toEqual([]);
    for (const { name, annotations } of gateway.tools) {
      expect(name).not.toMatch(/kill|reset/);
      expect(annotations).toMatchObject({ readOnlyHint: true, destructiveHint: false });
    }
    expect(await gateway.collectMetrics()).not.toMatch(/kill_gpu_process|reset_gpu/);
    await gateway.close();
  });
});

describe('the operator container', () => {
  it('binds what acts beside what reads', async () => {
    const container = createOperatorContainer(operator(), {}, silentLogger);
    expect(boundIn(container)).toEqual(Object.keys(operatorTokens));
    await container.unbindAllAsync();
    const gateway = await composeGateway(operator(), {}, silentLogger);
    expect(gateway.operatorTools.map(({ name }) => name)).toEqual(['kill_gpu_process', 'reset_gpu']);
    expect(gateway.tools.map(({ name }) => name)).not.toContain('reset_gpu');
    expect(await gateway.collectMetrics()).toContain('mcp_active_requests{tool="reset_gpu"} 0');
    await gateway.close();
  });
});

describe('which token goes where', () => {
  const seen: (readonly [string, string | undefined])[] = [];
  const open = (name: string, redirect?: () => string) => {
    const server = createServer((request, response) => {
      seen.push([name, request.headers.authorization]);
      request.resume();
      if (redirect) response.writeHead(307, { location: redirect() }).end();
      else response.writeHead(403).end();
    });
    return server;
  };
  const urlOf = (server: ReturnType<typeof open>) =>
    `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const elsewhere = open('elsewhere');
  const agent = open('agent');
  const redirecting = open('redirecting', () => `${urlOf(elsewhere)}/mcp`);
  const servers = [elsewhere, agent, redirecting];
  beforeAll(async () => {
    for (const server of servers)
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  });
  afterAll(() => {
    for (const server of servers) server.close();
  });

  it('the one for acting goes with operator tools only, and along no redirect', async () => {
    const list = [`node-a=${urlOf(agent)}`, `node-r=${urlOf(redirecting)}`];
    const gateway = await composeGateway(operator(...list), {}, silentLogger);
    const asked = async (node: string, tool: string, input: object = {}) => {
      seen.length = 0;
      const found = [...gateway.tools, ...gateway.operatorTools].find(({ name }) => name === tool);
      expect((await found?.call({ node, ...input }, { caller: 'operator' }))?.isError).toBe(true);
      return new Set(seen.map(([name, token]) => `${name} ${token}`));
    };
    const reset = { gpu: 0, planId: 'p' };
    expect(await asked('node-a', 'get_gpu_inventory')).toEqual(new Set(['agent Bearer to-read']));
    expect(await asked('node-a', 'reset_gpu', reset)).toEqual(new Set(['agent Bearer to-act']));
    expect(await asked('node-a', 'get_gpu_inventory')).toEqual(new Set(['agent Bearer to-read']));
    expect(await asked('node-r', 'reset_gpu', reset)).toEqual(new Set(['redirecting Bearer to-act']));
    await gateway.close();
  });
});
