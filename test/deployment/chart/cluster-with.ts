import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { administrator, type User } from '../stand-in-cluster/access.ts';
import { startApiServer } from '../stand-in-cluster/api-server.ts';
import { makeCertificate } from '../stand-in-cluster/certificate.ts';
import { ClusterState } from '../stand-in-cluster/cluster-state.ts';
import type { KubernetesObject } from '../stand-in-cluster/json.ts';
import { kubeconfig } from '../stand-in-cluster/kubeconfig.ts';
import { namespace } from './helm.ts';

/** May do everything in the namespace of the release, and nothing outside of it. */
export const namespaceOwner: User = { name: 'owner', groups: ['system:authenticated'] };

const ownership: readonly KubernetesObject[] = [
  {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'Role',
    metadata: { name: 'owner', namespace },
    rules: [{ apiGroups: ['*'], resources: ['*'], verbs: ['*'] }],
  },
  {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'RoleBinding',
    metadata: { name: 'owner', namespace },
    subjects: [{ kind: 'User', name: namespaceOwner.name }],
    roleRef: { kind: 'Role', name: 'owner' },
  },
];

const streams = {
  log: () => '',
  connect: () => {
    throw new Error('no pod runs here');
  },
};

/** Runs `use` with the kubeconfig of `user` for an API server that has these objects, for helm's `lookup`. */
export async function clusterWith<T>(
  objects: readonly KubernetesObject[],
  use: (kubeconfig: string) => Promise<T>,
  user: User = administrator,
): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'cluster-with-'));
  const certificate = makeCertificate(folder);
  const state = new ClusterState();
  const hasNamespace = objects.some(({ kind }) => kind === 'Namespace');
  for (const object of [...objects, ...(hasNamespace ? ownership : [])]) state.create(object, null);
  const server = await startApiServer({ state, certificate, userOf: () => user, streams });
  try {
    const file = join(folder, 'kubeconfig');
    const given = { server: server.url, authority: certificate.cert, token: user.name, namespace };
    writeFileSync(file, kubeconfig(given), { mode: 0o600 });
    return await use(file);
  } finally {
    await server.close();
    rmSync(folder, { recursive: true, force: true });
  }
}
