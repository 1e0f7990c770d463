import { describe, expect, it } from 'vitest';
import { tellMissing } from '../missing.ts';
import type { User } from '../stand-in-cluster/access.ts';
import { noCertificates } from '../stand-in-cluster/certificate.ts';
import type { KubernetesObject as ClusterObject } from '../stand-in-cluster/json.ts';
import { skipReason } from '../tools/tools.ts';
import { clusterWith, namespaceOwner } from './cluster-with.ts';
import { type Helm, HelmError, helmVersions, namespace, type RenderOptions, render } from './helm.ts';
import { type KubernetesObject, type Labels, podTemplatesOf } from './kubernetes-objects.ts';
import { podSecurityViolations } from './pod-security.ts';
import { privileges } from './privileges.ts';
import { choices } from './value-choices.ts';

const missingFor = (helm: Helm) => skipReason(helm) ?? noCertificates;
const isMissing = missingFor('helm-3') !== undefined;
tellMissing(...helmVersions.map(missingFor));

const namespaceWith = (labels: Labels): ClusterObject => ({
  apiVersion: 'v1',
  kind: 'Namespace',
  metadata: { name: namespace, labels },
});
const enforcing = (profile: string) => namespaceWith({ 'pod-security.kubernetes.io/enforce': profile });
function tokenOf(objects: readonly KubernetesObject[], name: string): string | undefined {
  const secret = objects.find(({ kind, metadata }) => kind === 'Secret' && metadata.name === name);
  return (secret?.['data'] as { token?: string } | undefined)?.token;
}

async function refusal(objects: readonly ClusterObject[], options: RenderOptions, user?: User) {
  try {
    await clusterWith(objects, (kubeconfig) => render({ ...options, kubeconfig }), user);
    return 'nothing is refused';
  } catch (error) {
    if (error instanceof HelmError) return error.message;
    throw error;
  }
}

describe.each(helmVersions)('an upgrade under %s', (helm) => {
  it.skipIf(missingFor(helm) !== undefined)(
    'keeps the tokens that are there and makes those that are not',
    async () => {
      const name = 'gpu-k8s-gpu-mcp-server-agent-token';
      // As helm marks what is its own.
      const kept: ClusterObject = {
        apiVersion: 'v1',
        kind: 'Secret',
        metadata: {
          name,
          namespace,
          labels: { 'app.kubernetes.io/managed-by': 'Helm' },
          annotations: { 'meta.helm.sh/release-name': 'gpu', 'meta.helm.sh/release-namespace': namespace },
        },
        data: { token: 'a2VwdA==' },
      };
      await clusterWith([namespaceWith({}), kept], async (kubeconfig) => {
        const objects = await render({ helm, kubeconfig });
        expect(tokenOf(objects, name)).toBe('a2VwdA==');
        expect(tokenOf(objects, 'gpu-k8s-gpu-mcp-server-gateway-token')).toMatch(/^[A-Za-z0-9+/=]{43,}$/);
      });
    },
  );
});

describe.skipIf(isMissing)('a namespace that enforces PodSecurity', () => {
  const rows = privileges.flatMap((row) =>
    (['baseline', 'restricted'] as const).map((profile) => ({ ...row, profile })),
  );

  it.concurrent.each(rows)(
    '$profile with $choice: refused where Kubernetes would, else not',
    async ({ values, profile }) => {
      const agent = podTemplatesOf(await render({ values })).find(({ owner }) => owner.kind === 'DaemonSet');
      if (agent === undefined) throw new Error('no DaemonSet is rendered');
      const admin = {
        'resource.kubernetes.io/admin-access': 'true',
        'pod-security.kubernetes.io/enforce': profile,
      };
      const message = await refusal([namespaceWith(admin)], { values });
      if (podSecurityViolations(agent, profile).length === 0) expect(message).toBe('nothing is refused');
      else
        expect(message).toMatch(
          new RegExp(`${namespace} admits pods of the PodSecurity profile ${profile} only.*kubectl label`),
        );
    },
  );

  it('privileged is one that everything may run in', async () => {
    expect(await refusal([enforcing('privileged')], { values: choices['operator that does both'] })).toBe(
      'nothing is refused',
    );
  });

  it('that does not exist yet refuses nothing', async () => {
    expect(await refusal([], {})).toBe('nothing is refused');
  });

  it('that a person without rights outside of it may not look at refuses nothing', async () => {
    const values = choices['rights in the namespace'];
    expect(await refusal([enforcing('privileged')], { values }, namespaceOwner)).toBe('nothing is refused');
  });
});

describe.skipIf(isMissing)('claims of every GPU', () => {
  it('need the label on the namespace', async () => {
    const values = choices.DRA;
    expect(await refusal([namespaceWith({})], { values })).toMatch(
      /kubectl label namespace gpu-diagnostics resource\.kubernetes\.io\/admin-access=true/,
    );
    expect(
      await refusal([namespaceWith({ 'resource.kubernetes.io/admin-access': 'true' })], { values }),
    ).toBe('nothing is refused');
    expect(await refusal([namespaceWith({})], {})).toBe('nothing is refused');
  });
});
