import { describe, expect, it } from 'vitest';
import type { KubernetesObject } from './kubernetes-objects.ts';
import { type Endpoint, isAllowed } from './network.ts';

const policy = (spec: object): KubernetesObject => ({
  apiVersion: 'networking.k8s.io/v1',
  kind: 'NetworkPolicy',
  metadata: { name: 'policy' },
  spec,
});
const pod = (app: string, namespace = 'here', address = '10.244.0.1'): Endpoint => ({
  address,
  pod: { namespace, labels: { app }, ports: { http: 8080 } },
});
const server = pod('server');
const toServer = (from: Endpoint, port = 8080) => ({ from, to: server, port });
const podSelector = { matchLabels: { app: 'server' } };

describe('who may reach whom', () => {
  it('is everyone where no policy selects a pod', () => {
    expect(isAllowed([], 'here', toServer(pod('client')))).toBe(true);
    const others = [policy({ podSelector: { matchLabels: { app: 'other' } }, ingress: [] })];
    expect(isAllowed(others, 'here', toServer(pod('client')))).toBe(true);
    expect(isAllowed([policy({ podSelector: {} })], 'elsewhere', toServer(pod('client')))).toBe(true);
  });

  it('is nobody where a policy has no rule, and everybody where a rule is empty', () => {
    expect(isAllowed([policy({ podSelector })], 'here', toServer(pod('client')))).toBe(false);
    expect(isAllowed([policy({ podSelector, ingress: [{}] })], 'here', toServer(pod('client')))).toBe(true);
  });

  it('follows peers and ports, by name and by number', () => {
    const from = [{ podSelector: { matchLabels: { app: 'client' } } }];
    for (const port of [8080, 'http']) {
      const policies = [policy({ podSelector, ingress: [{ from, ports: [{ port }] }] })];
      expect(isAllowed(policies, 'here', toServer(pod('client')))).toBe(true);
      expect(isAllowed(policies, 'here', toServer(pod('client'), 9090))).toBe(false);
      expect(isAllowed(policies, 'here', { ...toServer(pod('client')), protocol: 'UDP' })).toBe(false);
      expect(isAllowed(policies, 'here', toServer(pod('stranger')))).toBe(false);
      expect(isAllowed(policies, 'here', toServer(pod('client', 'elsewhere')))).toBe(false);
    }
  });

  it('parts two peers of a list from one peer of two selectors', () => {
    const namespaceSelector = { matchLabels: { 'kubernetes.io/metadata.name': 'elsewhere' } };
    const both = [
      policy({
        podSelector,
        ingress: [{ from: [{ podSelector: { matchLabels: { app: 'client' } }, namespaceSelector }] }],
      }),
    ];
    expect(isAllowed(both, 'here', toServer(pod('client', 'elsewhere')))).toBe(true);
    expect(isAllowed(both, 'here', toServer(pod('stranger', 'elsewhere')))).toBe(false);
    const either = [
      policy({
        podSelector,
        ingress: [{ from: [{ podSelector: { matchLabels: { app: 'client' } } }, { namespaceSelector }] }],
      }),
    ];
    expect(isAllowed(either, 'here', toServer(pod('stranger', 'elsewhere')))).toBe(true);
  });

  it('adds what several policies allow', () => {
    const allow = (app: string) =>
      policy({ podSelector, ingress: [{ from: [{ podSelector: { matchLabels: { app } } }] }] });
    expect(isAllowed([allow('a'), allow('b')], 'here', toServer(pod('b')))).toBe(true);
  });

  it('needs both ends: egress of the one, ingress of the other', () => {
    const closed = policy({ podSelector: { matchLabels: { app: 'client' } }, policyTypes: ['Egress'] });
    expect(isAllowed([closed], 'here', toServer(pod('client')))).toBe(false);
    expect(isAllowed([closed], 'here', { from: pod('stranger'), to: pod('client'), port: 8080 })).toBe(true);
  });

  it('knows addresses, also those of pods', () => {
    const to = [{ ipBlock: { cidr: '10.0.0.0/8', except: ['10.96.0.0/12'] } }];
    const policies = [
      policy({
        podSelector,
        policyTypes: ['Egress'],
        egress: [{ to, ports: [{ port: 6443, endPort: 6450 }] }],
      }),
    ];
    const reach = (address: string, port: number) =>
      isAllowed(policies, 'here', { from: server, to: { address }, port });
    expect(reach('10.1.2.3', 6443)).toBe(true);
    expect(reach('10.1.2.3', 6451)).toBe(false);
    expect(reach('10.96.0.1', 6443)).toBe(false);
    expect(reach('192.0.2.1', 6443)).toBe(false);
    expect(reach('2001:db8::1', 6443)).toBe(false);
    expect(
      isAllowed(policies, 'here', { from: server, to: pod('client', 'elsewhere', '10.244.7.7'), port: 6450 }),
    ).toBe(true);
  });
});
