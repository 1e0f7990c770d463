import { describe, expect, it } from 'vitest';
import { skipReason } from '../tools/tools.ts';
import { render, type Values } from './helm.ts';
import { containersOf, type KubernetesObject, podTemplateOf } from './kubernetes-objects.ts';

const isMissing = skipReason('helm-3') !== undefined;
const kinds = { agent: 'DaemonSet', gateway: 'Deployment' } as const;

async function inOperatorMode(program: keyof typeof kinds, values: Values = {}): Promise<KubernetesObject> {
  const objects = await render({ values: { mode: 'operator', ...values } });
  const found = objects.find(({ kind }) => kind === kinds[program]);
  if (found === undefined) throw new Error(`no ${program} is rendered`);
  return found;
}

/** Values of the variable that tells the agent what it may do. */
async function actionsWith(values: Values): Promise<readonly (string | undefined)[]> {
  const template = podTemplateOf(await inOperatorMode('agent', values));
  return containersOf(template?.spec ?? { containers: [] })
    .flatMap(({ container }) => container.env ?? [])
    .filter(({ name }) => name === 'K8S_GPU_MCP_OPERATOR_ACTIONS')
    .map(({ value }) => value);
}

describe.skipIf(isMissing)('operator mode', () => {
  it.each([
    [{}, ['kill']],
    [{ 'operator.reset.enabled': true, 'operator.kill.enabled': false }, ['reset']],
    // Both is what the agent offers when nobody says otherwise.
    [{ 'operator.reset.enabled': true }, []],
  ] as const)('with %o the agents offer %j', async (values, expected) => {
    expect(await actionsWith(values)).toEqual(expected);
  });

  it('never runs two gateways, and waits for an action that has begun', async () => {
    const { spec } = await inOperatorMode('gateway');
    expect(spec).toMatchObject({
      replicas: 1,
      strategy: { type: 'Recreate' },
      // An action may take 180 s (docs/operator-mode.md), and the answer goes through the gateway.
      template: { spec: { terminationGracePeriodSeconds: expect.toSatisfy((seconds) => seconds > 180) } },
    });
  });
});
