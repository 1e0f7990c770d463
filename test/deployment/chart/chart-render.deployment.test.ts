import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { tellMissing } from '../missing.ts';
import { skipReason } from '../tools/tools.ts';
import { chartDirectory, HelmError, helmVersions, lint, objectsOf, render, withoutTokens } from './helm.ts';
import { containersOf, type KubernetesObject, podTemplatesOf } from './kubernetes-objects.ts';
import { problemsOf } from './release-checks.ts';
import {
  type Choice,
  choices,
  contradictoryChoices,
  excludeEachOther,
  outsideObjects,
} from './value-choices.ts';

tellMissing(...helmVersions.map(skipReason));

const valuesFiles = readdirSync(join(chartDirectory, 'ci'))
  .filter((file) => file.endsWith('-values.yaml'))
  .map((file) => join(chartDirectory, 'ci', file));
const helm3Missing = skipReason('helm-3');

describe.each(helmVersions)('the chart under %s', (helm) => {
  const reason = skipReason(helm);

  it.skipIf(reason !== undefined)(
    `has values for every mode${reason === undefined ? '' : ` (${reason})`}`,
    () => {
      expect(valuesFiles.length).toBeGreaterThan(15);
    },
  );

  it.skipIf(reason !== undefined).concurrent.each(valuesFiles)(
    '%s: lint --strict, and good objects',
    async (valuesFile) => {
      const [linted, objects] = await Promise.all([lint({ helm, valuesFile }), render({ helm, valuesFile })]);
      expect(linted).toContain('0 chart(s) failed');
      expect(problemsOf(objects, outsideObjects)).toEqual([]);
    },
  );

  it.skipIf(reason !== undefined)(
    'renders names that fit, however long the name of the release',
    async () => {
      const release = `a${'-long'.repeat(10)}-1`;
      expect(release).toHaveLength(53);
      expect(problemsOf(await render({ helm, release, values: choices['operator that kills'] }))).toEqual([]);
    },
  );
});

describe('every two choices together', () => {
  const names = Object.keys(choices) as Choice[];
  const pairs = names.flatMap((one, index) => names.slice(index + 1).map((other) => [one, other] as const));
  const isContradictory = (one: Choice, other: Choice) =>
    contradictoryChoices.some((pair) => pair.includes(one) && pair.includes(other));
  const possible = pairs.filter(
    ([one, other]) => !isContradictory(one, other) && !excludeEachOther(choices[one], choices[other]),
  );

  it('are many', () => {
    expect(possible.length).toBeGreaterThan(300);
  });

  it.skipIf(helm3Missing !== undefined).concurrent.each(names)(
    '%s with each of the others makes good objects',
    async (name) => {
      const mine = possible.filter(([one]) => one === name);
      const found = await Promise.all(
        mine.map(async ([one, other]) => {
          try {
            return [
              `${one}, ${other}`,
              problemsOf(await render({ values: { ...choices[one], ...choices[other] } }), outsideObjects),
            ] as const;
          } catch (error) {
            if (error instanceof HelmError) return [`${one}, ${other}`, [error.message]] as const;
            throw error;
          }
        }),
      );
      expect(Object.fromEntries(found.filter(([, problems]) => problems.length > 0))).toEqual({});
    },
  );
});

describe.skipIf(helm3Missing !== undefined)('the checks of a render turn red', () => {
  type Change = (objects: KubernetesObject[]) => void;
  const rendered = helm3Missing === undefined ? render() : undefined;
  // A copy, so that a change is of this test alone.
  const changed = async (change: Change) => {
    const objects = structuredClone(await rendered) as KubernetesObject[];
    change(objects);
    return problemsOf(objects).join('\n');
  };
  const agentOf = (objects: readonly KubernetesObject[]) => {
    const pod = podTemplatesOf(objects).find(({ owner }) => owner.kind === 'DaemonSet');
    const container = pod && containersOf(pod.spec)[0]?.container;
    if (container === undefined) throw new Error('there is no agent');
    return container as { -readonly [Field in keyof typeof container]: (typeof container)[Field] };
  };
  const setOf = (target: object, fields: object) => void Object.assign(target, fields);

  const faults: readonly (readonly [string, Change, RegExp])[] = [
    ['a misspelt field', (objects) => setOf(agentOf(objects), { livenesProbe: {} }), /\(livenesProbe\)/],
    ['a wrong type', (objects) => setOf(agentOf(objects), { image: 1 }), /image: must be string/],
    [
      'privileged with allowPrivilegeEscalation: false',
      (objects) =>
        setOf(agentOf(objects), { securityContext: { privileged: true, allowPrivilegeEscalation: false } }),
      /privileged does not go with allowPrivilegeEscalation: false/,
    ],
    [
      'a Secret that is not there',
      (objects) =>
        void objects.splice(
          objects.findIndex(({ metadata }) => metadata.name.endsWith('agent-token')),
          1,
        ),
      /there is no Secret gpu-k8s-gpu-mcp-server-agent-token/,
    ],
    [
      'an option that the program lacks',
      (objects) => setOf(agentOf(objects), { args: ['--prot=8080'] }),
      /--prot/,
    ],
    [
      'a value that the program refuses',
      (objects) => setOf(agentOf(objects), { args: ['--port=http'] }),
      /--port/,
    ],
    [
      'a variable that the program lacks',
      (objects) => setOf(agentOf(objects), { env: [{ name: 'K8S_GPU_MCP_KERNELLOG', value: 'none' }] }),
      /does not know K8S_GPU_MCP_KERNELLOG/,
    ],
    [
      'a token file that nothing mounts',
      (objects) => setOf(agentOf(objects), { args: ['--port=8080', '--auth-token-file=/run/token'] }),
      /nothing is mounted at \/run\/token/,
    ],
    [
      'a gateway that runs as root',
      (objects) => setOf(gatewayContext(objects), { runAsUser: 0 }),
      /Running as Non-root user/,
    ],
    ['one token twice', (objects) => shareToken(objects), /the same token/],
  ];
  it.each(faults)('%s', async (_name, change, problem) => {
    expect(await changed(change)).toMatch(problem);
  });

  const gatewayContext = (objects: readonly KubernetesObject[]) => {
    const pod = podTemplatesOf(objects).find(({ owner }) => owner.kind === 'Deployment');
    const context = pod && containersOf(pod.spec)[0]?.container.securityContext;
    if (context === undefined) throw new Error('there is no gateway');
    return context;
  };
  const shareToken = (objects: readonly KubernetesObject[]) => {
    for (const secret of objects.filter(({ kind }) => kind === 'Secret'))
      setOf(secret, { data: { token: 'YQ==' } });
  };

  it('thresholds that the agent refuses', () => {
    const withThresholds = (text: string): KubernetesObject => ({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'thresholds' },
      data: { 'health-thresholds.json': text },
    });
    expect(problemsOf([withThresholds('{"thermal.hot-neighbour": {"aboveMedianCelsius": 20}}')])).toEqual([]);
    expect(
      problemsOf([withThresholds('{"thermal.hot-neighbour": {"aboveMedianCelsius": "hot"}}')]),
    ).toHaveLength(1);
    expect(problemsOf([withThresholds('{"thermal.hot-neighbor": {}}')])).toHaveLength(1);
  });

  it('a key that is there twice', () => {
    expect(() => objectsOf('kind: Pod\nkind: Job\n')).toThrow(/unique/);
  });
});

describe.skipIf(helm3Missing !== undefined)('the bridge finds', () => {
  const componentOf = ({ metadata }: KubernetesObject) => metadata.labels?.['app.kubernetes.io/component'];
  const found = (objects: readonly KubernetesObject[], kind: string, component: string) =>
    objects.filter(
      (object) =>
        object.kind === kind &&
        componentOf(object) === component &&
        object.metadata.labels?.['app.kubernetes.io/name'] === 'k8s-gpu-mcp-server',
    );

  it.each([{}, { nameOverride: 'gpus' }, choices['own names'], choices['given tokens']])(
    'one gateway and its token with %j',
    async (values) => {
      const objects = await render({ values });
      const services = found(objects, 'Service', 'gateway');
      expect(services).toHaveLength(1);
      const [name, key] = (services[0]?.metadata.annotations?.['k8s-gpu-mcp/token-secret'] ?? '').split('/');
      if ('auth.gateway.existingSecret' in values) {
        expect([name, key]).toEqual(['people', 'mcp']);
        return;
      }
      const secrets = found(objects, 'Secret', 'gateway-token');
      expect(secrets.map(({ metadata }) => metadata.name)).toEqual([name]);
      expect(Object.keys(secrets[0]?.['data'] as object)).toEqual([key]);
    },
  );

  it('the token only where the client Role lets people read it, and no other', async () => {
    const objects = await render({ values: choices['operator that kills'] });
    const role = objects.find(({ kind, metadata }) => kind === 'Role' && metadata.name.endsWith('-client'));
    const rules = role?.['rules'] as { resources: string[]; resourceNames?: string[]; verbs: string[] }[];
    expect(rules.filter(({ resources }) => resources.includes('secrets'))).toEqual([
      {
        apiGroups: [''],
        resources: ['secrets'],
        resourceNames: ['gpu-k8s-gpu-mcp-server-gateway-token'],
        verbs: ['get'],
      },
    ]);
    expect(rules.flatMap(({ resources }) => resources)).not.toContain('pods/exec');
  });
});

describe.skipIf(helm3Missing !== undefined)('two renders', () => {
  const values = choices['operator that kills'];

  it('differ in nothing but their tokens', async () => {
    const [one, other] = await Promise.all([render({ values }), render({ helm: 'helm-4', values })]);
    expect(one.map(withoutTokens)).toEqual(other.map(withoutTokens));
    const tokens = [...one, ...other]
      .filter(({ kind }) => kind === 'Secret')
      .map((secret) => (secret['data'] as { token: string }).token);
    expect(tokens).toHaveLength(8);
    expect(new Set(tokens).size).toBe(8);
    for (const token of tokens) expect(Buffer.from(token, 'base64').toString()).toMatch(/^[A-Za-z0-9]{32,}$/);
  });
});
