// Clients with typed requests (helm's own records, `kubectl create`) send objects as protobuf, in Kubernetes' envelope.
// Numbers of fields: the files generated.proto of k8s.io/api (core/v1, rbac/v1) and of k8s.io/apimachinery (meta/v1, runtime).

type Fields = ReadonlyMap<number, readonly Buffer[]>;

const magic = Buffer.from('k8s\0');

export const isProtobuf = (body: Buffer) => body.subarray(0, 4).equals(magic);

/** What follows the metadata, by kind. */
const bodies: Readonly<Record<string, (object: Fields) => object>> = {
  Namespace: () => ({}),
  Secret: (object) => ({ data: pairs(object, 2, 'base64'), type: text(object, 3) }),
  ConfigMap: (object) => ({ data: pairs(object, 2, 'utf8') }),
  RoleBinding: (object) => ({
    subjects: (object.get(2) ?? []).map(fieldsOf).map((subject) => ({
      ...{ kind: text(subject, 1), apiGroup: text(subject, 2), name: text(subject, 3) },
      namespace: text(subject, 4),
    })),
    roleRef: {
      apiGroup: text(fieldsOf(first(object, 3)), 1),
      kind: text(fieldsOf(first(object, 3)), 2),
      name: text(fieldsOf(first(object, 3)), 3),
    },
  }),
};

/** @returns undefined for other kinds than these. */
export function decodeObject(body: Buffer): unknown {
  const unknown = fieldsOf(body.subarray(4));
  const type = fieldsOf(first(unknown, 1));
  const kind = text(type, 2);
  const object = fieldsOf(first(unknown, 2));
  const rest = bodies[kind]?.(object);
  if (rest === undefined) return undefined;
  const meta = fieldsOf(first(object, 1));
  const metadata = {
    name: text(meta, 1),
    namespace: text(meta, 3) || undefined,
    resourceVersion: text(meta, 6) || undefined,
    labels: pairs(meta, 11, 'utf8'),
    annotations: pairs(meta, 12, 'utf8'),
  };
  return { apiVersion: text(type, 1), kind, metadata, ...rest };
}

/** What has a length, by the number of its field; plain numbers are passed over. */
function fieldsOf(bytes: Buffer): Fields {
  const fields = new Map<number, Buffer[]>();
  let at = 0;
  const number = () => {
    let value = 0;
    for (let shift = 1; ; shift *= 128) {
      const byte = bytes[at] ?? 0;
      at += 1;
      value += (byte & 127) * shift;
      if (byte < 128) return value;
    }
  };
  while (at < bytes.length) {
    const tag = number();
    const wire = tag % 8;
    if (wire === 0) number();
    else if (wire === 2) {
      const length = number();
      const field = Math.floor(tag / 8);
      fields.set(field, [...(fields.get(field) ?? []), bytes.subarray(at, at + length)]);
      at += length;
    } else at += wire === 1 ? 8 : 4;
  }
  return fields;
}

const first = (fields: Fields, field: number) => fields.get(field)?.[0] ?? Buffer.alloc(0);
const text = (fields: Fields, field: number) => first(fields, field).toString('utf8');
const pairs = (fields: Fields, field: number, encoding: 'utf8' | 'base64') =>
  Object.fromEntries(
    (fields.get(field) ?? []).map((entry) => {
      const pair = fieldsOf(entry);
      return [text(pair, 1), first(pair, 2).toString(encoding)];
    }),
  );
