import { randomBytes } from 'node:crypto';
import {
  ObjectStore,
  type ResourcePath,
  type StoredEvent,
} from '../../../packages/kubernetes/test/fake-api-server/object-store.ts';
import { matchesFields, matchesLabels } from '../../../packages/kubernetes/test/fake-api-server/selectors.ts';
import { isObject, type KubernetesObject, objectAt, objectsAt, stringsAt, textAt } from './json.ts';
import { pathOf, type Resource, resourceOf, resources } from './resources.ts';

export type { StoredEvent };

/** What the API server says no to, as the Status that clients get. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  readonly code: number;
  readonly reason: string;

  constructor(code: number, reason: string, message: string) {
    super(message);
    this.code = code;
    this.reason = reason;
  }
}

export interface Selection {
  readonly namespace?: string | null;
  readonly labels?: string;
  readonly fields?: string;
}

const now = () => new Date().toISOString().replace(/\.\d+Z$/, 'Z');

/** Every object of the cluster. Whoever changes one tells all who listen: the watches of clients and the controllers. */
export class ClusterState {
  readonly #store = new ObjectStore();
  readonly #listeners = new Set<(event: StoredEvent) => void>();

  get version(): string {
    return String(this.#store.version);
  }

  onChange(listener: (event: StoredEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  since(resource: Resource, version: number): StoredEvent[] {
    return this.#store.since(collectionOf(resource), version);
  }

  list(resource: Resource, selection: Selection = {}): KubernetesObject[] {
    return this.#store.all(collectionOf(resource)).filter((object) => isSelected(object, selection));
  }

  get(resource: Resource, namespace: string | null, name: string): KubernetesObject | undefined {
    return this.list(resource, { namespace }).find(({ metadata }) => metadata.name === name);
  }

  /** By kind, for the controllers. */
  all(kind: string, selection: Selection = {}): KubernetesObject[] {
    return this.list(resourceOfKind(kind), selection);
  }

  find(kind: string, namespace: string | null, name: string): KubernetesObject | undefined {
    return this.get(resourceOfKind(kind), namespace, name);
  }

  create(given: KubernetesObject, defaultNamespace: string | null, isDryRun = false): KubernetesObject {
    const resource = resourceOf(given.apiVersion ?? '', given.kind ?? '');
    if (resource === undefined)
      throw new ApiError(404, 'NotFound', `no kind "${given.kind}" in version "${given.apiVersion}"`);
    const namespace = resource.isNamespaced
      ? (given.metadata?.namespace ?? defaultNamespace ?? 'default')
      : null;
    const prefix = textAt(given, 'metadata', 'generateName');
    const name = given.metadata?.name ?? (prefix && `${prefix}${randomBytes(3).toString('hex').slice(0, 5)}`);
    if (!name) throw new ApiError(422, 'Invalid', `${resource.kind}: metadata.name: Required value`);
    if (namespace !== null && this.find('Namespace', null, namespace) === undefined)
      throw new ApiError(404, 'NotFound', `namespaces "${namespace}" not found`);
    if (this.get(resource, namespace, name) !== undefined)
      throw new ApiError(409, 'AlreadyExists', `${resource.plural} "${name}" already exists`);
    const metadata = {
      ...given.metadata,
      name,
      ...(namespace === null ? {} : { namespace }),
      creationTimestamp: now(),
      generation: 1,
    };
    const { resourceVersion: _, ...fresh } = metadata as typeof metadata & { resourceVersion?: string };
    return this.#write(resource, namespace, withDefaults({ ...given, metadata: fresh }), isDryRun);
  }

  /** `part`: the status changes by its own requests only, and the rest never by those. */
  replace(
    current: KubernetesObject,
    next: KubernetesObject,
    part: 'all' | 'status' = 'all',
    isDryRun = false,
  ): KubernetesObject {
    const resource = resourceOf(current.apiVersion ?? '', current.kind ?? '');
    if (resource === undefined) throw new ApiError(404, 'NotFound', `no kind "${current.kind}"`);
    const given = next.metadata.resourceVersion;
    if (given !== undefined && given !== '' && given !== current.metadata.resourceVersion)
      throw new ApiError(
        409,
        'Conflict',
        `${resource.plural} "${current.metadata.name}": the object has been modified`,
      );
    const hasStatus = resource.subresources.includes('status');
    const merged: KubernetesObject =
      part === 'status'
        ? { ...current, status: next['status'] }
        : withDefaults({ ...next, ...(hasStatus ? { status: current['status'] } : {}) });
    const isSame = JSON.stringify(merged['spec']) === JSON.stringify(current['spec']);
    const generation = Number(objectAt(current, 'metadata')['generation'] ?? 1) + (isSame ? 0 : 1);
    const { uid, namespace, creationTimestamp, deletionTimestamp } = current.metadata;
    const metadata = {
      ...merged.metadata,
      ...{ uid, creationTimestamp, generation, name: current.metadata.name },
      ...(namespace === undefined ? {} : { namespace }),
      ...(deletionTimestamp === undefined ? {} : { deletionTimestamp }),
    };
    const { resourceVersion: _, ...fresh } = metadata;
    const written: KubernetesObject = { ...merged, metadata: fresh as KubernetesObject['metadata'] };
    const { resourceVersion: __, ...before } = current.metadata;
    if (JSON.stringify(written) === JSON.stringify({ ...current, metadata: before })) return current;
    return this.#write(resource, namespace ?? null, written, isDryRun);
  }

  /** Of the object as it is now; nothing happens when it is gone. */
  setStatus(object: KubernetesObject, status: unknown): void {
    const current = this.find(object.kind ?? '', object.metadata.namespace ?? null, object.metadata.name);
    if (current === undefined || current.metadata.uid !== object.metadata.uid) return;
    if (JSON.stringify(current['status']) !== JSON.stringify(status))
      this.replace(current, { ...current, status }, 'status');
  }

  /** A pod is only marked: it goes when its containers have ended. */
  delete(object: KubernetesObject): void {
    const resource = resourceOf(object.apiVersion ?? '', object.kind ?? '');
    if (resource === undefined) return;
    if (object.kind === 'Pod' && textAt(object, 'spec', 'nodeName') !== undefined) {
      if (object.metadata.deletionTimestamp !== undefined) return;
      const metadata = { ...object.metadata, deletionTimestamp: now() };
      const { resourceVersion: _, ...fresh } = metadata;
      this.#write(resource, object.metadata.namespace ?? null, { ...object, metadata: fresh }, false);
      return;
    }
    this.remove(object);
  }

  remove(object: KubernetesObject): void {
    const resource = resourceOf(object.apiVersion ?? '', object.kind ?? '');
    if (resource === undefined) return;
    const path = storePath(resource, object.metadata.namespace ?? null);
    const event = this.#store.delete(path, object.metadata.name);
    if (event !== null) this.#tell(event);
  }

  #write(
    resource: Resource,
    namespace: string | null,
    object: KubernetesObject,
    isDryRun: boolean,
  ): KubernetesObject {
    if (isDryRun) return object;
    const event = this.#store.put(storePath(resource, namespace), object);
    this.#tell(event);
    return event.object;
  }

  #tell(event: StoredEvent): void {
    for (const listener of this.#listeners) listener(event);
  }
}

export const collectionOf = (resource: Resource) => `${pathOf(resource.groupVersion)}/${resource.plural}`;

const storePath = (resource: Resource, namespace: string | null): ResourcePath => ({
  groupVersion: pathOf(resource.groupVersion),
  resource: resource.plural,
  namespace,
  name: null,
});

function resourceOfKind(kind: string): Resource {
  const found = resources.find((each) => each.kind === kind);
  if (found === undefined) throw new Error(`the stand-in cluster has no kind ${kind}`);
  return found;
}

export function isSelected(object: KubernetesObject, { namespace, labels, fields }: Selection): boolean {
  return (
    (namespace === undefined || namespace === null || object.metadata.namespace === namespace) &&
    (!labels || matchesLabels(object, labels)) &&
    (!fields || matchesFields(object, fields))
  );
}

/** As a `spec.selector` has it: matchLabels with matchExpressions, or the bare labels of a Service. */
export function selectorText(selector: unknown): string {
  const isBare =
    isObject(selector) && selector['matchLabels'] === undefined && selector['matchExpressions'] === undefined;
  const equal = Object.entries(isBare ? stringsAt(selector) : stringsAt(selector, 'matchLabels'));
  const expressions = objectsAt(selector, 'matchExpressions').map((each) => {
    const key = textAt(each, 'key') ?? '';
    const operator = textAt(each, 'operator') ?? '';
    if (operator === 'Exists') return key;
    if (operator === 'DoesNotExist') return `!${key}`;
    const values = Array.isArray(each['values']) ? each['values'].join(',') : '';
    return `${key} ${operator === 'In' ? 'in' : 'notin'} (${values})`;
  });
  return [...equal.map(([key, value]) => `${key}=${value}`), ...expressions].join(',');
}

/** The few defaults that clients rely on. */
function withDefaults(object: KubernetesObject): KubernetesObject {
  if (object.kind !== 'Secret' || object['stringData'] === undefined) return object;
  const { stringData: _, ...rest } = object;
  const plain = Object.entries(stringsAt(object, 'stringData')).map(
    ([key, value]) => [key, Buffer.from(value).toString('base64')] as const,
  );
  return {
    ...(rest as KubernetesObject),
    data: { ...objectAt(object, 'data'), ...Object.fromEntries(plain) },
  };
}
