import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import { fixedClock } from '@k8s-gpu-mcp/core/testing';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { connectKubernetes } from '../src/connect.ts';
import { KubernetesError } from '../src/kubernetes-api.ts';
import {
  createFakeApiServer,
  type FakeApiServer,
  type FakeApiServerOptions,
} from './fake-api-server/index.ts';

const never = new AbortController().signal;
const pods = { path: '/api/v1/namespaces/gpu/pods' };
const folder = mkdtempSync(join(tmpdir(), 'connect-'));
const servers: FakeApiServer[] = [];

async function serve(options: FakeApiServerOptions): Promise<FakeApiServer> {
  const server = await createFakeApiServer(options);
  servers.push(server);
  return server;
}
function write(name: string, text: string): string {
  const path = join(folder, name);
  mkdirSync(join(path, '..'), { recursive: true });
  writeFileSync(path, text);
  return path;
}
async function reasonOf(promise: Promise<unknown>): Promise<string> {
  const error = await promise.catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(KubernetesError);
  return (error as KubernetesError).reason;
}

afterEach(async () => {
  for (const server of servers.splice(0)) await server.close();
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

it('asks a plain server, as `kubectl proxy` is one, without credentials', async () => {
  const server = await serve({});
  const kubeconfig = write('plain', server.kubeconfig({ token: 'secret' }));
  const api = await connectKubernetes({ kubeconfig, environment: {} });
  expect(api.namespace).toBe('gpu');
  expect((await api.list(pods, {}, never)).items).toEqual([]);
  expect(server.requests[0]?.headers.authorization).toBeUndefined();
});

it('keeps one connection for requests after another', async () => {
  const server = await serve({});
  const api = await connectKubernetes({ kubeconfig: write('plain', server.kubeconfig()), environment: {} });
  const before = server.connections;
  for (let count = 0; count < 5; count += 1) await api.list(pods, {}, never);
  expect(server.connections - before).toBe(1);
});

const openssl = (() => {
  try {
    return execFileSync('openssl', ['version'], { encoding: 'utf8' });
  } catch {
    return undefined;
  }
})();

describe.skipIf(openssl === undefined)('over TLS (needs openssl to make certificates)', () => {
  let tls: { key: string; cert: string };
  let other: { key: string; cert: string };

  function certificate(name: string): { key: string; cert: string } {
    const [key, cert] = [join(folder, `${name}.key`), join(folder, `${name}.crt`)];
    const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', key];
    const subject = ['-subj', `/CN=${name}`, '-addext', 'subjectAltName=IP:127.0.0.1'];
    execFileSync('openssl', ['req', '-x509', ...curve, '-out', cert, '-days', '2', ...subject], {
      stdio: 'ignore',
    });
    return { key: readFileSync(key, 'utf8'), cert: readFileSync(cert, 'utf8') };
  }
  /** A kubeconfig with the server's own certificate as its authority. */
  function kubeconfig(
    server: FakeApiServer,
    user: Record<string, unknown>,
    cluster: Record<string, unknown> = {},
  ) {
    const config = JSON.parse(server.kubeconfig(user));
    const authority = { 'certificate-authority-data': Buffer.from(tls.cert).toString('base64') };
    config.clusters[0].cluster = { ...config.clusters[0].cluster, ...authority, ...cluster };
    return write('config', JSON.stringify(config));
  }

  beforeAll(() => {
    tls = certificate('server');
    other = certificate('other');
  });

  it('sends a token', async () => {
    const server = await serve({ tls, token: 'secret' });
    const api = await connectKubernetes({
      kubeconfig: kubeconfig(server, { token: 'secret' }),
      environment: {},
    });
    expect((await api.list(pods, {}, never)).items).toEqual([]);
  });

  it('trusts no other server, whatever it says, and sends it nothing', async () => {
    const server = await serve({ tls: other, token: 'secret' });
    const api = await connectKubernetes({
      kubeconfig: kubeconfig(server, { token: 'secret' }),
      environment: {},
    });
    expect(await reasonOf(api.list(pods, {}, never))).toBe('unreachable');
    expect(server.requests).toEqual([]);
  });

  it('checks the name that the kubeconfig gives for the certificate, and checks nothing when told so', async () => {
    const server = await serve({ tls });
    const named = kubeconfig(server, {}, { 'tls-server-name': 'elsewhere' });
    const api = await connectKubernetes({ kubeconfig: named, environment: {} });
    expect(await reasonOf(api.list(pods, {}, never))).toBe('unreachable');
    const insecure = { 'insecure-skip-tls-verify': true, 'certificate-authority-data': undefined };
    const careless = await connectKubernetes({
      kubeconfig: kubeconfig(await serve({ tls: other }), {}, insecure),
      environment: {},
    });
    expect((await careless.list(pods, {}, never)).items).toEqual([]);
  });

  it('shows a client certificate', async () => {
    let shown: string | string[] | undefined;
    const server = await serve({ tls: { ...tls, requestCert: true, rejectUnauthorized: false } });
    server.onTlsSocket((socket: TLSSocket) => {
      shown = socket.getPeerCertificate().subject?.CN;
    });
    const user = {
      'client-certificate-data': Buffer.from(other.cert).toString('base64'),
      'client-key': join(folder, 'other.key'),
    };
    const api = await connectKubernetes({ kubeconfig: kubeconfig(server, user), environment: {} });
    await api.list(pods, {}, never);
    expect(shown).toBe('other');
  });

  it('sends a name and password', async () => {
    const server = await serve({ tls });
    const api = await connectKubernetes({
      kubeconfig: kubeconfig(server, { username: 'ann', password: 'pw' }),
      environment: {},
    });
    await api.list(pods, {}, never);
    expect(server.requests[0]?.headers.authorization).toBe(
      `Basic ${Buffer.from('ann:pw').toString('base64')}`,
    );
  });

  it('asks an exec plugin once a minute, and anew after a 401', async () => {
    const clock = fixedClock();
    const server = await serve({ tls, token: 'plugin-1' });
    const count = write('count', '');
    const command = write(
      'get-token',
      `#!/bin/sh
printf x >> '${count}'
n=$(wc -c < '${count}')
case "$KUBERNETES_EXEC_INFO" in *ExecCredential*) ;; *) exit 3;; esac
echo '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"plugin-'$n'"}}'
`,
    );
    chmodSync(command, 0o755);
    const exec = { apiVersion: 'client.authentication.k8s.io/v1', command, interactiveMode: 'Never' };
    const api = await connectKubernetes({ kubeconfig: kubeconfig(server, { exec }), environment: {}, clock });
    await api.list(pods, {}, never);
    clock.advance(59_000);
    await api.list(pods, {}, never);
    expect(readFileSync(count, 'utf8')).toBe('x');
    server.setToken('plugin-2');
    await api.list(pods, {}, never);
    expect(readFileSync(count, 'utf8')).toBe('xx');
  });

  it('says when the exec plugin fails or is not there', async () => {
    const server = await serve({ tls });
    for (const command of ['/bin/false', join(folder, 'missing')]) {
      const exec = { apiVersion: 'client.authentication.k8s.io/v1', command };
      const api = await connectKubernetes({ kubeconfig: kubeconfig(server, { exec }), environment: {} });
      expect(await reasonOf(api.list(pods, {}, never))).toBe('configuration');
    }
    expect(server.requests).toEqual([]);
  });

  it('does not wait for an exec plugin that hangs', async () => {
    const clock = fixedClock();
    const server = await serve({ tls });
    const exec = { apiVersion: 'client.authentication.k8s.io/v1', command: 'sleep', args: ['2'] };
    const api = await connectKubernetes({ kubeconfig: kubeconfig(server, { exec }), environment: {}, clock });
    const ask = reasonOf(api.list(pods, {}, never));
    await new Promise((resolve) => setImmediate(resolve));
    clock.advance(15_000);
    expect(await ask).toBe('timeout');
  });

  it('never shows the credentials of one cluster to another', async () => {
    const server = await serve({ tls, token: 'first' });
    const second = await serve({ tls, token: 'second' });
    const path = kubeconfig(server, { token: 'first' });
    const api = await connectKubernetes({ kubeconfig: path, environment: {} });
    server.setToken('changed');
    kubeconfig(second, { token: 'second' });
    expect(await reasonOf(api.list(pods, {}, never))).toBe('configuration');
    const sent = server.requests.map(({ headers }) => headers.authorization);
    expect(sent).toEqual(['Bearer first']);
  });

  it('in a pod uses the service account, and its token as it rotates', async () => {
    const server = await serve({ tls, token: 'pod-1' });
    const { hostname, port } = new URL(server.url);
    write('sa/token', 'pod-1\n');
    write('sa/ca.crt', tls.cert);
    write('sa/namespace', 'gpu-agents');
    const api = await connectKubernetes({
      environment: { KUBERNETES_SERVICE_HOST: hostname, KUBERNETES_SERVICE_PORT: port },
      serviceAccountDirectory: join(folder, 'sa'),
    });
    expect(api.namespace).toBe('gpu-agents');
    await api.list(pods, {}, never);
    server.setToken('pod-2');
    write('sa/token', 'pod-2\n');
    await api.list(pods, {}, never);
    expect(server.requests.map(({ headers }) => headers.authorization)).toEqual([
      'Bearer pod-1',
      'Bearer pod-1',
      'Bearer pod-2',
    ]);
  });
});
