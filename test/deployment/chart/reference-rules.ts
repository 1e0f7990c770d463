// What one object of a release says of another must be so: who is named exists, who is selected is there.
import {
  containersOf,
  isWorkload,
  type KubernetesObject,
  type LabelSelector,
  nameOf,
  type PodTemplate,
  podTemplatesOf,
  type Reference,
  selects,
  workloadOf,
} from './kubernetes-objects.ts';
import { repeatedIn } from './pod-rules.ts';

interface Service {
  readonly selector?: Readonly<Record<string, string>>;
  readonly type?: string;
  readonly ports?: readonly {
    readonly name?: string;
    readonly port: number;
    readonly targetPort?: number | string;
    readonly protocol?: string;
  }[];
}

interface Binding {
  readonly roleRef: { readonly apiGroup: string; readonly kind: string; readonly name: string };
  readonly subjects?: readonly {
    readonly kind: string;
    readonly name: string;
    readonly namespace?: string;
  }[];
}

/** `outside` are objects that are not of the release, as "Secret NAME": those that values name. */
export function referenceProblems(
  objects: readonly KubernetesObject[],
  outside: readonly string[],
  namespace: string,
): readonly string[] {
  const keys = objects.map(
    (object) => `${object.kind} ${object.metadata.namespace ?? namespace} ${object.metadata.name}`,
  );
  const exists = (kind: string, name: string) =>
    outside.includes(`${kind} ${name}`) ||
    objects.some((one) => one.kind === kind && one.metadata.name === name);
  const templates = podTemplatesOf(objects);
  const missing = (object: KubernetesObject, references: readonly (readonly [string, string])[]) =>
    references
      .filter(([kind, name]) => !exists(kind, name))
      .map(([kind, name]) => `${nameOf(object)}: there is no ${kind} ${name}`);
  return [
    ...repeatedIn(keys).map((key) => `two objects are ${key}`),
    ...templates.flatMap((template) => missing(template.owner, podReferences(template))),
    ...objects.flatMap((object) => [
      ...missing(object, bindingReferences(object, namespace)),
      ...missing(object, tokenReference(object)),
      ...(isWorkload(object) ? selectorProblems(object, objects) : []),
      ...(object.kind === 'Service' ? serviceProblems(object, templates) : []),
      ...selectionProblems(object, objects, templates),
    ]),
    ...secretKeyProblems(objects, templates),
  ];
}

/** Kinds and names of what a pod cannot start without. */
function podReferences({ spec }: PodTemplate): readonly (readonly [string, string])[] {
  const named = (kind: string, reference: Reference | undefined) =>
    reference?.name === undefined || reference.optional === true ? [] : [[kind, reference.name] as const];
  const volumes = (spec.volumes ?? []).flatMap(({ secret, configMap, projected }) => [
    ...named('Secret', secret?.secretName === undefined ? undefined : { ...secret, name: secret.secretName }),
    ...named('ConfigMap', configMap),
    ...(projected?.sources ?? []).flatMap((source) => [
      ...named('Secret', source.secret),
      ...named('ConfigMap', source.configMap),
    ]),
  ]);
  const environment = containersOf(spec).flatMap(({ container: { env = [], envFrom = [] } }) => [
    ...env.flatMap(({ valueFrom }) => [
      ...named('Secret', valueFrom?.secretKeyRef),
      ...named('ConfigMap', valueFrom?.configMapKeyRef),
    ]),
    ...envFrom.flatMap((source) => [
      ...named('Secret', source.secretRef),
      ...named('ConfigMap', source.configMapRef),
    ]),
  ]);
  const claims = (spec.resourceClaims ?? []).flatMap((claim) => [
    ...named('ResourceClaim', { name: claim.resourceClaimName ?? '' }),
    ...named('ResourceClaimTemplate', { name: claim.resourceClaimTemplateName ?? '' }),
  ]);
  return [
    ...volumes,
    ...environment,
    ...claims.filter(([, name]) => name !== ''),
    ...(spec.imagePullSecrets ?? []).flatMap((secret) => named('Secret', secret)),
    // Every namespace has one of this name.
    ...named('ServiceAccount', { name: spec.serviceAccountName ?? 'default' }).filter(
      ([, name]) => name !== 'default',
    ),
  ];
}

function bindingReferences(
  object: KubernetesObject,
  namespace: string,
): readonly (readonly [string, string])[] {
  if (object.kind !== 'RoleBinding' && object.kind !== 'ClusterRoleBinding') return [];
  const { roleRef, subjects = [] } = object as unknown as Binding;
  return [
    [roleRef.kind, roleRef.name],
    // Elsewhere it is for others to know.
    ...subjects
      .filter(
        (subject) => subject.kind === 'ServiceAccount' && (subject.namespace ?? namespace) === namespace,
      )
      .map(({ kind, name }) => [kind, name] as const),
  ];
}

/** Where the bridge finds the token of a gateway: `NAME/KEY`. */
function tokenReference({ kind, metadata }: KubernetesObject): readonly (readonly [string, string])[] {
  const reference = kind === 'Service' ? metadata.annotations?.['k8s-gpu-mcp/token-secret'] : undefined;
  return reference === undefined ? [] : [['Secret', reference.split('/')[0] ?? '']];
}

/** A selector cannot be changed by an upgrade, so nothing may be in it that an upgrade changes. */
function selectorProblems(object: KubernetesObject, objects: readonly KubernetesObject[]): readonly string[] {
  const { selector, template } = workloadOf(object);
  const keys = Object.keys(selector.matchLabels ?? {});
  const others = objects.filter((other) => other !== object && isWorkload(other));
  return [
    ...(keys.length === 0 ? ['its selector is empty'] : []),
    ...(selects(selector, template.metadata?.labels ?? {}) ? [] : ['its selector does not match its pods']),
    ...keys
      .filter((key) => /version|chart|managed-by|revision/.test(key))
      .map((key) => `its selector has ${key}, which an upgrade changes`),
    ...others
      .filter((other) => selects(selector, workloadOf(other).template.metadata?.labels ?? {}))
      .map((other) => `its selector matches the pods of ${nameOf(other)} too`),
  ].map((problem) => `${nameOf(object)}: ${problem}`);
}

function serviceProblems(object: KubernetesObject, templates: readonly PodTemplate[]): readonly string[] {
  const { selector = {}, ports = [] } = object['spec'] as Service;
  const chosen = templates.filter(({ metadata }) =>
    selects({ matchLabels: selector }, metadata.labels ?? {}),
  );
  const names = ports.map(({ name = '' }) => name);
  const hasPort = (wanted: number | string) =>
    chosen.every(({ spec }) =>
      spec.containers.some((container) =>
        (container.ports ?? []).some(
          ({ name, containerPort }) => wanted === name || wanted === containerPort,
        ),
      ),
    );
  return [
    ...(chosen.length === 0 ? ['it selects no pod'] : []),
    ...(chosen.length > 1
      ? [`it selects the pods of ${chosen.map(({ owner }) => nameOf(owner)).join(' and ')}`]
      : []),
    ...(names.length > 1 && names.includes('') ? ['one of several ports has no name'] : []),
    ...repeatedIn(names).map((name) => `two ports are named ${name}`),
    // Seen with helm 4 on Kubernetes 1.20: "associative list with keys has an element that omits key field".
    ...ports.flatMap(({ port, protocol }) =>
      protocol === undefined ? [`port ${port} names no protocol`] : [],
    ),
    ...ports.flatMap(({ port, targetPort = port }) =>
      hasPort(targetPort) ? [] : [`its pods have no port ${targetPort}`],
    ),
  ].map((problem) => `${nameOf(object)}: ${problem}`);
}

interface Selecting {
  readonly selector?: LabelSelector;
  readonly podSelector?: LabelSelector;
  readonly endpoints?: readonly { readonly port?: string }[];
  readonly minAvailable?: unknown;
  readonly maxUnavailable?: unknown;
}

/** What exists for pods or Services of the release has some. */
function selectionProblems(
  object: KubernetesObject,
  objects: readonly KubernetesObject[],
  templates: readonly PodTemplate[],
): readonly string[] {
  const spec = (object['spec'] ?? {}) as Selecting;
  const matchesPod = (selector: LabelSelector = {}) =>
    templates.some(({ metadata }) => selects(selector, metadata.labels ?? {}));
  const problems: string[] = [];
  if (object.kind === 'PodDisruptionBudget') {
    if (!matchesPod(spec.selector)) problems.push('it selects no pod');
    if (spec.minAvailable !== undefined && spec.maxUnavailable !== undefined)
      problems.push('minAvailable and maxUnavailable exclude each other');
  }
  if (object.kind === 'NetworkPolicy' && !matchesPod(spec.podSelector)) problems.push('it selects no pod');
  if (object.kind === 'ServiceMonitor') {
    const services = objects.filter(
      ({ kind, metadata }) => kind === 'Service' && selects(spec.selector ?? {}, metadata.labels ?? {}),
    );
    const ports = services.flatMap((service) =>
      ((service['spec'] as Service).ports ?? []).map(({ name }) => name),
    );
    if (services.length === 0) problems.push('it selects no Service');
    for (const { port } of spec.endpoints ?? [])
      if (!ports.includes(port)) problems.push(`no Service that it selects has a port ${port}`);
  }
  return problems.map((problem) => `${nameOf(object)}: ${problem}`);
}

interface SecretData {
  readonly data?: Readonly<Record<string, string>>;
  readonly stringData?: Readonly<Record<string, string>>;
}

interface KeyedSource {
  readonly secretName?: string;
  readonly name?: string;
  readonly items?: readonly { readonly key: string }[];
}

/** A key that is asked of a Secret of the release is in it. */
function secretKeyProblems(
  objects: readonly KubernetesObject[],
  templates: readonly PodTemplate[],
): readonly string[] {
  const keysOf = (name: string) => {
    const secret = objects.find(({ kind, metadata }) => kind === 'Secret' && metadata.name === name) as
      | SecretData
      | undefined;
    return secret === undefined ? undefined : Object.keys({ ...secret.data, ...secret.stringData });
  };
  const lacks = (name: string | undefined, key: string) =>
    name !== undefined && keysOf(name)?.includes(key) === false;
  const ofVolumes = templates.flatMap(({ owner, spec }) =>
    (spec.volumes ?? []).flatMap(({ secret }) => {
      const { secretName, items = [] } = (secret ?? {}) as KeyedSource;
      return items
        .filter(({ key }) => lacks(secretName, key))
        .map(({ key }) => `${nameOf(owner)}: Secret ${secretName} has no ${key}`);
    }),
  );
  const ofServices = objects.flatMap((object) => {
    const [name, key = ''] = (object.metadata.annotations?.['k8s-gpu-mcp/token-secret'] ?? '').split('/');
    return object.kind === 'Service' && name !== '' && lacks(name, key)
      ? [`${nameOf(object)}: Secret ${name} has no ${key}`]
      : [];
  });
  return [...ofVolumes, ...ofServices];
}
