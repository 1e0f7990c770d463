import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openCluster } from './cluster-access.ts';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'cluster-access-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

test.each([
  ['0.0.0.0', undefined],
  ['127.0.0.1', 'Bearer a-secret'],
])('over plain HTTP no credentials leave this machine: %s', async (host, sent) => {
  const seen: (string | undefined)[] = [];
  const server = createServer((request, response) => {
    seen.push(request.headers.authorization);
    response.end('{"items":[]}');
  }).listen(0);
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' ? address?.port : 0;
  const kubeconfig = join(folder, 'kubeconfig');
  const config = {
    'current-context': 'c',
    clusters: [
      { name: 'c', cluster: { server: `http://${host}:${port}`, 'insecure-skip-tls-verify': true } },
    ],
    users: [{ name: 'u', user: { token: 'a-secret' } }],
    contexts: [{ name: 'c', context: { cluster: 'c', user: 'u' } }],
  };
  writeFileSync(kubeconfig, JSON.stringify(config));
  const cluster = openCluster({ kubeconfig, context: undefined });
  await cluster.get('/api/v1/pods', new AbortController().signal);
  expect(seen).toEqual([sent]);
  server.close();
});
