import { describe, expect, it } from 'vitest';
import { gpuNodeLabels } from '../../../apps/gateway/src/adapters/kubernetes-directory/gpu-node.ts';
import { skipReason } from '../tools/tools.ts';
import { render, type Values } from './helm.ts';
import { podTemplateOf } from './kubernetes-objects.ts';

const isMissing = skipReason('helm-3') !== undefined;

interface Expression {
  readonly key: string;
  readonly operator: string;
  readonly values?: readonly string[];
}
interface Affinity {
  readonly nodeAffinity?: {
    readonly requiredDuringSchedulingIgnoredDuringExecution?: {
      readonly nodeSelectorTerms: readonly { readonly matchExpressions: readonly Expression[] }[];
    };
  };
}

async function agentSpec(values: Values = {}) {
  const agent = (await render({ values })).find(({ kind }) => kind === 'DaemonSet');
  const spec = agent === undefined ? undefined : podTemplateOf(agent)?.spec;
  if (spec === undefined) throw new Error('no agents are rendered');
  return spec as typeof spec & { readonly affinity?: Affinity; readonly runtimeClassName?: string };
}

/** Each alternative of the node affinity: one label, and the value that it must have, or null for any. */
async function labelsOfAgents(): Promise<Readonly<Record<string, string | null>>> {
  const { affinity } = await agentSpec();
  const terms = affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms;
  const single = (terms ?? []).map(({ matchExpressions: [first, ...more] }) => {
    if (first === undefined || more.length > 0) throw new Error('an alternative of more than one label');
    if (first.operator === 'Exists') return [first.key, null] as const;
    expect(first).toMatchObject({ operator: 'In', values: [expect.any(String)] });
    return [first.key, first.values?.[0] ?? ''] as const;
  });
  return Object.fromEntries(single);
}

describe.skipIf(isMissing)('agents run where', () => {
  it('the gateway looks for them', async () => {
    expect(await labelsOfAgents()).toEqual(gpuNodeLabels);
  });

  it('a simulated GPU can be: on every node', async () => {
    expect((await agentSpec({ 'gpu.mock.enabled': true })).affinity).toBeUndefined();
  });
});

describe.skipIf(isMissing)('the RuntimeClass', () => {
  it.each([
    ['nvidia-cdi', 'nvidia-cdi'],
    // NVIDIA's runtime is the default one of the nodes.
    ['', undefined],
  ])('%j is %j', async (name, expected) => {
    const { runtimeClassName, containers } = await agentSpec({ 'gpu.runtimeClass.name': name });
    expect(runtimeClassName).toBe(expected);
    expect(containers[0]?.env).toContainEqual({ name: 'NVIDIA_VISIBLE_DEVICES', value: 'all' });
  });
});
