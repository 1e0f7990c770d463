import { UsageError } from '@k8s-gpu-mcp/command-line';
import { silentLogger } from '@k8s-gpu-mcp/core';
import { type Container, ContainerModule } from 'inversify';
import { describe, expect, it } from 'vitest';
import { type AgentConfig, resolveConfig } from '../config.ts';
import { composeAgent, createOperatorContainer, createReadOnlyContainer } from './compose-agent.ts';
import { operatorTokens, tokens } from './tokens.ts';

const mock = (more: Partial<AgentConfig> = {}): AgentConfig => ({
  ...resolveConfig('serve', { backend: ['mock'], nodeName: ['node-a'] }, {}),
  ...more,
});

const operatorBindings = (container: Container) =>
  Object.entries(operatorTokens).flatMap(([name, token]) => (container.isBound(token) ? [name] : []));

describe('the read-only container', () => {
  it('binds everything that reads, and nothing that writes', () => {
    const container = createReadOnlyContainer(mock(), silentLogger);
    for (const token of Object.values(tokens)) expect(container.isBound(token)).toBe(true);
    expect(operatorBindings(container)).toEqual([]);
  });

  it('would show an operator binding if there were one', () => {
    const container = createReadOnlyContainer(mock(), silentLogger);
    container.load(new ContainerModule(({ bind }) => void bind(operatorTokens.tools).toConstantValue([])));
    expect(operatorBindings(container)).toEqual(['tools']);
  });

  it('makes each thing once', async () => {
    const container = createReadOnlyContainer(mock(), silentLogger);
    expect(await container.getAsync(tokens.tools)).toBe(await container.getAsync(tokens.tools));
    expect(await container.getAsync(tokens.gpuProvider)).toBe(await container.getAsync(tokens.gpuProvider));
  });
});

describe('the operator container', () => {
  const operator = mock({ backend: 'nvml', mode: 'operator' });

  it('binds everything that writes beside everything that reads', () => {
    const container = createOperatorContainer(operator, silentLogger);
    for (const token of Object.values(tokens)) expect(container.isBound(token)).toBe(true);
    expect(operatorBindings(container)).toEqual(Object.keys(operatorTokens));
  });

  it('keeps what writes apart from what reads, and each says that it destroys', async () => {
    const agent = await composeAgent(operator, silentLogger);
    expect(agent.operatorTools.map(({ name }) => name)).toEqual(['kill_gpu_process', 'reset_gpu']);
    for (const { annotations } of agent.operatorTools)
      expect(annotations).toMatchObject({ readOnlyHint: false, destructiveHint: true });
    for (const { name } of agent.tools) expect(name).toMatch(/^(?:get|compare|analyze|explain)_/);
    await agent.close();
  });

  it('is not what the default configuration makes', async () => {
    const agent = await composeAgent(mock(), silentLogger);
    expect(agent.operatorTools).toEqual([]);
    await agent.close();
  });
});

describe('composeAgent', () => {
  it('has only tools that say they read', async () => {
    const agent = await composeAgent(mock(), silentLogger);
    expect(agent.tools.length).toBeGreaterThan(0);
    for (const { annotations } of agent.tools)
      expect(annotations).toMatchObject({ readOnlyHint: true, destructiveHint: false });
    await agent.close();
  });

  it('answers from the scenario asked for', async () => {
    const agent = await composeAgent(mock({ scenario: 'fallen-off-bus' }), silentLogger);
    const health = await agent.tools.find(({ name }) => name === 'get_gpu_health')?.call({});
    expect(health).toMatchObject({ structuredContent: { node: 'node-a', verdict: 'critical' } });
    await agent.close();
  });

  it('closes the provider with the container, and does not wait for one that hangs', async () => {
    const agent = await composeAgent(mock(), silentLogger);
    let closeCount = 0;
    agent.gpuProvider.close = () => {
      closeCount += 1;
      return new Promise(() => {});
    };
    await agent.close();
    expect(closeCount).toBe(1);
  });

  it('refuses a scenario that does not exist, and names those that do', async () => {
    const error = await composeAgent(mock({ scenario: 'sunny' }), silentLogger).catch(
      (reason: unknown) => reason,
    );
    expect(error).toBeInstanceOf(UsageError);
    expect(String(error)).toContain('healthy-8xh100');
  });

  it('takes NVML for auto, and never the mock', async () => {
    const agent = await composeAgent(mock({ backend: 'auto' }), silentLogger);
    expect(agent.gpuProvider.manifest).toMatchObject({ backend: 'nvml', simulated: false });
    await agent.close();
  });

  it('reads no kernel log when told so, also with simulated GPUs', async () => {
    const agent = await composeAgent(mock({ kernelLog: 'none', scenario: 'fallen-off-bus' }), silentLogger);
    const answer = await agent.tools.find(({ name }) => name === 'analyze_xid_errors')?.call({});
    expect(answer).toMatchObject({
      structuredContent: { verdict: 'unknown', coverage: { kernelLog: { readable: false } } },
    });
    await agent.close();
  });
});
