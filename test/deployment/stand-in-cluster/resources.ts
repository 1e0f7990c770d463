// The kinds that this API server knows, as a real one lists them in its discovery.

export interface Resource {
  readonly groupVersion: string;
  readonly kind: string;
  readonly plural: string;
  readonly isNamespaced: boolean;
  readonly shortNames: readonly string[];
  readonly subresources: readonly string[];
}

/** `KIND PLURAL SHORT,...`; a plural with a star is of the whole cluster. */
const table: Readonly<Record<string, readonly string[]>> = {
  v1: [
    'Namespace namespaces* ns',
    'Node nodes* no status',
    'Pod pods po status,exec,portforward,log,eviction',
    'Service services svc status',
    'ServiceAccount serviceaccounts sa',
    'Secret secrets',
    'ConfigMap configmaps cm',
    'Event events ev',
    'Endpoints endpoints ep',
  ],
  'apps/v1': [
    'DaemonSet daemonsets ds status',
    'Deployment deployments deploy status,scale',
    'ReplicaSet replicasets rs status',
    'StatefulSet statefulsets sts status',
  ],
  'batch/v1': ['Job jobs - status', 'CronJob cronjobs cj status'],
  'policy/v1': ['PodDisruptionBudget poddisruptionbudgets pdb status'],
  'networking.k8s.io/v1': ['NetworkPolicy networkpolicies netpol'],
  'rbac.authorization.k8s.io/v1': [
    'Role roles',
    'RoleBinding rolebindings',
    'ClusterRole clusterroles*',
    'ClusterRoleBinding clusterrolebindings*',
  ],
  'authorization.k8s.io/v1': ['SelfSubjectAccessReview selfsubjectaccessreviews*'],
  'discovery.k8s.io/v1': ['EndpointSlice endpointslices'],
  'node.k8s.io/v1': ['RuntimeClass runtimeclasses*'],
  'resource.k8s.io/v1': [
    'ResourceClaim resourceclaims - status',
    'ResourceClaimTemplate resourceclaimtemplates',
    'DeviceClass deviceclasses*',
  ],
};

export const resources: readonly Resource[] = Object.entries(table).flatMap(([groupVersion, lines]) =>
  lines.map((line) => {
    const [kind = '', plural = '', shorts = '-', subresources = ''] = line.split(' ');
    return {
      groupVersion,
      kind,
      plural: plural.replace('*', ''),
      isNamespaced: !plural.endsWith('*'),
      shortNames: shorts === '-' ? [] : shorts.split(','),
      subresources: subresources.split(',').filter(Boolean),
    };
  }),
);

export const groupVersions = Object.keys(table);
export const pathOf = (groupVersion: string) => (groupVersion === 'v1' ? '/api/v1' : `/apis/${groupVersion}`);
export const groupOf = (groupVersion: string) =>
  groupVersion.includes('/') ? (groupVersion.split('/')[0] ?? '') : '';

export function resourceOf(apiVersion: string, kind: string): Resource | undefined {
  return resources.find((each) => each.groupVersion === apiVersion && each.kind === kind);
}

/** Answers to what clients ask before anything else, by path. */
export function discovery(path: string): unknown {
  if (path === '/version') return { major: '1', minor: '34', gitVersion: 'v1.34.0', platform: 'linux/amd64' };
  if (path === '/api') return { kind: 'APIVersions', versions: ['v1'] };
  const groups = groupVersions.flatMap((groupVersion) => {
    const [name, version] = groupVersion.split('/');
    if (version === undefined) return [];
    const entry = { groupVersion, version };
    return [{ name, versions: [entry], preferredVersion: entry }];
  });
  if (path === '/apis') return { kind: 'APIGroupList', apiVersion: 'v1', groups };
  const groupVersion = groupVersions.find((each) => pathOf(each) === path);
  if (groupVersion !== undefined) return resourceList(groupVersion);
  if (path === '/openapi/v3')
    return {
      paths: Object.fromEntries(
        groupVersions.map((each) => [
          pathOf(each).slice(1),
          { serverRelativeURL: `/openapi/v3${pathOf(each)}?hash=1` },
        ]),
      ),
    };
  const described = groupVersions.find((each) => `/openapi/v3${pathOf(each)}` === path);
  return described === undefined ? undefined : openApi(described);
}

const verbs = ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch'];

function resourceList(groupVersion: string): unknown {
  const known = resources.filter((each) => each.groupVersion === groupVersion);
  const entries = known.flatMap(({ kind, plural, isNamespaced, shortNames, subresources }) => [
    { name: plural, singularName: kind.toLowerCase(), namespaced: isNamespaced, kind, verbs, shortNames },
    ...subresources.map((subresource) => ({
      name: `${plural}/${subresource}`,
      singularName: '',
      namespaced: isNamespaced,
      kind,
      verbs: ['create', 'get', 'patch', 'update'],
    })),
  ]);
  return { kind: 'APIResourceList', apiVersion: 'v1', groupVersion, resources: entries };
}

/** Clients look here whether the server checks the fields of what it is given; then they leave it to the server. */
function openApi(groupVersion: string): unknown {
  const paths = resources
    .filter((each) => each.groupVersion === groupVersion)
    .map(({ kind, plural, isNamespaced }) => {
      const [version = '', group = ''] = groupVersion.split('/').reverse();
      const path = `${pathOf(groupVersion)}${isNamespaced ? '/namespaces/{namespace}' : ''}/${plural}/{name}`;
      const operation = {
        operationId: `patch${kind}`,
        parameters: [{ name: 'fieldValidation', in: 'query', schema: { type: 'string', uniqueItems: true } }],
        responses: {},
        'x-kubernetes-action': 'patch',
        'x-kubernetes-group-version-kind': { group, version, kind },
      };
      return [path, { patch: operation }] as const;
    });
  return {
    openapi: '3.0.0',
    info: { title: 'stand-in', version: '1' },
    paths: Object.fromEntries(paths),
    components: { schemas: {} },
  };
}
