import { silentLogger } from '@k8s-gpu-mcp/core';
import { describe, expect, it } from 'vitest';
import { agentOnDemand, listingFor, mayWait } from './agent-on-demand.ts';
import { composeAgent } from './composition/compose-agent.ts';
import { type AgentConfig, type GivenFlags, resolveConfig } from './config.ts';
import { knownOffer } from './offer.ts';

const configOf = (flags: GivenFlags = {}) => resolveConfig('serve', { backend: ['mock'], ...flags }, {});

async function listingOfComposed(config: AgentConfig) {
  const agent = await composeAgent(config, silentLogger);
  try {
    return agent.listing();
  } finally {
    await agent.close();
  }
}

describe('what is offered before the agent is there', () => {
  it.each<[string, GivenFlags]>([
    ['with the defaults', {}],
    ['on a node whose name needs escaping', { nodeName: ['gpu/node 1$&'] }],
    ['beside a kubelet', { podResources: ['/run/kubelet.sock'] }],
    ['without a kubelet', { podResources: ['none'] }],
  ])('is what the agent offers %s', async (_name, flags) => {
    const config = configOf(flags);
    expect(mayWait(config)).toBe(true);
    expect(listingFor(config, await knownOffer())).toEqual(await listingOfComposed(config));
  });

  it('would not be, were it made for another node', async () => {
    const listing = listingFor(configOf({ nodeName: ['a'] }), await knownOffer());
    expect(listing).not.toEqual(await listingOfComposed(configOf({ nodeName: ['b'] })));
  });
});

describe('an agent on demand', () => {
  it.each<[string, GivenFlags]>([
    ['HTTP', { port: ['8080'] }],
    ['a scenario, which may not exist', { scenario: ['nothing-of-this-name'] }],
    ['thresholds, which may be wrong', { healthThresholds: ['/nonexistent'] }],
    ['a recorder that always records', { record: ['true'] }],
    ['a recorder with a directory', { recordDirectory: ['/nonexistent'] }],
    ['a recorder that may take too much memory', { recordRetentionHours: ['168'] }],
    ['recordings, which may not be there', { backend: ['replay'], input: ['/nonexistent'] }],
  ])('does not wait with %s', (_name, flags) => {
    expect(mayWait(configOf(flags))).toBe(false);
  });

  it('says what is wrong with the configuration before it serves', async () => {
    await expect(agentOnDemand(configOf({ scenario: ['nonsense'] }), silentLogger)).rejects.toThrow(
      /--scenario "nonsense" is not one of/,
    );
  });

  it('is put together once, by whoever asks first', async () => {
    const agent = await agentOnDemand(configOf(), silentLogger);
    const [first, second] = await Promise.all([agent.get(), agent.get()]);
    expect(first).toBe(second);
    await agent.close();
  });

  it('tells of changes from when it is there until it is not listened to', async () => {
    const agent = await agentOnDemand(configOf(), silentLogger);
    const stopEarly = agent.resourceChanges.onChange(() => {}, ['gpu://node/health']);
    stopEarly();
    const stop = agent.resourceChanges.onChange(() => {}, ['gpu://node/health']);
    await agent.get();
    stop();
    await agent.close();
  });

  it('closes without ever having been there', async () => {
    await (await agentOnDemand(configOf(), silentLogger)).close();
  });
});
