import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { KubernetesObject } from './kubernetes-objects.ts';

interface Resource {
  readonly name: string;
  readonly kind: string;
  readonly namespaced: boolean;
}

const plural = (kind: string) => `${kind.toLowerCase().replace(/y$/, 'ie').replace(/s$/, 'se')}s`;
const resources = (namespaced: boolean, kinds: readonly string[]): readonly Resource[] =>
  kinds.map((kind) => ({ name: plural(kind), kind, namespaced }));

/** Discovery: what the templates look up, and what they make. */
const discovery: Readonly<Record<string, readonly Resource[]>> = {
  '/api/v1': [
    ...resources(false, ['Namespace', 'Node']),
    ...resources(true, ['ConfigMap', 'Pod', 'Secret', 'Service', 'ServiceAccount']),
  ],
  '/apis/apps/v1': resources(true, ['DaemonSet', 'Deployment']),
  '/apis/networking.k8s.io/v1': resources(true, ['NetworkPolicy']),
  '/apis/node.k8s.io/v1': resources(false, ['RuntimeClass']),
  '/apis/policy/v1': resources(true, ['PodDisruptionBudget']),
  '/apis/rbac.authorization.k8s.io/v1': [
    ...resources(false, ['ClusterRole', 'ClusterRoleBinding']),
    ...resources(true, ['Role', 'RoleBinding']),
  ],
  '/apis/resource.k8s.io/v1': resources(true, ['ResourceClaimTemplate']),
};
const groups = Object.keys(discovery).flatMap((path) => {
  const [, name, version] = /^\/apis\/(.+)\/(.+)$/.exec(path) ?? [];
  const preferredVersion = { groupVersion: `${name}/${version}`, version };
  return name === undefined ? [] : [{ name, versions: [preferredVersion], preferredVersion }];
});

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
  if (path === '/apis') return [200, { kind: 'APIGroupList', apiVersion: 'v1', groups }];
  const served = discovery[path];
  if (served !== undefined)
    return [
      200,
      {
        kind: 'APIResourceList',
        groupVersion: path.replace(/^\/apis?\//, ''),
        resources: served.map((resource) => ({ ...resource, verbs: ['get', 'list'] })),
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
