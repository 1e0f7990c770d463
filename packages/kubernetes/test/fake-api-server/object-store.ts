import { randomUUID } from 'node:crypto';
import type { KubernetesObject } from '../../src/kubernetes-api.ts';

/** Where a path leads: `/api/v1/namespaces/gpu/pods/agent-1` is `/api/v1`, `pods`, `gpu`, `agent-1`. */
export interface ResourcePath {
  readonly groupVersion: string;
  readonly resource: string;
  readonly namespace: string | null;
  readonly name: string | null;
}

export interface StoredEvent {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  readonly collection: string;
  readonly version: number;
  readonly object: KubernetesObject;
  /** Before the change; null when it is new. Tells whether a selector saw it before. */
  readonly before: KubernetesObject | null;
}

export function parseResourcePath(path: string): ResourcePath | null {
  const [, groupVersion = '', rest = ''] = /^(\/api\/v1|\/apis\/[^/]+\/[^/]+)\/(.+)$/.exec(path) ?? [];
  const parts = rest.split('/').map(decodeURIComponent);
  if (groupVersion === '') return null;
  // `/api/v1/namespaces` and `/api/v1/namespaces/NAME` are objects of their own.
  const namespace = parts[0] === 'namespaces' && parts.length > 2 ? (parts[1] ?? null) : null;
  const [resource, name, ...more] = namespace === null ? parts : parts.slice(2);
  if (!resource || more.length > 0) return null;
  return { groupVersion, resource, namespace, name: name ?? null };
}

export const collectionOf = ({ groupVersion, resource }: ResourcePath) => `${groupVersion}/${resource}`;

/** Objects with one version counter over all of them, and the changes since the last compaction: what etcd is to the API server. */
export class ObjectStore {
  version = 1;
  /** Changes up to here are forgotten. */
  compactedVersion = 0;
  readonly #objects = new Map<string, Map<string, KubernetesObject>>();
  #history: StoredEvent[] = [];

  /** In the order of the server: by namespace and name. */
  all(collection: string): KubernetesObject[] {
    return [...(this.#objects.get(collection) ?? [])]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([, object]) => object);
  }

  since(collection: string, version: number): StoredEvent[] {
    return this.#history.filter((event) => event.collection === collection && event.version > version);
  }

  compact(): void {
    this.#history = [];
    this.compactedVersion = this.version;
  }

  /** A `resourceVersion` that the object brings is kept, for recordings; the counter never goes back. */
  put(path: ResourcePath, object: KubernetesObject): StoredEvent {
    const given = Number(object.metadata.resourceVersion ?? Number.NaN);
    const namespace = object.metadata.namespace ?? path.namespace;
    const key = `${namespace ?? ''}\u0000${object.metadata.name}`;
    const objects = this.#of(path);
    const before = objects.get(key) ?? null;
    const version = this.#next(given);
    const stored: KubernetesObject = {
      ...object,
      metadata: {
        uid: before?.metadata.uid ?? randomUUID(),
        creationTimestamp: before?.metadata.creationTimestamp ?? '2026-01-01T00:00:00Z',
        ...object.metadata,
        ...(namespace === null ? {} : { namespace }),
        resourceVersion: String(version),
      },
    };
    objects.set(key, stored);
    return this.#record({ type: before ? 'MODIFIED' : 'ADDED', version, object: stored, before }, path);
  }

  delete(path: ResourcePath, name: string, last?: KubernetesObject): StoredEvent | null {
    const objects = this.#of(path);
    const key = `${last?.metadata.namespace ?? path.namespace ?? ''}\u0000${name}`;
    const before = objects.get(key);
    if (!before) return null;
    objects.delete(key);
    const version = this.#next(Number(last?.metadata.resourceVersion ?? Number.NaN));
    const metadata = { ...(last ?? before).metadata, resourceVersion: String(version) };
    return this.#record(
      { type: 'DELETED', version, object: { ...(last ?? before), metadata }, before },
      path,
    );
  }

  #of(path: ResourcePath): Map<string, KubernetesObject> {
    const collection = collectionOf(path);
    const objects = this.#objects.get(collection) ?? new Map<string, KubernetesObject>();
    this.#objects.set(collection, objects);
    return objects;
  }

  #next(given: number): number {
    this.version = given > this.version ? given : this.version + 1;
    return this.version;
  }

  #record(event: Omit<StoredEvent, 'collection'>, path: ResourcePath): StoredEvent {
    const stored = { ...event, collection: collectionOf(path) };
    this.#history.push(stored);
    return stored;
  }
}
