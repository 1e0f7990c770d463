import { UsageError } from '@k8s-gpu-mcp/command-line';
import { describe, expect, it } from 'vitest';
import { type GivenFlags, resolveConfig } from './config.ts';

const resolve = (flags: GivenFlags, environment: Record<string, string> = {}) =>
  resolveConfig('serve', flags, environment);

describe('resolveConfig', () => {
  it('looks for the pods of a cluster when nothing is said', () => {
    expect(resolve({})).toMatchObject({
      directory: 'kubernetes',
      port: 8_080,
      address: '127.0.0.1',
      mode: 'read-only',
      deadlineMilliseconds: 10_000,
    });
  });

  it.each([
    ['a list', { agents: ['a=http://10.0.0.1:8080'] }],
    ['a file', { agentsFile: ['agents.yaml'] }],
  ] as const)('takes %s of agents for the static directory', (_what, flags) => {
    expect(resolve(flags).directory).toBe('static');
  });

  it('takes the environment where there is no flag', () => {
    const environment = { K8S_GPU_MCP_DEADLINE: '1500ms', K8S_GPU_MCP_SELECTOR: 'app=agent' };
    expect(() => resolve({}, environment)).toThrow(
      'K8S_GPU_MCP_DEADLINE: "1500ms" is not a duration from 2s to 50s',
    );
    expect(resolve({ deadlineMilliseconds: ['20s'] }, environment)).toMatchObject({
      deadlineMilliseconds: 20_000,
      selector: 'app=agent',
    });
  });

  it.each<[string, GivenFlags]>([
    ['--agents and --agents-file exclude', { agents: ['a=http://a'], agentsFile: ['f'] }],
    ['--directory static needs --agents', { directory: ['static'] }],
    ['need --directory static', { directory: ['kubernetes'], agentsFile: ['f'] }],
    ['--namespace needs --directory kubernetes', { agentsFile: ['f'], namespace: ['gpu'] }],
    ['--tls-cert and --tls-key go together', { tlsKeyFile: ['key.pem'] }],
    ['--agent-token-file needs --agent-daemonset', { agentTokenFile: ['token'] }],
    ['--agent-tls-name needs --agent-tls, or', { agentTlsName: ['agents.gpu.svc'] }],
    [
      '--agent-tls-name needs --agent-tls, or',
      { agents: ['a=http://10.0.0.1'], agentTlsName: ['agents.gpu.svc'] },
    ],
    ['--agent-tls-name: "10.0.0.1" is not a DNS name', { agentTls: ['true'], agentTlsName: ['10.0.0.1'] }],
    ['--agent-tls-name: "*.svc" is not a DNS name', { agentTls: ['true'], agentTlsName: ['*.svc'] }],
    ['--agent-tls-name: "agents." is not a DNS name', { agentTls: ['true'], agentTlsName: ['agents.'] }],
    ['is not a duration', { deadlineMilliseconds: ['soon'] }],
  ])('refuses: %s', (message, flags) => {
    expect(() => resolve(flags)).toThrow(UsageError);
    expect(() => resolve(flags)).toThrow(message);
  });

  it.each<[string, GivenFlags]>([
    ['agent pods that are asked over HTTPS', { agentTls: ['true'] }],
    ['a list with HTTPS in it', { agents: ['a=http://10.0.0.1,b=https://10.0.0.2'] }],
    ['a file, whose list may have HTTPS in it at any time', { agentsFile: ['agents.yaml'] }],
  ])("takes the name in agents' certificates with %s", (_what, flags) => {
    const agentTlsName = 'agents.gpu.svc';
    expect(resolve({ ...flags, agentTlsName: [agentTlsName] })).toMatchObject({ agentTlsName });
    expect(resolve(flags, { K8S_GPU_MCP_AGENT_TLS_NAME: agentTlsName })).toMatchObject({ agentTlsName });
    expect(resolve(flags).agentTlsName).toBeUndefined();
  });
});

describe('operator mode', () => {
  const complete: GivenFlags = {
    mode: ['operator'],
    agents: ['a=http://10.0.0.1:8080'],
    operatorTokenFile: ['operator'],
    agentOperatorTokenFile: ['agent-operator'],
  };

  it('is taken with both operator tokens', () => {
    expect(resolve(complete)).toMatchObject({
      mode: 'operator',
      operatorTokenFile: 'operator',
      agentOperatorTokenFile: 'agent-operator',
    });
  });

  const without = (...names: readonly (keyof GivenFlags)[]): GivenFlags =>
    Object.fromEntries(Object.entries(complete).filter(([name]) => !names.some((each) => each === name)));

  it.each<[string, GivenFlags]>([
    ['needs --operator-token-file', without('operatorTokenFile')],
    ['needs --agent-operator-token-file', without('agentOperatorTokenFile')],
    ['needs --agent-daemonset', without('agents')],
    ['--allow-unauthenticated exclude each other', { ...complete, allowUnauthenticated: ['true'] }],
    ['--operator-token-file and --auth-token-file must be two', { ...complete, authTokenFile: ['operator'] }],
    [
      '--agent-operator-token-file and --agent-token-file must be two',
      { ...complete, agentTokenFile: ['agent-operator'] },
    ],
    ['--agent-operator-token-file needs --mode operator', without('mode')],
    ['--operator-token-file needs --mode operator', without('mode', 'agentOperatorTokenFile')],
  ])('refuses: %s', (message, flags) => {
    expect(() => resolve(flags)).toThrow(UsageError);
    expect(() => resolve(flags)).toThrow(message);
  });
});
