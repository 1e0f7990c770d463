import { parseThresholds } from '@k8s-gpu-mcp/core';
import { schemaProblems } from './api-schema.ts';
import { namespace, withoutTokens } from './helm.ts';
import { type KubernetesObject, nameOf, podTemplatesOf } from './kubernetes-objects.ts';
import { releaseProblems } from './object-rules.ts';
import { podSecurityViolations } from './pod-security.ts';
import { programProblems } from './program-options.ts';

/** Everything that must hold of any set of objects that this project has people install. `outside`: "Secret NAME" of others. */
export const problemsOf = (
  objects: readonly KubernetesObject[],
  outside: readonly string[] = [],
): readonly string[] => [
  ...objects.flatMap(objectProblems),
  ...releaseProblems(objects, { namespace, outside }),
  ...podTemplatesOf(objects)
    .filter(({ owner }) => owner.kind !== 'DaemonSet')
    .flatMap((pod) => podSecurityViolations(pod, 'restricted'))
    .map((violation) => JSON.stringify(violation)),
  ...sharedTokens(objects),
];

/** Most objects are the same in most renders: each is looked at once. */
const seen = new Map<string, readonly string[]>();

function objectProblems(object: KubernetesObject): readonly string[] {
  const key = JSON.stringify(withoutTokens(object));
  const known = seen.get(key);
  if (known !== undefined) return known;
  const ofShape = schemaProblems(object);
  // What has not the shape of a pod has no arguments to ask a program about.
  const problems =
    ofShape.length > 0
      ? ofShape
      : [...podTemplatesOf([object]).flatMap(programProblems), ...thresholdProblems(object)];
  seen.set(key, problems);
  return problems;
}

/** A token that two Secrets hold would open two doors. */
function sharedTokens(objects: readonly KubernetesObject[]): readonly string[] {
  const tokens = objects
    .filter(({ kind }) => kind === 'Secret')
    .flatMap((secret) => Object.values((secret['data'] ?? {}) as Readonly<Record<string, string>>));
  return new Set(tokens).size === tokens.length ? [] : ['two Secrets hold the same token'];
}

/** The agent reads this file, and ends when it cannot. */
function thresholdProblems(object: KubernetesObject): readonly string[] {
  const text = ((object['data'] ?? {}) as Readonly<Record<string, string>>)['health-thresholds.json'];
  if (text === undefined) return [];
  try {
    parseThresholds(JSON.parse(text));
    return [];
  } catch (error) {
    return [`${nameOf(object)}: ${error instanceof Error ? error.message : String(error)}`];
  }
}
