import { execFileSync } from 'node:child_process';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type FakeApiServer, type FakeService, startFakeApiServer } from './fake-api-server.ts';
import {
  freePort,
  initialize,
  initialized,
  kubeconfigOf,
  type Message,
  modern,
  type Running,
  request,
  startBridge,
  startGateway,
  stop,
  toolCall,
} from './run-bridge.ts';

const name = { 'app.kubernetes.io/name': 'k8s-gpu-mcp-server' };
const gatewayLabels = { ...name, 'app.kubernetes.io/component': 'gateway' };
const secretLabels = { ...name, 'app.kubernetes.io/component': 'gateway-token' };
const token = 'a-token-for-this-test-only';

let folder: string;
let guardedPort: number;
let securePort: number;
let cluster: FakeApiServer;
let servers: Running[] = [];
let running: Running[] = [];
const at = (file: string) => join(folder, file);

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bridge-credentials-'));
  await writeFile(at('token'), token);
  const openssl = (...args: readonly string[]) =>
    execFileSync('openssl', args, { stdio: 'pipe', cwd: folder });
  const certificate = (file: string, subject: string, names: string) =>
    openssl(
      ...[
        'req',
        '-x509',
        '-newkey',
        'ec',
        '-pkeyopt',
        'ec_paramgen_curve:prime256v1',
        '-nodes',
        '-days',
        '2',
      ],
      ...['-subj', `/CN=${subject}`, '-addext', `subjectAltName=${names}`],
      ...['-keyout', `${file}.key`, '-out', `${file}.pem`],
    );
  certificate('gateway', 'gateway', 'DNS:gateway.gpu.svc,IP:127.0.0.1');
  certificate('stranger', 'stranger', 'DNS:stranger.example');
  [guardedPort, securePort] = await Promise.all([freePort(), freePort()]);
  servers = await Promise.all([
    startGateway(guardedPort, '--auth-token-file', at('token')),
    startGateway(securePort, '--tls-cert', at('gateway.pem'), '--tls-key', at('gateway.key')),
  ]);
});
afterAll(async () => {
  await Promise.all(servers.map((each) => stop(each)));
  await rm(folder, { recursive: true });
});
beforeEach(async () => {
  cluster = await startFakeApiServer();
});
afterEach(async () => {
  await Promise.all(running.map((each) => stop(each)));
  running = [];
  await cluster.close();
});

function addGateway(localPort: number, more: Partial<FakeService> = {}): void {
  cluster.services.push({
    namespace: 'gpu',
    name: 'gateway',
    labels: gatewayLabels,
    selector: gatewayLabels,
    ...more,
  });
  cluster.pods.push({ namespace: 'gpu', name: 'gateway-0', labels: gatewayLabels, localPort, isReady: true });
}
const addSecret = (secretName: string, data: Record<string, string>) =>
  cluster.secrets.push({ namespace: 'gpu', name: secretName, labels: secretLabels, data });

async function bridge(args: readonly string[] = [], user?: Message, server = cluster.url): Promise<Running> {
  const kubeconfig = at(`config-${new URL(cluster.url).port}`);
  await writeFile(kubeconfig, kubeconfigOf(server, user));
  const started = startBridge(args, { KUBECONFIG: kubeconfig });
  running.push(started);
  return started;
}
const messageOf = async (host: Running, id = 1) =>
  ((await host.answerTo(id))['error'] as { message: string }).message;
const discover = async (...given: Parameters<typeof bridge>) => {
  const host = await bridge(...given);
  host.send(modern(1, 'server/discover'));
  return host;
};
async function end(host: Running): Promise<string> {
  host.child.stdin.end();
  const { code, stdout, stderr } = await host.exited;
  expect(code).toBe(0);
  return stdout + stderr;
}
const secretsAsked = () => cluster.requests.filter((each) => each.includes('/secrets'));

describe("the token of the release's Secret", () => {
  it.each([
    ['named by the Service', { 'k8s-gpu-mcp/token-secret': 'mcp' }, 'mcp', 'token', '/secrets/mcp'],
    ['with its key', { 'k8s-gpu-mcp/token-secret': 'mcp/other' }, 'mcp', 'other', '/secrets/mcp'],
    ['found by its labels', {}, 'any', 'token', '/secrets'],
  ])('%s', async (_name, annotations, secret, key, path) => {
    addGateway(guardedPort, { annotations });
    addSecret(secret, { [key]: `${token}\n` });
    const host = await discover(['--log-level', 'debug']);
    expect(await host.answerTo(1)).toHaveProperty('result.supportedVersions');
    host.send(initialize(2));
    expect(await host.answerTo(2)).toHaveProperty('result.serverInfo');
    expect(await end(host)).not.toContain(token);
    expect(secretsAsked()).toEqual([`GET /api/v1/namespaces/gpu${path}`]);
  });

  it('is read again once when the gateway refuses it', async () => {
    addGateway(guardedPort, { annotations: { 'k8s-gpu-mcp/token-secret': 'mcp' } });
    const data: Record<string, string> = { token: 'rotated-away' };
    addSecret('mcp', data);
    const host = await discover();
    expect(await messageOf(host)).toContain('The gateway refused the token (HTTP 401)');
    data['token'] = token;
    host.send(modern(2, 'server/discover'));
    expect(await host.answerTo(2)).toHaveProperty('result');
    expect(secretsAsked()).toHaveLength(3);
  });

  it('may not be read: one line says what to do', async () => {
    addGateway(guardedPort, { annotations: { 'k8s-gpu-mcp/token-secret': 'mcp' } });
    cluster.refusals.set('/secrets', 403);
    expect(await messageOf(await discover())).toBe(
      'The gateway asks for a token (HTTP 401). You may not get Secret gpu/mcp: give the token with --token-file, or get the right to read that Secret.',
    );
  });

  it('is left alone where a token is given, and where the gateway asks for none', async () => {
    addGateway(guardedPort, { annotations: { 'k8s-gpu-mcp/token-secret': 'mcp' } });
    const host = await discover(['--token-file', at('token')]);
    expect(await host.answerTo(1)).toHaveProperty('result');
    expect(secretsAsked()).toEqual([]);
  });

  it('planted fault: the check for a printed token sees one', async () => {
    addGateway(guardedPort);
    addSecret('any', { token });
    const host = await discover();
    await host.answerTo(1);
    host.send(modern(token, 'server/discover'));
    await host.answerTo(token);
    expect(await end(host)).toContain(token);
  });
});

describe('a gateway with TLS', () => {
  it.each([{ name: 'https' }, { appProtocol: 'https' }])('behind a port-forward %j', async (port) => {
    addGateway(securePort, { port });
    const host = await bridge(['--gateway-ca', at('gateway.pem')]);
    host.send(initialize(1));
    expect(await host.answerTo(1)).toHaveProperty('result.serverInfo');
    host.send(initialized, toolCall(2, 'get_gpu_health'));
    expect(await host.answerTo(2)).toHaveProperty('result.structuredContent.verdict', 'ok');
    await end(host);
  });

  it('at --gateway-url with a private authority', async () => {
    const host = await discover([
      ...['--gateway-url', `https://127.0.0.1:${securePort}`, '--gateway-ca', at('gateway.pem')],
    ]);
    expect(await host.answerTo(1)).toHaveProperty('result.supportedVersions');
    await end(host);
  });

  it.each([
    ['of an unknown authority', 'stranger.pem', {}, 'is not of a known authority'],
    ['for another name', 'gateway.pem', { name: 'impostor' }, 'is for another name than impostor.gpu.svc'],
    ['and a CA file that is none', 'token', {}, 'holds no certificate in PEM'],
    ['and a CA file that is not there', 'nowhere', {}, '--gateway-ca cannot be read'],
  ])('with a certificate %s is refused', async (_name, ca, service, said) => {
    addGateway(securePort, { port: { name: 'https' }, ...service });
    expect(await messageOf(await discover(['--gateway-ca', at(ca)]))).toContain(said);
  });

  it('is told apart from one without', async () => {
    const url = `https://127.0.0.1:${guardedPort}`;
    expect(await messageOf(await discover(['--gateway-url', url]))).toContain('does not speak TLS');
  });
});

describe('credentials of the cluster', () => {
  /** An exec plugin that gives the token of a file, said to be valid for long, and counts its logins. */
  async function plugin(): Promise<Message> {
    const script = at('plugin.sh');
    await writeFile(
      script,
      `#!/bin/sh\necho login >> ${at('logins')}\ncat <<END\n{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"$(cat ${at('login')})","expirationTimestamp":"2999-01-01T00:00:00Z"}}\nEND\n`,
    );
    await chmod(script, 0o755);
    await writeFile(at('logins'), '');
    return {
      exec: { apiVersion: 'client.authentication.k8s.io/v1', command: script, interactiveMode: 'Never' },
    };
  }
  const logins = async () => (await readFile(at('logins'), 'utf8')).split('\n').length - 1;

  it('that expire are renewed by one more login, in the middle of a session', async () => {
    addGateway(securePort, { port: { name: 'https' } });
    await writeFile(at('login'), 'first');
    cluster.acceptedToken = 'first';
    const host = await bridge(['--gateway-ca', at('gateway.pem')], await plugin());
    host.send(initialize(1));
    expect(await host.answerTo(1)).toHaveProperty('result.serverInfo');
    host.send(initialized);
    expect(await logins()).toBe(1);
    await writeFile(at('login'), 'second');
    cluster.acceptedToken = 'second';
    cluster.killForwards();
    host.send(request(2, 'ping'));
    expect(await host.answerTo(2)).toHaveProperty('result');
    await end(host);
    expect(await logins()).toBeLessThanOrEqual(3);
  });

  it('that stay refused are told, and no login is tried for ever', async () => {
    addGateway(securePort);
    await writeFile(at('login'), 'wrong');
    cluster.acceptedToken = 'right';
    expect(await messageOf(await discover([], await plugin()))).toContain('log in again');
    expect(await logins()).toBe(2);
  });
});

describe('says clearly what is not there', () => {
  it.each<[string, () => Promise<[args: readonly string[], server: string]>, string]>([
    [
      'a gateway',
      async () => [['--gateway-url', `http://127.0.0.1:${await freePort()}`], cluster.url],
      'Nothing answers at',
    ],
    ['an API server', async () => [[], `http://127.0.0.1:${await freePort()}`], 'does not answer'],
    ['an API server given as http', async () => [[], `http://127.0.0.1:${securePort}`], 'https expected'],
  ])('%s', async (_name, target, said) => {
    const [args, server] = await target();
    const host = await bridge(args, undefined, server);
    host.send(initialize(1));
    expect(await messageOf(host)).toContain(said);
  });

  it('an API server given as http, with no word that this is meant', async () => {
    const kubeconfig = at('plain');
    await writeFile(
      kubeconfig,
      kubeconfigOf(cluster.url).replace(
        '"insecure-skip-tls-verify":true',
        '"insecure-skip-tls-verify":false',
      ),
    );
    const host = startBridge(['--kubeconfig', kubeconfig]);
    running.push(host);
    host.send(initialize(1));
    expect(await messageOf(host)).toContain(`is given as ${cluster.url}: https expected`);
  });
});
