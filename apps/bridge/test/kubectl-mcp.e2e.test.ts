import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer as createHttpServer, type Server as HttpServer } from 'node:http';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startFailedJobCluster } from '../../gateway/test/failed-job-cluster.ts';
import { openedByFile } from '../../gateway/test/opened-by-file.ts';
import type { RunningProgram } from '../../gateway/test/run-program.ts';
import { type FakeApiServer, type FakeService, startFakeApiServer } from './fake-api-server.ts';
import { kubectlMcp, startKubectlMcp } from './run-kubectl-mcp.ts';

const { closing, start } = openedByFile();

const agentOf = (scenario: string, node: string) =>
  start('agent', ['--backend', 'mock', '--scenario', scenario, '--node-name', node]);

async function urlOf(server: Server | HttpServer): Promise<string> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  closing.push(() => server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const sockets: Socket[] = [];
const silentServer = () => urlOf(createServer((socket) => void sockets.push(socket.on('error', () => {}))));
afterAll(() => {
  for (const socket of sockets) socket.destroy();
});

describe('kubectl mcp over a gateway with three agents', () => {
  let gateway: RunningProgram;
  let wellOrigin: string;
  const ask = (...args: string[]) => kubectlMcp(['--gateway-url', gateway.origin, ...args]);
  beforeAll(async () => {
    const [well, lost, mixed] = await Promise.all([
      agentOf('healthy-8xh100', 'node-well'),
      agentOf('fallen-off-bus', 'node-lost'),
      agentOf('mixed-faults', 'node-mixed'),
    ]);
    wellOrigin = well.origin;
    const agents = { 'node-well': well, 'node-lost': lost, 'node-mixed': mixed };
    const list = Object.entries(agents).map(([name, { origin }]) => `${name}=${origin}`);
    gateway = await start('gateway', ['--agents', list.join(','), '--deadline', '8s']);
  });

  it.each([
    ['health', /^node-lost +CRITICAL +8 +0 +reboot-node/m],
    ['inventory', /^node-well +- +8 +\S+ +8 x NVIDIA H100/m],
    ['xid', /^CRITICAL +Xid 79 \(GPU has fallen off the bus\)/m],
    ['top', /^node-well +- +8 +\d+ +\d+ % +\d+ % +\d+ of \d+ GiB +\d+ W +\d+ C +python3/m],
  ])('%s lists every node, and ends with the exit code of the worst', async (command, row) => {
    const { code, stdout, stderr } = await ask(command);
    // Only health judges; what the others read of a node is no verdict on it.
    expect(stdout).toMatch(command === 'health' ? /^3 nodes: 2 CRITICAL, 1 OK/ : /^3 nodes: 2 CRITICAL {2}/);
    expect(stdout).toMatch(row);
    for (const node of ['node-well', 'node-lost', 'node-mixed'])
      expect(stdout).toMatch(new RegExp(`^${node} `, 'm'));
    expect({ code, stderr }).toEqual({ code: 2, stderr: '' });
  });

  it.each([
    [['health', 'node-well'], 0, /^node-well {2}OK/],
    [['health', 'node-lost'], 2, /^ *3 +CRITICAL +0 +lost +reboot-node/m],
    [['inventory', 'node-well'], 0, /NVIDIA H100/],
    [['xid', 'node-lost', '--since', '24h'], 2, /Xid 79 GPU has fallen off the bus {2}GPU 3/],
    [['top', 'node-well'], 0, /train\.py/],
    [['diagnose', 'node-lost'], 2, /^CRITICAL {2}GPU 3 {2}not your code: hardware/],
    [['diagnose', 'node-well'], 0, /^OK {2}nothing wrong is seen/],
    [['health', 'node-well', 'node-mixed'], 2, /^2 nodes: /],
  ] as const)('%j', async (args, code, words) => {
    const outcome = await ask(...args);
    expect(outcome.stdout).toMatch(words);
    expect(outcome.code).toBe(code);
  });

  it('--json is the structured answer and nothing else', async () => {
    const { code, stdout } = await ask('health', '--json');
    expect(JSON.parse(stdout)).toMatchObject({
      apiVersion: 'v1',
      scope: 'cluster',
      verdict: 'critical',
      nodeCount: 3,
    });
    expect(code).toBe(2);
  });

  it('--any-verdict is 0 whatever the nodes say, and not when none of them answers', async () => {
    expect((await ask('inventory', '--any-verdict')).code).toBe(0);
    expect((await ask('health', 'node-lost', '--any-verdict')).code).toBe(0);
    const gateway = await start('gateway', ['--agents', 'gone=http://127.0.0.1:9']);
    const { code } = await kubectlMcp(['inventory', '--any-verdict', '--gateway-url', gateway.origin]);
    expect(code).toBe(3);
  });

  it('--limit lists fewer, worst first, and says how many are left', async () => {
    const { stdout } = await ask('health', '--limit', '1');
    expect(stdout).toMatch(/^node-(?:lost|mixed) +CRITICAL/m);
    expect(stdout).not.toMatch(/^node-well /m);
    expect(stdout).toContain('and 2 more nodes');
  });

  it('--progress tells on stderr how many nodes have answered; stdout stays as it is', async () => {
    const { stdout, stderr } = await ask('health', '--progress');
    expect(stderr).toContain('3/3 nodes answered\n');
    expect(stdout).toMatch(/^3 nodes: /);
    expect(stdout).not.toContain('answered\n3');
  });

  it.each([
    [['health', 'node-wel'], 'node-well'],
    [['diagnose', 'pod/'], 'pod/'],
    [['helth'], 'helth'],
    [['top', '--limit', 'x'], '--limit'],
  ])('%j is a usage error in one line', async (args, words) => {
    const { code, stdout, stderr } = await ask(...args);
    expect({ code, stdout }).toEqual({ code: 64, stdout: '' });
    expect(stderr).toContain(words);
    expect(stderr.trim().split('\n')).toHaveLength(1);
  });

  it('will not take an agent for the gateway', async () => {
    const { code, stderr } = await kubectlMcp(['health', '--gateway-url', wellOrigin]);
    expect(code).toBe(3);
    expect(stderr).toContain('not the gateway');
  });
});

describe('kubectl mcp with a cluster that is unwell', () => {
  it('Ctrl-C ends it at once with 130, and the deadline with 3', async () => {
    const silent = await silentServer();
    const gateway = await start('gateway', ['--agents', `a=${silent}`, '--deadline', '40s']);
    const running = startKubectlMcp(['health', '--gateway-url', gateway.origin]);
    const untilActive = async (count: number) => {
      const line = `mcp_active_requests{tool="get_gpu_health"} ${count}\n`;
      while (!(await (await fetch(`${gateway.origin}/metrics`)).text()).includes(line));
    };
    await untilActive(1);
    const interruptedAt = performance.now();
    running.child.kill('SIGINT');
    expect(await running.exited).toMatchObject({ code: 130, stdout: '' });
    // Long before its own deadline the gateway has nothing left to do, so it was told.
    await untilActive(0);
    expect(performance.now() - interruptedAt).toBeLessThan(25_000);
    const late = await kubectlMcp(['health', '--gateway-url', silent, '--deadline', '1s']);
    expect(late).toMatchObject({ code: 3, stdout: '' });
    expect(late.stderr).toContain('No answer within 1 s');
  });

  it('what a hostile agent says is quoted and harmless', async () => {
    const said = '\u001b]0;pwned\u0007\u001b[2J\u009b31m\u202egone';
    const hostile = await urlOf(
      createHttpServer((request, response) => {
        let text = '';
        request.on('data', (chunk) => {
          text += chunk;
        });
        request.on('end', () => {
          response.setHeader('content-type', 'application/json');
          const message: unknown = text === '' ? {} : JSON.parse(text);
          const id = typeof message === 'object' && message !== null && 'id' in message ? message.id : null;
          response.end(JSON.stringify({ jsonrpc: '2.0', id, error: { code: -32_603, message: said } }));
        });
      }),
    );
    const well = await agentOf('healthy-8xh100', 'node-well');
    const gateway = await start('gateway', ['--agents', `node-bad=${hostile},node-well=${well.origin}`]);
    for (const command of ['health', 'top'] as const) {
      const { code, stdout } = await kubectlMcp([command, '--gateway-url', gateway.origin]);
      expect(stdout).toMatch(/^node-bad +UNKNOWN/m);
      expect(stdout).toMatch(command === 'health' ? /^node-well +OK/m : /^node-well +-/m);
      expect(stdout).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/);
      expect(code).toBe(3);
    }
    // The check would see it, had it come through.
    expect(said).toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/);
  });

  it('an agent that dies turns ok into unknown', async () => {
    const agent = await agentOf('healthy-8xh100', 'node-well');
    const gateway = await start('gateway', ['--agents', `node-well=${agent.origin}`]);
    const ask = () => kubectlMcp(['health', 'all', '--gateway-url', gateway.origin]);
    expect(await ask()).toMatchObject({ code: 0 });
    await agent.stop('SIGKILL');
    expect(await ask()).toMatchObject({ code: 3, stdout: expect.stringMatching(/^node-well +UNKNOWN/m) });
  });

  it('no gateway, no kubeconfig, no token: one sentence each', async () => {
    const closed = createServer();
    const nobody = await urlOf(closed);
    closed.close();
    const locked = await urlOf(
      createHttpServer((_request, response) => {
        response.statusCode = 401;
        response.end();
      }),
    );
    for (const [args, words] of [
      [['--gateway-url', nobody], 'Nothing answers at'],
      [['--gateway-url', locked], '--token-file'],
      [['--kubeconfig', '/does/not/exist'], 'kubeconfig cannot be read'],
      [['--kubeconfig', '/dev/null'], 'kubeconfig cannot be read: it is empty, or no kubeconfig'],
      [['--gateway-url', nobody, '--token-file', '/does/not/exist'], 'token cannot be read'],
    ] as const) {
      const { code, stdout, stderr } = await kubectlMcp(['health', ...args]);
      expect({ code, stdout }).toEqual({ code: 3, stdout: '' });
      expect(stderr).toContain(words);
      expect(stderr.trim().split('\n')).toHaveLength(1);
    }
  });

  it('help needs no cluster', async () => {
    const { code, stdout } = await kubectlMcp(['diagnose', '--help']);
    expect(code).toBe(0);
    expect(stdout).toContain('--gateway-url');
  });
});

describe('kubectl mcp over a cluster in which a job failed', () => {
  let origin: string;
  beforeAll(async () => {
    const cluster = await startFailedJobCluster((end) => closing.push(end));
    origin = cluster.gateway.origin;
  });
  const diagnose = (...args: string[]) => kubectlMcp(['diagnose', ...args, '--gateway-url', origin]);

  it('diagnose pod: the hardware is named, with its GPU, its node and one action', async () => {
    const { code, stdout, stderr } = await diagnose('pod/train-0', '-n', 'ml');
    expect({ code, stderr }).toEqual({ code: 2, stderr: '' });
    expect(stdout).toMatch(/^CRITICAL {2}GPU 3 {2}not your code: hardware \(GPU off its bus\)/);
    expect(stdout).toMatch(/^pod ml\/train-0 of Job train {2}gpu-1 /m);
    expect(stdout).toMatch(/Do now\n {2}reboot-node: /);
    expect(stdout).toMatch(/^ {2}train-0\/main on gpu-1 {2}.*exit code 1/m);
    expect(stdout).toMatch(/^gpu-1 +CRITICAL .*Xid 79/m);
  });

  it('diagnose job: the node that failed first, beside the one that is well', async () => {
    const { code, stdout } = await diagnose('job/train', '-nml');
    expect(code).toBe(2);
    expect(stdout).toMatch(/^Job ml\/train, 2 pods on 2 nodes {2}gpu-1 /m);
    expect(stdout).toMatch(/^gpu-2 /m);
  });

  it('planted fault: a pod that its own limit ended is not blamed on the hardware', async () => {
    const { stdout } = await diagnose('pod/greedy', '-n=ml');
    expect(stdout).toMatch(/your code: out of main memory/);
    expect(stdout).not.toMatch(/not your code/);
  });

  it('a pod that is not there is one line', async () => {
    const { code, stdout, stderr } = await diagnose('pod/nobody', '-n', 'ml');
    expect(stdout).toBe('');
    expect(stderr).toContain('nobody');
    expect(stderr).not.toMatch(/INVALID_INPUT|Invalid arguments|explain_failure/);
    expect(stderr.trim().split('\n')).toHaveLength(1);
    expect(code).toBe(64);
    expect(stderr).not.toContain('give -n NAMESPACE');
    const elsewhere = await diagnose('pod/train-0', '-n', 'default');
    expect(elsewhere.stderr).toContain('no pods were found there');
    const unsaid = await diagnose('pod/train-0');
    expect(unsaid).toMatchObject({ code: 64, stderr: expect.stringContaining('give -n NAMESPACE') });
  });
});

describe('kubectl mcp through the kubeconfig', () => {
  let folder: string;
  let cluster: FakeApiServer;
  const kubeconfig = () => join(folder, 'config');
  const kubeconfigOf = ({ url }: FakeApiServer) => join(folder, `config-${new URL(url).port}`);
  const named = { 'app.kubernetes.io/name': 'k8s-gpu-mcp-server' };
  const writeKubeconfig = async (path: string, server: string) => {
    const content = {
      apiVersion: 'v1',
      kind: 'Config',
      'current-context': 'test',
      clusters: [{ name: 'c', cluster: { server, 'insecure-skip-tls-verify': true } }],
      users: [{ name: 'u', user: { token: 't' } }],
      contexts: [{ name: 'test', context: { cluster: 'c', user: 'u', namespace: 'mine' } }],
    };
    await writeFile(path, JSON.stringify(content));
  };
  /** A cluster of its own, in which this gateway is the release's. */
  const releaseOf = async (
    { origin }: RunningProgram,
    more: Partial<FakeService>,
  ): Promise<FakeApiServer> => {
    const release = await startFakeApiServer();
    closing.push(() => release.close());
    const labels = { ...named, 'app.kubernetes.io/component': 'gateway' };
    const localPort = Number(new URL(origin).port);
    release.services.push({ namespace: 'gpu', name: 'gateway', labels, selector: labels, ...more });
    release.pods.push({ namespace: 'gpu', name: 'gateway-0', labels, localPort, isReady: true });
    await writeKubeconfig(kubeconfigOf(release), release.url);
    return release;
  };
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'kubectl-mcp-'));
    cluster = await startFakeApiServer();
    await writeKubeconfig(kubeconfig(), cluster.url);
  });
  afterAll(async () => {
    await cluster.close();
    await rm(folder, { recursive: true });
  });

  it('finds the gateway, asks it through a port-forward, and says what right is missing', async () => {
    const nothing = await kubectlMcp(['health', '--kubeconfig', kubeconfig()]);
    expect(nothing).toMatchObject({ code: 3, stderr: expect.stringContaining('No gateway was found') });
    const agent = await agentOf('healthy-8xh100', 'node-well');
    const gateway = await start('gateway', ['--agents', `node-well=${agent.origin}`]);
    const labels = {
      'app.kubernetes.io/name': 'k8s-gpu-mcp-server',
      'app.kubernetes.io/component': 'gateway',
    };
    const localPort = Number(new URL(gateway.origin).port);
    cluster.services.push({ namespace: 'gpu', name: 'gateway', labels, selector: labels });
    cluster.pods.push({ namespace: 'gpu', name: 'gateway-0', labels, localPort, isReady: true });
    const found = await kubectlMcp(['health', 'node-well', '--kubeconfig', kubeconfig()]);
    expect(found).toMatchObject({ code: 0, stdout: expect.stringMatching(/^node-well {2}OK/), stderr: '' });
    cluster.refusals.set('portforward', 403);
    const refused = await kubectlMcp(['health', '--kubeconfig', kubeconfig()]);
    expect(refused).toMatchObject({ code: 3, stderr: expect.stringContaining('You may not') });
  });

  it("reads the token from the release's Secret, and says why when it may not", async () => {
    const token = 'a-token-for-this-test-only';
    await writeFile(join(folder, 'token'), token);
    const agent = await agentOf('healthy-8xh100', 'node-well');
    const guarded = await start('gateway', [
      ...['--agents', `node-well=${agent.origin}`, '--auth-token-file', join(folder, 'token')],
    ]);
    const release = await releaseOf(guarded, {});
    release.secrets.push({
      namespace: 'gpu',
      name: 'mcp-token',
      labels: { ...named, 'app.kubernetes.io/component': 'gateway-token' },
      data: { token },
    });
    const ask = (...more: string[]) =>
      kubectlMcp(['health', 'node-well', '--kubeconfig', kubeconfigOf(release), ...more]);
    expect(await ask()).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^node-well {2}OK/),
      stderr: '',
    });
    // Nobody looks for one where one is given.
    release.requests.splice(0);
    expect(await ask('--token-file', join(folder, 'token'))).toMatchObject({ code: 0 });
    expect(release.requests.filter((each) => each.includes('/secrets'))).toEqual([]);
    const wrong = await ask('--token', 'wrong');
    expect(wrong).toMatchObject({ code: 3, stderr: expect.stringContaining('refused the token') });
    release.refusals.set('/secrets', 403);
    const { code, stderr } = await ask();
    expect(code).toBe(3);
    expect(stderr).toContain('You may not list Secrets in namespace "gpu": give the token with --token-file');
    expect(stderr).not.toContain(token);
    expect(stderr.trim().split('\n')).toHaveLength(1);
  });

  it('asks a gateway that serves TLS, with --gateway-ca and not without', async () => {
    const certificate = (file: string) => {
      const subject = ['-subj', '/CN=gateway', '-addext', 'subjectAltName=DNS:gateway.gpu.svc,IP:127.0.0.1'];
      const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
      const out = ['-keyout', `${file}.key`, '-out', `${file}.pem`];
      execFileSync('openssl', ['req', '-x509', ...key, ...subject, ...out], { stdio: 'pipe', cwd: folder });
      return { cert: join(folder, `${file}.pem`), key: join(folder, `${file}.key`) };
    };
    const [own, strangers] = [certificate('gateway'), certificate('stranger')];
    const agent = await agentOf('healthy-8xh100', 'node-well');
    const secure = await start('gateway', [
      ...['--agents', `node-well=${agent.origin}`, '--tls-cert', own.cert, '--tls-key', own.key],
    ]);
    const release = await releaseOf(secure, { port: { name: 'https' } });
    const ask = (...args: string[]) => kubectlMcp(['health', 'node-well', ...args]);
    const forwarded = ['--kubeconfig', kubeconfigOf(release)];
    const direct = ['--gateway-url', secure.origin.replace('http:', 'https:')];
    for (const way of [forwarded, direct]) {
      const trusted = await ask(...way, '--gateway-ca', own.cert);
      expect(trusted).toMatchObject({ code: 0, stderr: '' });
      for (const others of [[], ['--gateway-ca', strangers.cert]]) {
        const refused = await ask(...way, ...others);
        expect(refused).toMatchObject({ code: 3, stdout: '' });
        expect(refused.stderr).toContain('--gateway-ca');
      }
    }
  });

  it('warns of a token that goes to another host in plain text, and not of one that stays here', async () => {
    const ask = (url: string) =>
      kubectlMcp(['health', '--gateway-url', url, '--token', 't', '--deadline', '1s']);
    // Nothing is at .invalid. Source: RFC 2606.
    expect((await ask('http://gateway.invalid')).stderr).toContain(
      'warning: the token goes over the network',
    );
    expect((await ask('https://gateway.invalid')).stderr).not.toContain('warning');
    expect((await ask('http://127.0.0.1:1')).stderr).not.toContain('warning');
  });

  it.each([
    [['pod/train-0'], { pod: 'mine/train-0' }],
    [['pod', 'train-0', '-n', 'ml'], { pod: 'ml/train-0' }],
    [['pytorchjob/llm'], { job: 'PyTorchJob/llm', namespace: 'mine' }],
  ])('diagnose %j asks for %j, of a gateway of the older revisions too', async (operands, given) => {
    const asked: unknown[] = [];
    const origin = await urlOf(
      createHttpServer((request, response) => {
        let text = '';
        request.on('data', (chunk) => {
          text += chunk;
        });
        request.on('end', () => {
          const { id, method, params } = (text === '' ? {} : JSON.parse(text)) as {
            readonly id?: number;
            readonly method?: string;
            readonly params?: { readonly arguments?: unknown };
          };
          if (method === 'tools/call') asked.push(params?.arguments);
          const answers: Readonly<Record<string, unknown>> = {
            initialize: {
              protocolVersion: '2025-06-18',
              capabilities: { tools: {} },
              serverInfo: { name: 'old-gateway', version: '0' },
            },
            'tools/call': {
              content: [],
              structuredContent: {
                apiVersion: 'v1',
                verdict: 'warning',
                cause: 'application-fault',
                notYourCode: false,
              },
            },
          };
          const result = answers[method ?? ''];
          response.statusCode = id === undefined ? (request.method === 'POST' ? 202 : 405) : 200;
          response.setHeader('content-type', 'application/json');
          const error = { code: -32_601, message: 'Method not found' };
          response.end(
            id === undefined
              ? ''
              : JSON.stringify({ jsonrpc: '2.0', id, ...(result === undefined ? { error } : { result }) }),
          );
        });
      }),
    );
    const outcome = await kubectlMcp([
      ...['diagnose', ...operands, '--gateway-url', origin, '--kubeconfig', kubeconfig()],
    ]);
    expect(outcome).toMatchObject({
      code: 1,
      stdout: expect.stringMatching(/^WARNING {2}your code: the program/),
    });
    expect(asked).toEqual([given]);
  });
});
