// What a name, a label and an annotation may be: https://kubernetes.io/docs/concepts/overview/working-with-objects/names/ and .../labels/.
import { type KubernetesObject, type Labels, nameOf, podTemplateOf } from './kubernetes-objects.ts';

const label = '[a-z0-9](?:[-a-z0-9]*[a-z0-9])?';
const labelName = new RegExp(`^${label}$`);
const subdomain = new RegExp(`^${label}(?:\\.${label})*$`);
/** RFC 1035, as Services must be named. */
const serviceName = /^[a-z](?:[-a-z0-9]*[a-z0-9])?$/;
const qualifiedName = /^[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?$/;

export const isLabelName = (name: string): boolean => name.length <= 63 && labelName.test(name);
export const isSubdomain = (name: string): boolean => name.length <= 253 && subdomain.test(name);
/** IANA_SVC_NAME, as ports of containers must be named. */
export const isPortName = (name: string): boolean =>
  name.length <= 15 && /^[a-z0-9](?:-?[a-z0-9])*$/.test(name) && /[a-z]/.test(name);

const isLabelValue = (value: string): boolean =>
  value.length <= 63 && (value === '' || qualifiedName.test(value));

function isQualifiedKey(key: string): boolean {
  const parts = key.split('/');
  const [name = '', prefix] = parts.reverse();
  const isPrefix = prefix === undefined || isSubdomain(prefix);
  return parts.length <= 2 && isPrefix && name.length <= 63 && qualifiedName.test(name);
}

function isObjectName({ kind, metadata: { name } }: KubernetesObject): boolean {
  if (kind === 'Service') return name.length <= 63 && serviceName.test(name);
  if (kind === 'Namespace') return isLabelName(name);
  // Path segments, so that "system:node" is one.
  if (/^(?:Cluster)?Role(?:Binding)?$/.test(kind))
    return !/[/%]/.test(name) && !['', '.', '..'].includes(name);
  return isSubdomain(name);
}

export function labelProblems(labels: Labels | undefined): readonly string[] {
  return Object.entries(labels ?? {}).flatMap(([key, value]) => [
    ...(isQualifiedKey(key) ? [] : [`label key ${key}`]),
    ...(isLabelValue(value) ? [] : [`label value ${key}: ${JSON.stringify(value)}`]),
  ]);
}

const clusterScoped = new Set([
  'ClusterRole',
  'ClusterRoleBinding',
  'DeviceClass',
  'Namespace',
  'RuntimeClass',
]);

/** `namespace` is that of the release. */
export function nameProblems(object: KubernetesObject, namespace: string): readonly string[] {
  const { kind, metadata } = object;
  const template = podTemplateOf(object);
  const labels = [...labelProblems(metadata.labels), ...labelProblems(template?.metadata.labels)];
  const annotations = [metadata.annotations, template?.metadata.annotations].flatMap((one) =>
    Object.keys(one ?? {}),
  );
  const allowed = clusterScoped.has(kind) ? [undefined] : [undefined, namespace];
  const problems = [
    ...(isObjectName(object) ? [] : [`name ${JSON.stringify(metadata.name)}`]),
    ...labels,
    ...annotations.filter((key) => !isQualifiedKey(key.toLowerCase())).map((key) => `annotation key ${key}`),
    ...(allowed.includes(metadata.namespace) ? [] : [`namespace ${metadata.namespace}`]),
  ];
  return problems.map((problem) => `${nameOf(object)}: ${problem} is not valid`);
}
