// Makes fixtures/kubernetes-1.34.json: of the OpenAPI v3 documents of a Kubernetes API server, the kinds that the chart renders and what they
// refer to, as JSON Schema that refuses fields it does not know. Without descriptions, and without what only a server fills in.
// Usage: kubectl get --raw /openapi/v3/api/v1 >DIRECTORY/api_v1.json (and /openapi/v3/apis/apps/v1 >DIRECTORY/apis_apps_v1.json, ...)
//        node test/deployment/chart/reduce-openapi.mjs DIRECTORY
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const kinds = [
  ...['ConfigMap', 'Namespace', 'Pod', 'Secret', 'Service', 'ServiceAccount'].map((kind) => ['v1', kind]),
  ...['DaemonSet', 'Deployment'].map((kind) => ['apps/v1', kind]),
  ['networking.k8s.io/v1', 'NetworkPolicy'],
  ['node.k8s.io/v1', 'RuntimeClass'],
  ['policy/v1', 'PodDisruptionBudget'],
  ...['ClusterRole', 'ClusterRoleBinding', 'Role', 'RoleBinding'].map((kind) => [
    'rbac.authorization.k8s.io/v1',
    kind,
  ]),
  ...['DeviceClass', 'ResourceClaim', 'ResourceClaimTemplate'].map((kind) => ['resource.k8s.io/v1', kind]),
];
const serverFields = new Set(['status', 'managedFields']);
const kept = ['type', 'format', 'enum', 'required'];
const prefix = '#/components/schemas/';

const directory = process.argv[2];
if (directory === undefined) throw new Error('name the directory with the OpenAPI documents');
const schemas = Object.assign(
  {},
  ...readdirSync(directory)
    .filter((file) => file.endsWith('.json'))
    .map((file) => JSON.parse(readFileSync(join(directory, file), 'utf8')).components.schemas),
);

const definitions = {};
const kindReferences = Object.fromEntries(
  kinds.map(([apiVersion, kind]) => [`${apiVersion}/${kind}`, define(definitionOf(apiVersion, kind))]),
);
const ordered = Object.fromEntries(Object.entries(definitions).sort(([a], [b]) => (a < b ? -1 : 1)));
writeFileSync(
  join(import.meta.dirname, 'fixtures', 'kubernetes-1.34.json'),
  `${JSON.stringify({ kinds: kindReferences, definitions: ordered }, null, 1)}\n`,
);

function definitionOf(apiVersion, kind) {
  const [version, group = ''] = apiVersion.split('/').reverse();
  const isKind = (one) => one.group === group && one.version === version && one.kind === kind;
  const found = Object.entries(schemas).filter(
    ([, schema]) =>
      // Options such as DeleteOptions carry many kinds; an object carries one.
      schema['x-kubernetes-group-version-kind']?.length === 1 &&
      isKind(schema['x-kubernetes-group-version-kind'][0]),
  );
  if (found.length !== 1) throw new Error(`${found.length} schemas are ${apiVersion} ${kind}`);
  return found[0][0];
}

function define(name) {
  const short = name.replace(/^io\.k8s\.(?:api|apimachinery\.pkg|kube-aggregator\.pkg)\./, '');
  if (definitions[short] === undefined) {
    // Known before it is reduced: some refer to themselves.
    definitions[short] = {};
    Object.assign(definitions[short], reduce(schemas[name], short));
  }
  return `#/definitions/${short}`;
}

function reduce(schema, name) {
  if (schema.$ref !== undefined) return { $ref: define(schema.$ref.slice(prefix.length)) };
  // A reference that has a default beside it is wrapped.
  if (schema.allOf?.length === 1) return reduce(schema.allOf[0], name);
  if (name.endsWith('.Quantity'))
    return { oneOf: [{ type: 'string', format: 'quantity' }, { type: 'number' }] };
  if (schema.oneOf !== undefined) return { oneOf: schema.oneOf.map((one) => reduce(one, name)) };
  const reduced = Object.fromEntries(
    kept.filter((key) => schema[key] !== undefined).map((key) => [key, schema[key]]),
  );
  if (schema.items !== undefined) reduced.items = reduce(schema.items, '');
  if (typeof schema.additionalProperties === 'object')
    reduced.additionalProperties = reduce(schema.additionalProperties, '');
  if (schema.properties === undefined) return reduced;
  const fields = Object.entries(schema.properties).filter(([field]) => !serverFields.has(field));
  reduced.properties = Object.fromEntries(fields.map(([field, one]) => [field, reduce(one, '')]));
  reduced.additionalProperties = false;
  return reduced;
}
