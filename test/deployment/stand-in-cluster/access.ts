// Who asks, and whether the Roles of the cluster allow it.
import type { ClusterState } from './cluster-state.ts';
import { type JsonObject, type KubernetesObject, objectAt, objectsAt, textAt, textsAt } from './json.ts';

export interface User {
  readonly name: string;
  readonly groups: readonly string[];
}

export interface Request {
  readonly verb: string;
  readonly group: string;
  /** With its subresource: `pods/exec`. */
  readonly resource: string;
  readonly namespace: string | null;
  readonly name: string | null;
}

export const administrator: User = { name: 'administrator', groups: ['system:masters'] };

export const serviceAccountName = (namespace: string, name: string) =>
  `system:serviceaccount:${namespace}:${name}`;

export function isAllowed(state: ClusterState, user: User, request: Request): boolean {
  if (user.groups.includes('system:masters')) return true;
  const bindings = [
    ...state.all('ClusterRoleBinding'),
    ...(request.namespace === null ? [] : state.all('RoleBinding', { namespace: request.namespace })),
  ];
  return bindings
    .filter((binding) => objectsAt(binding, 'subjects').some((subject) => isMeant(subject, user)))
    .flatMap((binding) => rulesOf(state, binding))
    .some((rule) => allows(rule, request));
}

function isMeant(subject: JsonObject, user: User): boolean {
  const [kind, name = '', namespace = ''] = ['kind', 'name', 'namespace'].map((field) =>
    textAt(subject, field),
  );
  if (kind === 'ServiceAccount') return serviceAccountName(namespace, name) === user.name;
  return kind === 'Group' ? user.groups.includes(name) : name === user.name;
}

function rulesOf(state: ClusterState, binding: KubernetesObject): readonly JsonObject[] {
  const { kind, name } = objectAt(binding, 'roleRef');
  const role =
    kind === 'ClusterRole'
      ? state.find('ClusterRole', null, String(name))
      : state.find('Role', binding.metadata.namespace ?? '', String(name));
  return objectsAt(role, 'rules');
}

function allows(rule: JsonObject, { verb, group, resource, name }: Request): boolean {
  const holds = (field: string, value: string) =>
    textsAt(rule, field).some((each) => each === '*' || each === value);
  const names = textsAt(rule, 'resourceNames');
  return (
    holds('verbs', verb) &&
    holds('apiGroups', group) &&
    holds('resources', resource) &&
    (names.length === 0 || (name !== null && names.includes(name)))
  );
}
