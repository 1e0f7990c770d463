import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { KubernetesObject } from './kubernetes-objects.ts';

interface Resource {
  readonly name: string;
  readonly kind: string;
  readonly namespaced: boolean;
}

/** Of an API server's discovery, what the templates look up. */
const discovery: Readonly<Record<string, readonly Resource[]>> = {
  '/api/v1': [
    { name: 'namespaces', kind: 'Namespace', namespaced: false },
    { name: 'nodes', kind: 'Node', namespaced: false },
    { name: 'secrets', kind: 'Secret', namespaced: true },
  ],
  '/apis/node.k8s.io/v1': [{ name: 'runtimeclasses', kind: 'RuntimeClass', namespaced: false }],
};

const status = (code: number, reason: string) => ({
  apiVersion: 'v1',
  kind: 'Status',
  status: 'Failure',
  reason,
  code,
  message: reason,
});

function answer(
  path: string,
  objects: readonly KubernetesObject[],
  forbidden: readonly string[],
): readonly [number, object] {
  if (path === '/version') return [200, { major: '1', minor: '34', gitVersion: 'v1.34.0' }];
  if (path === '/api') return [200, { kind: 'APIVersions', versions: ['v1'] }];
  if (path === '/apis') return [200, { kind: 'APIGroupList', apiVersion: 'v1', groups: [] }];
  const resources = discovery[path];
  if (resources !== undefined)
    return [
      200,
      {
        kind: 'APIResourceList',
        groupVersion: path.replace(/^\/apis?\//, ''),
        resources: resources.map((resource) => ({ ...resource, verbs: ['get', 'list'] })),
      },
    ];
  const all = Object.values(discovery).flat();
  const [last = '', before = ''] = path.split('/').reverse();
  const list = all.find(({ name }) => name === last);
  const { kind } = list ?? all.find(({ name }) => name === before) ?? { kind: '' };
  if (forbidden.includes(kind)) return [403, status(403, 'Forbidden')];
  if (list !== undefined)
    return [
      200,
      { apiVersion: 'v1', kind: `${kind}List`, items: objects.filter((one) => one.kind === kind) },
    ];
  const found = objects.find((one) => one.kind === kind && one.metadata.name === last);
  return found === undefined ? [404, status(404, 'NotFound')] : [200, found];
}

/** Runs `use` with the URL of an API server that has these objects, for helm's `lookup`; it changes nothing. */
export async function clusterWith<T>(
  objects: readonly KubernetesObject[],
  use: (url: string) => Promise<T>,
  forbidden: readonly string[] = [],
): Promise<T> {
  const server = createServer((request, response) => {
    const [code, body] = answer(new URL(request.url ?? '/', 'http://localhost').pathname, objects, forbidden);
    response.writeHead(code, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    return await use(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
}
