import { describe, expect, it } from 'vitest';
import { schemaProblems } from './api-schema.ts';
import type { KubernetesObject } from './kubernetes-objects.ts';

const container = {
  name: 'agent',
  image: 'example.org/agent:1',
  ports: [{ name: 'http', containerPort: 8080 }],
  resources: { requests: { cpu: '20m', memory: '160Mi' }, limits: { memory: 536870912 } },
  securityContext: { runAsUser: 0, capabilities: { drop: ['ALL'], add: ['SYSLOG'] } },
};
const daemonSet = (changed: object = {}, more: object = {}): KubernetesObject => ({
  apiVersion: 'apps/v1',
  kind: 'DaemonSet',
  metadata: { name: 'agent', labels: { app: 'agent' } },
  spec: {
    selector: { matchLabels: { app: 'agent' } },
    updateStrategy: { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: '10%' } },
    template: {
      metadata: { labels: { app: 'agent' } },
      spec: {
        containers: [{ ...container, ...changed }],
        volumes: [{ name: 'run', emptyDir: { medium: 'Memory', sizeLimit: '8Mi' } }],
      },
    },
    ...more,
  },
});

describe('the schema of the API server', () => {
  it('has nothing to say about a good object', () => {
    expect(schemaProblems(daemonSet())).toEqual([]);
    expect(
      schemaProblems(daemonSet({}, { updateStrategy: { rollingUpdate: { maxUnavailable: 1 } } })),
    ).toEqual([]);
  });

  const faults: readonly (readonly [string, KubernetesObject, RegExp])[] = [
    ['a misspelt field', daemonSet({ resource: {} }), /containers\/0: .*\(resource\)/],
    [
      'a field in the wrong place',
      daemonSet({}, { runtimeClassName: 'nvidia' }),
      /\/spec: .*\(runtimeClassName\)/,
    ],
    [
      'a text where a number belongs',
      daemonSet({ ports: [{ containerPort: '8080' }] }),
      /containerPort: must be integer/,
    ],
    [
      'a number where a text belongs',
      daemonSet({ env: [{ name: 'A', value: 1 }] }),
      /env\/0\/value: must be string/,
    ],
    [
      'a switch as a text',
      daemonSet({ securityContext: { privileged: 'true' } }),
      /privileged: must be boolean/,
    ],
    [
      'a value that is no choice',
      daemonSet({ imagePullPolicy: 'Sometimes' }),
      /imagePullPolicy: must be equal to one of/,
    ],
    [
      'a required field left out',
      daemonSet({ name: undefined, ports: [{ name: 'http' }] }),
      /required property 'containerPort'/,
    ],
    [
      'a quantity that is none',
      daemonSet({ resources: { limits: { memory: '512 MB' } } }),
      /limits\/memory: must match format "quantity"/,
    ],
    ['null, which a template leaves behind', daemonSet({ env: null }), /env: must be array/],
    [
      'a Secret that is not base64',
      { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'token' }, data: { token: 'not base64!' } },
      /must match format "byte"/,
    ],
    [
      'a kind without a schema',
      { apiVersion: 'extensions/v1beta1', kind: 'DaemonSet', metadata: { name: 'old' } },
      /no schema/,
    ],
    ['a version that is gone', { ...daemonSet(), apiVersion: 'apps/v1beta2' }, /no schema/],
    [
      'a field of a custom resource that is not used here',
      {
        apiVersion: 'monitoring.coreos.com/v1',
        kind: 'ServiceMonitor',
        metadata: { name: 'm' },
        spec: { selector: {}, endpoints: [{ targetport: 1 }] },
      },
      /\(targetport\)/,
    ],
  ];
  it.each(faults)('refuses %s', (_name, object, problem) => {
    expect(schemaProblems(object).join('\n')).toMatch(problem);
  });
});
