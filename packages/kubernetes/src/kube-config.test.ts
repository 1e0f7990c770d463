import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type KubeConfigOptions, loadKubeConfig } from './kube-config.ts';
import { KubernetesError } from './kubernetes-api.ts';

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'kube-config-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function write(name: string, text: string): string {
  const path = join(folder, name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
  return path;
}

const two = `
apiVersion: v1
kind: Config
current-context: east
clusters:
- {name: east, cluster: {server: "https://east.example:6443", certificate-authority: ca.crt}}
- {name: west, cluster: {server: "https://west.example/k8s/clusters/c-1/"}}
- {name: plain, cluster: {server: "http://127.0.0.1:8001"}}
users:
- {name: token, user: {token: secret}}
- name: plugin
  user:
    exec: {apiVersion: client.authentication.k8s.io/v1, command: get-token, provideClusterInfo: true}
contexts:
- {name: east, context: {cluster: east, user: token, namespace: gpu}}
- {name: west, context: {cluster: west, user: plugin}}
- {name: plain, context: {cluster: plain, user: token}}
- {name: lost, context: {cluster: gone, user: token}}
- {name: nobody, context: {cluster: east, user: gone}}
`;

async function failure(options: KubeConfigOptions): Promise<KubernetesError> {
  const error = await loadKubeConfig(options).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(KubernetesError);
  expect((error as KubernetesError).reason).toBe('configuration');
  return error as KubernetesError;
}

describe('loadKubeConfig', () => {
  it('takes the current context, or the one asked for', async () => {
    const kubeconfig = write('two', two);
    const east = await loadKubeConfig({ kubeconfig, environment: {} });
    expect([east.server.href, east.namespace, east.context]).toEqual([
      'https://east.example:6443/',
      'gpu',
      'east',
    ]);
    expect(east.config.getCurrentUser()?.token).toBe('secret');
    // Paths in a kubeconfig are relative to it.
    expect(east.config.getCurrentCluster()?.caFile).toBe(join(folder, 'ca.crt'));
    const west = await loadKubeConfig({ kubeconfig, context: 'west', environment: {} });
    expect([west.server.pathname, west.namespace]).toEqual(['/k8s/clusters/c-1', 'default']);
    const given = await loadKubeConfig({ kubeconfig, namespace: 'mine', environment: {} });
    expect(given.namespace).toBe('mine');
  });

  it('sends no credentials over plain HTTP, as kubectl does', async () => {
    const kubeconfig = write('two', two);
    const { config } = await loadKubeConfig({ kubeconfig, context: 'plain', environment: {} });
    const options: { headers?: Record<string, string> } = {};
    await config.applyToHTTPSOptions(options);
    expect(options.headers).toEqual({});
  });

  it('tells an exec plugin what kubectl tells it', async () => {
    const kubeconfig = write('two', two);
    const { config } = await loadKubeConfig({ kubeconfig, context: 'west', environment: {} });
    const env: { name: string; value: string }[] = config.getCurrentUser()?.exec.env;
    expect(env.map(({ name }) => name)).toEqual(['KUBERNETES_EXEC_INFO']);
    expect(JSON.parse(env[0]?.value ?? '')).toMatchObject({
      kind: 'ExecCredential',
      apiVersion: 'client.authentication.k8s.io/v1',
      spec: { interactive: false, cluster: { server: 'https://west.example/k8s/clusters/c-1' } },
    });
  });

  it('merges the files of KUBECONFIG: the first that says a thing wins, a missing one is passed over', async () => {
    const first = write(
      'first',
      JSON.stringify({ clusters: [{ name: 'east', cluster: { server: 'https://first' } }] }),
    );
    const KUBECONFIG = [first, join(folder, 'missing'), write('two', two)].join(delimiter);
    const loaded = await loadKubeConfig({ environment: { KUBECONFIG } });
    expect([loaded.server.host, loaded.namespace]).toEqual(['first', 'gpu']);
  });

  it('looks for KUBECONFIG, then in the home directory, then for the service account of the pod', async () => {
    write('home/.kube/config', two.replace('current-context: east', 'current-context: west'));
    const pod = { KUBERNETES_SERVICE_HOST: 'fd00::1', KUBERNETES_SERVICE_PORT: '443' };
    const serviceAccountDirectory = join(folder, 'sa');
    write('sa/token', 'pod-token\n');
    write('sa/namespace', 'gpu-agents\n');
    const HOME = join(folder, 'home');
    const all = { ...pod, HOME, KUBECONFIG: write('two', two) };
    const contexts = [];
    for (const environment of [all, { ...pod, HOME }, { ...pod, HOME: folder }])
      contexts.push((await loadKubeConfig({ environment, serviceAccountDirectory })).context);
    expect(contexts).toEqual(['east', 'west', 'in-cluster']);
    const inCluster = await loadKubeConfig({ environment: pod, serviceAccountDirectory });
    expect([inCluster.server.href, inCluster.namespace]).toEqual(['https://[fd00::1]/', 'gpu-agents']);
  });

  it.each([
    ['no kubeconfig', {}, 'no kubeconfig found: give --kubeconfig'],
    ['a missing file', { kubeconfig: '/nowhere/config' }, '(ENOENT)'],
    ['a KUBECONFIG of missing files', { environment: { KUBECONFIG: '/nowhere/a' } }, 'none of the files'],
  ])('says so: %s', async (_, options, words) => {
    expect((await failure({ environment: {}, ...options })).message).toContain(words);
  });

  it.each([
    ['a context that is not there', two, 'prod', 'no context "prod": choose one of "east", "west"'],
    ['no current context', two.replace('current-context: east', ''), undefined, 'no current context'],
    ['a context without its cluster', two, 'lost', 'a cluster that the kubeconfig lacks'],
    ['a context without its user', two, 'nobody', 'a user that the kubeconfig lacks'],
    ['what is not a kubeconfig', ': : :\n\t- [', undefined, 'not a kubeconfig'],
    ['an empty file', '', undefined, 'not a kubeconfig'],
    ['a tokenFile', two.replace('token: secret', 'tokenFile: /run/token'), undefined, 'which is not read'],
    [
      'a server that is no address',
      two.replace('https://east.example:6443', 'file:///etc'),
      undefined,
      'http or https',
    ],
    [
      'a server with a password',
      two.replace('https://east', 'https://a:b@east'),
      undefined,
      'a password in its address',
    ],
  ])('says so: %s', async (_, text, context, words) => {
    expect((await failure({ kubeconfig: write('bad', text), context, environment: {} })).message).toContain(
      words,
    );
  });
});
