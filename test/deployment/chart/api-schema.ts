import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv, type ValidateFunction } from 'ajv';
import { customResourceSchemas } from './custom-resource-schemas.ts';
import { type KubernetesObject, nameOf } from './kubernetes-objects.ts';

interface Fixture {
  readonly kinds: Readonly<Record<string, string>>;
  readonly definitions: Readonly<Record<string, object>>;
}

const fixture = JSON.parse(
  readFileSync(join(import.meta.dirname, 'fixtures', 'kubernetes-1.34.json'), 'utf8'),
) as Fixture;

const ajv = new Ajv({
  allErrors: true,
  allowUnionTypes: true,
  formats: {
    int32: { type: 'number', validate: (value: number) => Math.abs(value) < 2 ** 31 },
    int64: { type: 'number', validate: Number.isSafeInteger },
    'int-or-string': true,
    byte: /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/,
    'date-time': /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)$/,
    // https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
    quantity: /^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[KMGTPE]i|[numkMGTPE]|[eE][+-]?\d+)?$/,
  },
});
ajv.addSchema({ $id: 'kubernetes', definitions: fixture.definitions });

const validators = new Map<string, ValidateFunction>();

function validatorOf(key: string): ValidateFunction | undefined {
  const known = validators.get(key);
  if (known !== undefined) return known;
  const reference = fixture.kinds[key];
  const schema = reference === undefined ? customResourceSchemas[key] : { $ref: `kubernetes${reference}` };
  if (schema === undefined) return undefined;
  const made = ajv.compile(schema);
  validators.set(key, made);
  return made;
}

/** What an API server with strict field validation would refuse about the shape of this object. */
export function schemaProblems(object: KubernetesObject): readonly string[] {
  const key = `${object.apiVersion}/${object.kind}`;
  const validate = validatorOf(key);
  if (validate === undefined) return [`${nameOf(object)}: no schema of ${key} is known here`];
  if (validate(object)) return [];
  return (validate.errors ?? []).map(({ instancePath, message, params }) => {
    const unknown = 'additionalProperty' in params ? ` (${String(params['additionalProperty'])})` : '';
    return `${nameOf(object)} ${instancePath}: ${message}${unknown}`;
  });
}
