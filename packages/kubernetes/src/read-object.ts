import type { KubernetesObject, ObjectMetadata } from './kubernetes-api.ts';

/** The API server's own limit for names is 253 characters; keys of ours are made of names. */
const MAXIMUM_NAME_CHARACTERS = 1_024;

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isName(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && value.length <= MAXIMUM_NAME_CHARACTERS;
}

function isTextRecord(value: unknown): boolean {
  return isRecord(value) && Object.values(value).every((text) => typeof text === 'string');
}

function isOwnerReferences(value: unknown): boolean {
  return (
    Array.isArray(value) &&
    value.every(
      (owner) =>
        isRecord(owner) && ['apiVersion', 'kind', 'name', 'uid'].every((field) => isName(owner[field])),
    )
  );
}

const isText = (value: unknown): boolean => typeof value === 'string';

/** What the types of `ObjectMetadata` promise; a field that is otherwise is left out, so that nobody trips over it. */
const metadataFields: Readonly<Record<string, (value: unknown) => boolean>> = {
  namespace: isName,
  uid: isText,
  resourceVersion: isText,
  creationTimestamp: isText,
  deletionTimestamp: isText,
  labels: isTextRecord,
  annotations: isTextRecord,
  ownerReferences: isOwnerReferences,
};

/** An object as its type says, or null when it has no name or no form at all. `defaults`: what a list says once for all its items. */
export function readObject(
  value: unknown,
  defaults: { apiVersion?: string; kind?: string } = {},
): KubernetesObject | null {
  if (!isRecord(value) || !isRecord(value['metadata'])) return null;
  const { metadata, apiVersion, kind, ...rest } = value;
  if (!isName(metadata['name'])) return null;
  const wrong = Object.entries(metadata).filter(([field, content]) => {
    const isRight = metadataFields[field];
    return isRight !== undefined && !isRight(content);
  });
  const clean =
    wrong.length === 0
      ? metadata
      : Object.fromEntries(
          Object.entries(metadata).filter(([field]) => !wrong.some(([name]) => name === field)),
        );
  const version = isName(apiVersion) ? apiVersion : defaults.apiVersion;
  const kindName = isName(kind) ? kind : defaults.kind;
  return {
    ...(version === undefined ? {} : { apiVersion: version }),
    ...(kindName === undefined ? {} : { kind: kindName }),
    ...rest,
    metadata: clean as ObjectMetadata,
  };
}
