import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { skipReason } from '../tools/tools.ts';
import { schemaProblems } from './api-schema.ts';
import { chartDirectory, HelmError, helmVersions, lint, namespace, objectsOf, render, withoutTokens } from './helm.ts';
import { containersOf, type KubernetesObject, podTemplatesOf } from './kubernetes-objects.ts';
import { releaseProblems } from './object-rules.ts';
import { podSecurityViolations } from './pod-security.ts';
import { programProblems } from './program-options.ts';
import { type Choice, choices, contradictoryChoices, excludeEachOther, outsideObjects } from './value-choices.ts';

const valuesFiles = readdirSync(join(chartDirectory, 'ci'))
  .filter((file) => file.endsWith('-values.yaml'))
  .map((file) => join(chartDirectory, 'ci', file));
const helm3Missing = skipReason('helm-3');

/** Most objects are the same in most renders: each is looked at once. */
const seen = new Map<string, readonly string[]>();
function objectProblems(object: KubernetesObject): readonly string[] {
  const key = JSON.stringify(withoutTokens(object));
  const known = seen.get(key);
  if (known !== undefined) return known;
  const ofShape = schemaProblems(object);
  // What has not the shape of a pod has no arguments to ask a program about.
  const problems = ofShape.length > 0 ? ofShape : podTemplatesOf([object]).flatMap(programProblems);
  seen.set(key, problems);
  return problems;
}

/** Everything that must hold of every render. */
const problemsOf = (objects: readonly KubernetesObject[]): readonly string[] => [
  ...objects.flatMap(objectProblems),
  ...releaseProblems(objects, { namespace, outside: outsideObjects }),
  ...podTemplatesOf(objects)
    .filter(({ owner }) => owner.kind !== 'DaemonSet')
    .flatMap((pod) => podSecurityViolations(pod, 'restricted'))
    .map((violation) => JSON.stringify(violation)),
  ...sharedTokens(objects),
];

/** A token that two Secrets hold would open two doors. */
function sharedTokens(objects: readonly KubernetesObject[]): readonly string[] {
  const tokens = objects.filter(({ kind }) => kind === 'Secret').flatMap((secret) => Object.values(secret['data'] as Record<string, string>));
  return new Set(tokens).size === tokens.length ? [] : ['two Secrets hold the same token'];
}

describe.each(helmVersions)('the chart under %s', (helm) => {
  const reason = skipReason(helm);

  it.skipIf(reason !== undefined)(`has values for every mode${reason === undefined ? '' : ` (${reason})`}`, () => {
    expect(valuesFiles.length).toBeGreaterThan(15);
  });

  it.skipIf(reason !== undefined).concurrent.each(valuesFiles)('%s: lint --strict, and good objects', async (valuesFile) => {
    const [linted, objects] = await Promise.all([lint({ helm, valuesFile }), render({ helm, valuesFile })]);
    expect(linted).toContain('0 chart(s) failed');
    expect(problemsOf(objects)).toEqual([]);
  });

  it.skipIf(reason !== undefined)('renders names that fit, however long the name of the release', async () => {
    const release = `a${'-long'.repeat(10)}-1`;
    expect(release).toHaveLength(53);
    expect(problemsOf(await render({ helm, release, values: choices['operator that kills'] }))).toEqual([]);
  });
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

  it.skipIf(helm3Missing !== undefined).concurrent.each(names)('%s with each of the others makes good objects', async (name) => {
    const mine = possible.filter(([one]) => one === name);
    const found = await Promise.all(
      mine.map(async ([one, other]) => {
        try {
          return [`${one}, ${other}`, problemsOf(await render({ values: { ...choices[one], ...choices[other] } }))] as const;
        } catch (error) {
          if (error instanceof HelmError) return [`${one}, ${other}`, [error.message]] as const;
          throw error;
        }
      }),
    );
    expect(Object.fromEntries(found.filter(([, problems]) => problems.length > 0))).toEqual({});
  });
});

describe.skipIf(helm3Missing !== undefined)('the checks of a render turn red', () => {
  type Change = (objects: KubernetesObject[]) => void;
  // Parsed anew, so that a change is of this test alone.
  const changed = async (change: Change) => {
    const objects = structuredClone(await render()) as KubernetesObject[];
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
      (objects) => setOf(agentOf(objects), { securityContext: { privileged: true, allowPrivilegeEscalation: false } }),
      /privileged does not go with allowPrivilegeEscalation: false/,
    ],
    [
      'a Secret that is not there',
      (objects) => void objects.splice(objects.findIndex(({ metadata }) => metadata.name.endsWith('agent-token')), 1),
      /there is no Secret gpu-k8s-gpu-mcp-server-agent-token/,
    ],
    ['an option that the program lacks', (objects) => setOf(agentOf(objects), { args: ['--prot=8080'] }), /--prot/],
    ['a value that the program refuses', (objects) => setOf(agentOf(objects), { args: ['--port=http'] }), /--port/],
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
    ['a gateway that runs as root', (objects) => setOf(gatewayContext(objects), { runAsUser: 0 }), /Running as Non-root user/],
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
    for (const secret of objects.filter(({ kind }) => kind === 'Secret')) setOf(secret, { data: { token: 'YQ==' } });
  };

  it('a key that is there twice', () => {
    expect(() => objectsOf('kind: Pod\nkind: Job\n')).toThrow(/unique/);
  });
});

describe.skipIf(helm3Missing !== undefined)('two renders', () => {
  const values = choices['operator that kills'];

  it('differ in nothing but their tokens', async () => {
    const [one, other] = await Promise.all([render({ values }), render({ helm: 'helm-4', values })]);
    expect(one.map(withoutTokens)).toEqual(other.map(withoutTokens));
    const tokens = [...one, ...other].filter(({ kind }) => kind === 'Secret').map((secret) => (secret['data'] as { token: string }).token);
    expect(tokens).toHaveLength(8);
    expect(new Set(tokens).size).toBe(8);
    for (const token of tokens) expect(Buffer.from(token, 'base64').toString()).toMatch(/^[A-Za-z0-9]{32,}$/);
  });
});
