import { describe, expect, it } from 'vitest';
import { tellMissing } from '../missing.ts';
import { skipReason } from '../tools/tools.ts';
import { namespace, render, type Values } from './helm.ts';
import { type KubernetesObject, podTemplatesOf } from './kubernetes-objects.ts';
import { type Connection, type Endpoint, isAllowed } from './network.ts';

tellMissing(skipReason('helm-3'));

const apiServer: Endpoint = { address: '10.96.0.1' };
const internet: Endpoint = { address: '203.0.113.7' };
const pod = (podNamespace: string, labels: Readonly<Record<string, string>>, address: string): Endpoint => ({
  address,
  pod: { namespace: podNamespace, labels },
});
const stranger = pod(namespace, { app: 'stranger' }, '10.244.3.1');
const elsewhere = pod('default', { app: 'stranger' }, '10.244.3.2');
const client = pod(namespace, { 'k8s-gpu-mcp/client': 'true' }, '10.244.3.3');
const prometheus = pod('monitoring', { 'app.kubernetes.io/name': 'prometheus' }, '10.244.3.4');
const dns = pod('kube-system', { 'k8s-app': 'kube-dns' }, '10.244.3.5');

/** The pods of a render as ends of connections. */
function podsOf(objects: readonly KubernetesObject[]) {
  const endpoint = (kind: string, address: string) => {
    const template = podTemplatesOf(objects).find(({ owner }) => owner.kind === kind);
    return pod(namespace, template?.metadata.labels ?? {}, address);
  };
  return {
    agent: endpoint('DaemonSet', '10.244.1.1'),
    gateway: endpoint('Deployment', '10.244.2.1'),
    test: endpoint('Pod', '10.244.2.2'),
  };
}
type Pods = ReturnType<typeof podsOf>;

const cases: readonly (readonly [string, boolean, (pods: Pods) => Connection])[] = [
  ['gateway -> agents', true, ({ gateway, agent }) => ({ from: gateway, to: agent, port: 8080 })],
  [
    'gateway -> another port of the agents',
    false,
    ({ gateway, agent }) => ({ from: gateway, to: agent, port: 22 }),
  ],
  ['a stranger -> agents', false, ({ agent }) => ({ from: stranger, to: agent, port: 8080 })],
  [
    'a stranger of another namespace -> agents',
    false,
    ({ agent }) => ({ from: elsewhere, to: agent, port: 8080 }),
  ],
  ['a client -> agents', false, ({ agent }) => ({ from: client, to: agent, port: 8080 })],
  ['the internet -> agents', false, ({ agent }) => ({ from: internet, to: agent, port: 8080 })],
  ['an agent -> another', false, ({ agent }) => ({ from: agent, to: agent, port: 8080 })],
  ['agents -> gateway', false, ({ agent, gateway }) => ({ from: agent, to: gateway, port: 8080 })],
  ['agents -> a stranger', false, ({ agent }) => ({ from: agent, to: stranger, port: 80 })],
  ['agents -> DNS', false, ({ agent }) => ({ from: agent, to: dns, port: 53, protocol: 'UDP' })],
  ['agents -> API server', false, ({ agent }) => ({ from: agent, to: apiServer, port: 443 })],
  ['agents -> the internet', false, ({ agent }) => ({ from: agent, to: internet, port: 443 })],
  ['a client -> gateway', true, ({ gateway }) => ({ from: client, to: gateway, port: 8080 })],
  ['helm test -> gateway', true, ({ gateway, test }) => ({ from: test, to: gateway, port: 8080 })],
  ['a stranger -> gateway', false, ({ gateway }) => ({ from: stranger, to: gateway, port: 8080 })],
  [
    'a stranger of another namespace -> gateway',
    false,
    ({ gateway }) => ({ from: elsewhere, to: gateway, port: 8080 }),
  ],
  ['Prometheus -> gateway', false, ({ gateway }) => ({ from: prometheus, to: gateway, port: 8080 })],
  ['gateway -> DNS', true, ({ gateway }) => ({ from: gateway, to: dns, port: 53, protocol: 'UDP' })],
  ['gateway -> API server', true, ({ gateway }) => ({ from: gateway, to: apiServer, port: 443 })],
  ['gateway -> API server of kubeadm', true, ({ gateway }) => ({ from: gateway, to: apiServer, port: 6443 })],
  ['gateway -> a stranger', false, ({ gateway }) => ({ from: gateway, to: stranger, port: 80 })],
  ['gateway -> a web page', false, ({ gateway }) => ({ from: gateway, to: internet, port: 80 })],
];

describe.skipIf(skipReason('helm-3') !== undefined)('the network policies', () => {
  const rendered = new Map<string, ReturnType<typeof render>>();
  const reachWith = async (values: Values, connect: (pods: Pods) => Connection) => {
    const key = JSON.stringify(values);
    const objects = await (rendered.get(key) ?? rendered.set(key, render({ values })).get(key) ?? []);
    return isAllowed(objects, namespace, connect(podsOf(objects)));
  };
  const toGateway = (from: Endpoint) => (pods: Pods) => ({ from, to: pods.gateway, port: 8080 });
  const toAgents = (from: Endpoint) => (pods: Pods) => ({ from, to: pods.agent, port: 8080 });

  it.concurrent.each(cases)('%s: %s', async (_name, isReached, connect) => {
    expect(await reachWith({}, connect)).toBe(isReached);
  });

  it('let anyone in where they are turned off', async () => {
    expect(await reachWith({ 'networkPolicy.enabled': false }, toGateway(stranger))).toBe(true);
    expect(await reachWith({ 'networkPolicy.enabled': false }, toAgents(stranger))).toBe(true);
  });

  it('let in the clients that are named', async () => {
    const values = {
      'networkPolicy.clients': [
        { namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'default' } } },
      ],
    };
    expect(await reachWith(values, toGateway(elsewhere))).toBe(true);
    expect(await reachWith(values, toAgents(elsewhere))).toBe(false);
    expect(await reachWith(values, toGateway(stranger))).toBe(false);
  });

  it('let Prometheus in where it is to scrape', async () => {
    const values = {
      'metrics.serviceMonitor.enabled': true,
      'networkPolicy.prometheus': [
        {
          namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'monitoring' } },
          podSelector: { matchLabels: { 'app.kubernetes.io/name': 'prometheus' } },
        },
      ],
    };
    expect(await reachWith(values, toGateway(prometheus))).toBe(true);
    expect(await reachWith(values, toAgents(prometheus))).toBe(true);
    expect(await reachWith(values, toAgents(stranger))).toBe(false);
    expect(await reachWith(values, toAgents(elsewhere))).toBe(false);
  });

  it('keep the gateway to the addresses of the API server, where they are given', async () => {
    const values = { 'networkPolicy.apiServer.cidrs': ['10.96.0.1/32'] };
    expect(await reachWith(values, ({ gateway }) => ({ from: gateway, to: apiServer, port: 443 }))).toBe(
      true,
    );
    expect(await reachWith(values, ({ gateway }) => ({ from: gateway, to: internet, port: 443 }))).toBe(
      false,
    );
  });

  it('follow the port', async () => {
    const values = { 'transport.http.port': 9000 };
    expect(await reachWith(values, ({ gateway, agent }) => ({ from: gateway, to: agent, port: 9000 }))).toBe(
      true,
    );
    expect(await reachWith(values, ({ gateway, agent }) => ({ from: gateway, to: agent, port: 8080 }))).toBe(
      false,
    );
  });

  it('let nobody reach an agent that sleeps, and it nobody', async () => {
    const values = { 'transport.mode': 'stdio' };
    expect(await reachWith(values, toAgents(client))).toBe(false);
    expect(await reachWith(values, ({ agent }) => ({ from: agent, to: apiServer, port: 443 }))).toBe(false);
  });

  it('let clients ask the agents where there is no gateway', async () => {
    expect(await reachWith({ 'gateway.enabled': false }, toAgents(client))).toBe(true);
    expect(await reachWith({ 'gateway.enabled': false }, toAgents(stranger))).toBe(false);
  });
});
