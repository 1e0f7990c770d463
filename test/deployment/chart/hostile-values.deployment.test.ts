// Values and clusters that would give more away than the chart promises. Kubernetes has no opinion on them; the chart must have one.
import { describe, expect, it } from 'vitest';
import { skipReason } from '../tools/tools.ts';
import { clusterWith } from './cluster-with.ts';
import { HelmError, helmVersions, namespace, render, type Values } from './helm.ts';
import { containersOf, podTemplatesOf } from './kubernetes-objects.ts';

const inOneSecret = {
  mode: 'operator',
  'auth.gateway': { existingSecret: 'tokens', key: 'reader' },
  'auth.operator': { existingSecret: 'tokens', key: 'operator' },
};
const recorder = (hostPath: string): Values => ({
  'recorder.enabled': true,
  'recorder.storage': 'hostPath',
  'recorder.hostPath': hostPath,
});
const podResources = (directory: string): Values => ({
  'podResources.enabled': true,
  'podResources.directory': directory,
});
const reset = (driverRoot: string): Values => ({
  mode: 'operator',
  'operator.reset.enabled': true,
  'operator.reset.driverRoot': driverRoot,
});
const owners = (apiGroup: string, ...resources: readonly string[]): Values => ({
  'rbac.customOwners': [{ apiGroup, resources }],
});

describe.each(helmVersions)('values that %s must refuse', (helm) => {
  const isMissing = skipReason(helm) !== undefined;
  const refusal = async (values: Values) => {
    try {
      await render({ helm, values });
      return 'nothing is refused';
    } catch (error) {
      if (error instanceof HelmError) return error.message;
      throw error;
    }
  };

  const refused: readonly (readonly [string, Values, RegExp])[] = [
    // RBAC grants whole Secrets: https://kubernetes.io/docs/reference/access-authn-authz/rbac/#referring-to-resources
    [
      "the operators' token in the Secret that clients may read",
      inOneSecret,
      /auth\.gateway and auth\.operator are in one Secret \(tokens\).*rbac\.client\.create=false/,
    ],
    [
      "the gateway's key in that Secret",
      { 'auth.gateway.existingSecret': 'both', 'tls.gateway.secretName': 'both' },
      /auth\.gateway and tls\.gateway are in one Secret \(both\)/,
    ],
    [
      "the gateway's account for the agents",
      { 'agent.serviceAccount.name': 'one', 'gateway.serviceAccount.name': 'one' },
      /agent\.serviceAccount\.name and gateway\.serviceAccount\.name are the same/,
    ],
    // Secrets are in the core group, which "*" includes.
    ['owners of every kind', owners('*', '*'), /customOwners/],
    ['owners of every kind of a group', owners('kubeflow.org', '*'), /customOwners/],
    ['owners of every group', owners('*', 'secrets'), /customOwners/],
    ['owners of the core group', owners('', 'secrets'), /customOwners/],
    ['a subresource as owner', owners('apps', 'deployments/scale'), /customOwners/],
    ...['/', '//', '/.', '/etc', '/var/lib/../..', '/pod-resources/..', '/etc/pod-resources/x'].map(
      (path): [string, Values, RegExp] => [`pod resources at ${path}`, podResources(path), /directory/],
    ),
    ...[
      '/',
      '//',
      '/./',
      '/var',
      '/etc',
      '/etc/cron.d',
      '/tmp/records',
      '/proc/1',
      '/data/../etc',
      '/var/lib/kubelet/pods',
    ].map((path): [string, Values, RegExp] => [`the record in ${path}`, recorder(path), /hostPath/]),
    ...['//', '/.', '/../', '/run/..', '/usr/'].map((path): [string, Values, RegExp] => [
      `the driver at ${path}`,
      reset(path),
      /driverRoot/,
    ]),
  ];
  it.skipIf(isMissing).concurrent.each(refused)('%s', async (_name, values, words) => {
    expect(await refusal(values)).toMatch(words);
  });

  const accepted: readonly (readonly [string, Values])[] = [
    ['one Secret where no Role reads it', { ...inOneSecret, 'rbac.client.create': false }],
    ['a custom owner', owners('batch.volcano.sh', 'jobs')],
    ['pod resources of another kubelet', podResources('/var/lib/k0s/kubelet/pod-resources')],
    ['the record on a disk of its own', recorder('/data')],
    ['the record on a data disk', recorder('/mnt/data/gpu-records')],
    ['the driver of the GPU Operator', reset('/run/nvidia/driver')],
  ];
  it.skipIf(isMissing).concurrent.each(accepted)('but not %s', async (_name, values) => {
    expect(await refusal(values)).toBe('nothing is refused');
  });
});

const missing = skipReason('helm-3');

describe.skipIf(missing !== undefined)('what the chart gives away', () => {
  // "void": as if the container had nothing to do with GPUs. The NVIDIA Container Toolkit's documentation, "GPU Enumeration".
  it.each([
    ['gateway and test pod', {}, ['gateway', 'inventory']],
    ['agents with simulated GPUs', { 'gpu.mock.enabled': true }, ['agent', 'gateway', 'inventory']],
  ])('no GPU to %s, where the default runtime is NVIDIA’s', async (_name, values, expected) => {
    const without = podTemplatesOf(await render({ values }))
      .flatMap(({ spec }) => containersOf(spec))
      .filter(({ container }) =>
        container.env?.some(({ name, value }) => name === 'NVIDIA_VISIBLE_DEVICES' && value === 'void'),
      )
      .map(({ container }) => container.name);
    expect(without.sort()).toEqual(expected);
  });

  const name = 'gpu-k8s-gpu-mcp-server-gateway-token';
  const tokenAfter = (token: string) => {
    const data = { token: Buffer.from(token).toString('base64') };
    const kept = { apiVersion: 'v1', kind: 'Secret', metadata: { name, namespace }, type: 'Opaque', data };
    return clusterWith(
      [{ apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } }, kept],
      async (kubeconfig) => {
        const objects = await render({ kubeconfig });
        const secret = objects.find((one) => one.kind === 'Secret' && one.metadata.name === name);
        const made = (secret?.['data'] ?? {}) as Readonly<Record<string, string>>;
        return Buffer.from(made['token'] ?? '', 'base64').toString();
      },
    );
  };
  it('keeps a token, and does not keep an empty one, which would let nobody in for ever', async () => {
    expect(await tokenAfter('kept')).toBe('kept');
    for (const empty of ['', ' \n']) expect(await tokenAfter(empty)).toMatch(/^[A-Za-z0-9]{48}$/);
  });
});
