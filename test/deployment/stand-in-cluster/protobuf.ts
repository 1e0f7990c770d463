// Clients with typed requests (helm's own records, `kubectl create`) send Secrets and ConfigMaps as protobuf, in Kubernetes' envelope.
// Numbers of fields: k8s.io/api/core/v1/generated.proto and k8s.io/apimachinery/pkg/apis/meta/v1/generated.proto.

type Fields = ReadonlyMap<number, readonly Buffer[]>;

const magic = Buffer.from('k8s\0');

export const isProtobuf = (body: Buffer) => body.subarray(0, 4).equals(magic);

/** @returns undefined for kinds other than Secret and ConfigMap. */
export function decodeObject(body: Buffer): unknown {
  const unknown = fieldsOf(body.subarray(4));
  const type = fieldsOf(first(unknown, 1));
  const [apiVersion, kind] = [text(type, 1), text(type, 2)];
  if (apiVersion !== 'v1' || (kind !== 'Secret' && kind !== 'ConfigMap')) return undefined;
  const object = fieldsOf(first(unknown, 2));
  const meta = fieldsOf(first(object, 1));
  const metadata = {
    name: text(meta, 1),
    namespace: text(meta, 3) || undefined,
    resourceVersion: text(meta, 6) || undefined,
    labels: pairs(meta, 11, 'utf8'),
    annotations: pairs(meta, 12, 'utf8'),
  };
  const data = pairs(object, 2, kind === 'Secret' ? 'base64' : 'utf8');
  return { apiVersion, kind, metadata, data, ...(kind === 'Secret' ? { type: text(object, 3) } : {}) };
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
