import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { administrator, serviceAccountName, type User } from './access.ts';
import { startApiServer } from './api-server.ts';
import { makeCertificate } from './certificate.ts';
import { ClusterState } from './cluster-state.ts';
import type { Machine } from './container-runtime.ts';
import { Controllers } from './controllers.ts';
import type { KubernetesObject } from './json.ts';
import { kubeconfig } from './kubeconfig.ts';
import { Kubelet } from './kubelet.ts';
import { podmanRuntime } from './podman.ts';
import { processRuntime } from './processes.ts';
import { Services } from './services.ts';
import { podStreams } from './streams.ts';

export interface StandInCluster {
  readonly state: ClusterState;
  /** For KUBECONFIG: the administrator, as kind and others give it. */
  readonly kubeconfig: string;
  /** Path of a kubeconfig of somebody who may do what Roles say. */
  kubeconfigOf(user: string): string;
  /** Method, path and query of every request so far. */
  readonly requests: readonly string[];
  /** What was asked for and not allowed, in the API server's words. */
  readonly denials: readonly string[];
  /** How each pod is, with the end of its logs: for a test that fails. */
  report(): string;
  close(): Promise<void>;
}

export interface StandInClusterOptions {
  /** Default: two nodes. */
  readonly nodes?: readonly { readonly name: string; readonly labels?: Readonly<Record<string, string>> }[];
  /** Pods are containers of this image, whatever theirs is, as root with podman. Default: processes of this machine, built from this checkout. */
  readonly image?: string;
  /** What the nodes have: their RuntimeClasses are objects of the cluster. */
  readonly machine?: Machine;
}

const twoNodes = [{ name: 'gpu-node-1' }, { name: 'gpu-node-2' }];

/**
 * A cluster of one process: an API server that the real helm and kubectl work with, the controllers that a chart needs, and pods as real
 * programs of this machine, each with a loopback address of its own. Not there: admission beyond names that must exist, network policies, isolation.
 */
export async function startStandInCluster(options: StandInClusterOptions = {}): Promise<StandInCluster> {
  const folder = mkdtempSync(join(tmpdir(), 'stand-in-cluster-'));
  const certificate = makeCertificate(folder);
  const state = new ClusterState();
  const tokens = new Map<string, User>();
  const tokenOf = (user: User) => {
    const known = [...tokens].find(([, each]) => each.name === user.name)?.[0];
    const token = known ?? randomBytes(24).toString('base64url');
    tokens.set(token, user);
    return token;
  };
  const hostsFile = join(folder, 'names.json');
  const nextAddress = addresses();
  const streams = podStreams(() => kubelet);
  const server = await startApiServer({ state, certificate, userOf: (token) => tokens.get(token), streams });
  const machine = options.machine ?? {};
  const apiServer = () => ({ host: '127.0.0.1', port: server.port });
  const runtime =
    options.image === undefined
      ? processRuntime(folder, apiServer, machine)
      : podmanRuntime(options.image, apiServer, machine);
  const accountFiles = (namespace: string, name: string) => ({
    token: tokenOf({
      name: serviceAccountName(namespace, name),
      groups: ['system:serviceaccounts', `system:serviceaccounts:${namespace}`, 'system:authenticated'],
    }),
    'ca.crt': certificate.cert,
    namespace,
  });
  const kubelet = new Kubelet({ state, folder, runtime, hostsFile, nextAddress, accountFiles });
  const controllers = new Controllers(state);
  const services = new Services({ state, hostsFile, nextAddress });

  for (const name of ['default', 'kube-system'])
    state.create(
      { apiVersion: 'v1', kind: 'Namespace', metadata: { name }, status: { phase: 'Active' } },
      null,
    );
  for (const node of options.nodes ?? twoNodes) state.create(nodeObject(node), null);

  for (const name of Object.keys(machine.runtimeClasses ?? {}))
    state.create(
      { apiVersion: 'node.k8s.io/v1', kind: 'RuntimeClass', metadata: { name }, handler: name },
      null,
    );

  const writeKubeconfig = (user: User) => {
    const file = join(folder, `kubeconfig-${user.name}`);
    const authority = certificate.cert;
    const given = { server: server.url, authority, token: tokenOf(user), namespace: 'default' };
    writeFileSync(file, kubeconfig(given), { mode: 0o600 });
    return file;
  };
  return {
    state,
    kubeconfig: writeKubeconfig(administrator),
    kubeconfigOf: (name) => writeKubeconfig({ name, groups: ['system:authenticated'] }),
    requests: server.requests,
    denials: server.denials,
    report: () =>
      [
        ...state.all('Pod').map((pod) => {
          const status = JSON.stringify(pod['status']);
          return `${pod.metadata.name}: ${status}\n${kubelet.log(pod, null).slice(-1_500)}`;
        }),
        ...state.all('Event').map((event) => `${event.metadata.name}: ${String(event['message'])}`),
        ...server.denials,
      ].join('\n'),
    async close() {
      controllers.close();
      streams.cut();
      await kubelet.close();
      await services.close();
      await server.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function nodeObject({
  name,
  labels = {},
}: {
  readonly name: string;
  readonly labels?: Readonly<Record<string, string>>;
}): KubernetesObject {
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name, labels: { 'kubernetes.io/hostname': name, 'kubernetes.io/os': 'linux', ...labels } },
    spec: {},
    status: { conditions: [{ type: 'Ready', status: 'True' }] },
  };
}

/** Loopback addresses that other clusters of this machine do not have. */
function addresses(): () => string {
  const [high = 0, low = 0] = randomBytes(2);
  let count = 1;
  return () => {
    count += 1;
    return `127.${1 + (high % 254)}.${low}.${count}`;
  };
}
