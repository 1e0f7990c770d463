import { describe, expect, it } from 'vitest';
import { tellMissing } from '../missing.ts';
import { skipReason } from '../tools/tools.ts';
import { render, type Values } from './helm.ts';
import {
  containersOf,
  type KubernetesObject,
  type PodTemplate,
  podTemplatesOf,
} from './kubernetes-objects.ts';
import { podSecurityViolations } from './pod-security.ts';
import { privileges, textOf } from './privileges.ts';

tellMissing(skipReason('helm-3'));

const isMissing = skipReason('helm-3') !== undefined;

function agentOf(objects: readonly KubernetesObject[]): PodTemplate {
  const agent = podTemplatesOf(objects).find(({ owner }) => owner.kind === 'DaemonSet');
  if (agent === undefined) throw new Error('no DaemonSet is rendered');
  return agent;
}
const sorted = (texts: readonly string[]) => [...new Set(texts)].sort();

describe.skipIf(isMissing)('what each choice asks of the Pod Security Standards', () => {
  it.concurrent.each(privileges)('$choice', async ({ values, baseline, restricted }) => {
    const agent = agentOf(await render({ values }));
    const found = podSecurityViolations(agent, 'restricted');
    const ofProfile = (profile: string) => sorted(found.filter((one) => one.profile === profile).map(textOf));
    expect(ofProfile('baseline')).toEqual(sorted(baseline));
    expect(ofProfile('restricted')).toEqual(sorted(restricted));
  });
});

describe.skipIf(isMissing)('the least that does the job', () => {
  const agentWith = async (values: Values = {}) => agentOf(await render({ values }));
  const capabilitiesOf = ({ spec }: PodTemplate) =>
    containersOf(spec).map(({ container }) => container.securityContext?.capabilities);

  it('is one capability by default, and no privilege beside root', async () => {
    const agent = await agentWith();
    expect(capabilitiesOf(agent)).toEqual([{ drop: ['ALL'], add: ['SYSLOG'] }]);
    const [first] = containersOf(agent.spec);
    expect(first?.container.securityContext).toMatchObject({
      runAsUser: 0,
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      seccompProfile: { type: 'RuntimeDefault' },
    });
    expect(agent.spec.hostPID ?? false).toBe(false);
    expect((agent.spec.volumes ?? []).filter(({ hostPath }) => hostPath !== undefined)).toEqual([]);
  });

  it('is nothing of an operator in read-only mode, however the rest is chosen', async () => {
    const everything = {
      ...{
        hostPID: true,
        'podResources.enabled': true,
        'recorder.enabled': true,
        'recorder.storage': 'hostPath',
      },
      ...{ 'metrics.serviceMonitor.enabled': true, 'operator.reset.driverRoot': '/run/nvidia/driver' },
    };
    const reading = await render({ values: everything });
    const text = JSON.stringify(reading);
    for (const word of [
      '"KILL"',
      '"privileged":true',
      'operator-token',
      '--mode=operator',
      'confirm-without',
      'driver-root',
    ])
      expect(text, word).not.toContain(word);
    // The same words are there in operator mode, so this check can fail.
    const acting = JSON.stringify(
      await render({ values: { ...everything, mode: 'operator', 'operator.reset.enabled': true } }),
    );
    for (const word of ['"privileged":true', 'operator-token', '--mode=operator', 'driver-root'])
      expect(acting, word).toContain(word);
    expect(JSON.stringify(await agentWith({ mode: 'operator' }))).toContain('"KILL"');
  });

  it('keeps the rights of reset away from kill', async () => {
    const killing = await agentWith({ mode: 'operator' });
    expect(killing.spec.hostPID).toBe(true);
    expect(containersOf(killing.spec)[0]?.container.securityContext?.privileged ?? false).toBe(false);
    expect((killing.spec.volumes ?? []).filter(({ hostPath }) => hostPath !== undefined)).toEqual([]);
    const resetting = await agentWith({
      mode: 'operator',
      'operator.kill.enabled': false,
      'operator.reset.enabled': true,
    });
    expect(containersOf(resetting.spec)[0]?.container.securityContext?.privileged).toBe(true);
  });

  it('takes no GPU from anybody unless it is asked to', async () => {
    const isGpu = (name: string) => name.includes('nvidia.com/');
    const resourcesOf = ({ spec }: PodTemplate) =>
      containersOf(spec).flatMap(({ container: { resources = {} } }) =>
        Object.keys({ ...resources.requests, ...resources.limits }),
      );
    for (const values of [
      {},
      { 'gpu.mock.enabled': true },
      { 'transport.mode': 'stdio' },
      { 'gpu.runtimeClass.enabled': false, 'gpu.dra.enabled': true },
    ])
      expect(resourcesOf(await agentWith(values)).filter(isGpu)).toEqual([]);
    const asked = await agentWith({ 'gpu.runtimeClass.enabled': false, 'gpu.resourceRequest.enabled': true });
    expect(resourcesOf(asked).filter(isGpu)).toEqual(['nvidia.com/gpu']);
  });

  it('is the API server for the gateway alone, and reading there', async () => {
    for (const values of [{}, { mode: 'operator' }]) {
      const objects = await render({ values });
      const agent = agentOf(objects);
      expect(agent.spec.automountServiceAccountToken).toBe(false);
      const bound = objects
        .filter(({ kind }) => kind.endsWith('Binding'))
        .flatMap((binding) => (binding['subjects'] as { name: string }[]).map(({ name }) => name));
      expect(bound).not.toContain(agent.spec.serviceAccountName);
      expect(bound).toContain('gpu-k8s-gpu-mcp-server-gateway');
      const verbs = objects
        .filter(({ kind, metadata }) => kind.endsWith('Role') && metadata.name.endsWith('gateway'))
        .flatMap((role) =>
          (role['rules'] as { verbs: string[]; resources: string[] }[]).flatMap((rule) => rule.verbs),
        );
      expect(sorted(verbs)).toEqual(['get', 'list', 'watch']);
      const secrets = objects
        .filter(({ kind, metadata }) => kind.endsWith('Role') && metadata.name.endsWith('gateway'))
        .flatMap((role) => (role['rules'] as { resources: string[] }[]).flatMap((rule) => rule.resources));
      expect(secrets).not.toContain('secrets');
    }
  });
});
