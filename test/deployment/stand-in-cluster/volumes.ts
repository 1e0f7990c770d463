import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { ClusterState } from './cluster-state.ts';
import { type JsonObject, type KubernetesObject, objectAt, objectsAt, stringsAt, textAt } from './json.ts';

/** A pod waits with this as its reason; it may pass when somebody creates what is missing. */
export class PodCannotStart extends Error {
  override readonly name = 'PodCannotStart';
}

export const serviceAccountDirectory = '/var/run/secrets/kubernetes.io/serviceaccount';

export interface Mount {
  readonly mountPath: string;
  /** On this machine. */
  readonly hostPath: string;
  readonly isReadOnly: boolean;
}

export interface VolumeSources {
  readonly state: ClusterState;
  /** The files of a service account: token, ca.crt, namespace. */
  readonly accountFiles: (namespace: string, account: string) => Readonly<Record<string, string>>;
}

/** Writes every volume of a pod as files below the folder; by name of the volume. */
export function writeVolumes(
  pod: KubernetesObject,
  folder: string,
  { state, accountFiles }: VolumeSources,
): ReadonlyMap<string, string> {
  const namespace = pod.metadata.namespace ?? '';
  const account = textAt(pod, 'spec', 'serviceAccountName') ?? 'default';
  const data = (kind: string, name: string | undefined, isOptional: boolean): Record<string, Buffer> => {
    const object = state.find(kind, namespace, name ?? '');
    if (object === undefined) {
      if (isOptional) return {};
      throw new PodCannotStart(`${kind.toLowerCase()} "${name}" not found`);
    }
    const encoding = kind === 'Secret' ? 'base64' : 'utf8';
    return Object.fromEntries(
      Object.entries(stringsAt(object, 'data')).map(([key, value]) => [key, Buffer.from(value, encoding)]),
    );
  };
  const filesOf = (source: JsonObject): Record<string, Buffer> => {
    const files: Record<string, Buffer> = {};
    for (const [field, kind] of [
      ['secret', 'Secret'],
      ['configMap', 'ConfigMap'],
    ] as const) {
      const given = source[field];
      if (given === undefined) continue;
      const name = textAt(given, 'secretName') ?? textAt(given, 'name');
      Object.assign(
        files,
        chosen(data(kind, name, objectAt(given)['optional'] === true), objectsAt(given, 'items'), name),
      );
    }
    for (const each of objectsAt(source, 'downwardAPI', 'items'))
      files[textAt(each, 'path') ?? ''] = Buffer.from(
        fieldOf(pod, textAt(each, 'fieldRef', 'fieldPath') ?? ''),
      );
    if (source['serviceAccountToken'] !== undefined) {
      const { token = '' } = accountFiles(namespace, account);
      files[textAt(source, 'serviceAccountToken', 'path') ?? 'token'] = Buffer.from(token);
    }
    for (const each of objectsAt(source, 'projected', 'sources')) Object.assign(files, filesOf(each));
    return files;
  };
  const volumes = new Map<string, string>();
  for (const volume of objectsAt(pod, 'spec', 'volumes')) {
    const name = textAt(volume, 'name') ?? '';
    const hostPath = textAt(volume, 'hostPath', 'path');
    const target = hostPath ?? join(folder, 'volumes', name);
    if (hostPath === undefined) {
      mkdirSync(target, { recursive: true });
      // Any user may write into an emptyDir.
      if (volume['emptyDir'] !== undefined) chmodSync(target, 0o777);
      for (const [path, content] of Object.entries(filesOf(volume))) {
        const file = join(target, path);
        mkdirSync(dirname(file), { recursive: true });
        writeFileSync(file, content);
        chmodSync(file, 0o644);
      }
    }
    volumes.set(name, target);
  }
  return volumes;
}

/** The files of the service account, unless the pod or the account asks for none. */
export function writeServiceAccount(
  pod: KubernetesObject,
  folder: string,
  { state, accountFiles }: VolumeSources,
): string | undefined {
  const namespace = pod.metadata.namespace ?? '';
  const name = textAt(pod, 'spec', 'serviceAccountName') ?? 'default';
  const account = state.find('ServiceAccount', namespace, name);
  const wants =
    objectAt(pod, 'spec')['automountServiceAccountToken'] ?? account?.['automountServiceAccountToken'];
  if (wants === false) return undefined;
  const target = join(folder, 'service-account');
  mkdirSync(target, { recursive: true });
  for (const [file, content] of Object.entries(accountFiles(namespace, name)))
    writeFileSync(join(target, file), content);
  return target;
}

function chosen(
  data: Record<string, Buffer>,
  items: readonly JsonObject[],
  name: string | undefined,
): Record<string, Buffer> {
  if (items.length === 0) return data;
  return Object.fromEntries(
    items.map((item) => {
      const key = textAt(item, 'key') ?? '';
      const content = data[key];
      if (content === undefined) throw new PodCannotStart(`"${name}" has no key "${key}"`);
      return [textAt(item, 'path') ?? key, content];
    }),
  );
}

export function mountsOf(container: JsonObject, volumes: ReadonlyMap<string, string>): readonly Mount[] {
  return objectsAt(container, 'volumeMounts').map((mount) => {
    const name = textAt(mount, 'name') ?? '';
    const volume = volumes.get(name);
    if (volume === undefined) throw new PodCannotStart(`no volume "${name}" for a volumeMount`);
    return {
      mountPath: textAt(mount, 'mountPath') ?? '',
      hostPath: join(volume, textAt(mount, 'subPath') ?? ''),
      isReadOnly: mount['readOnly'] === true,
    };
  });
}

/** A field as `fieldRef` names it. */
export function fieldOf(pod: KubernetesObject, path: string): string {
  const quoted = /^metadata\.(labels|annotations)\['(.+)'\]$/.exec(path);
  if (quoted !== null) return textAt(pod, 'metadata', quoted[1] ?? '', quoted[2] ?? '') ?? '';
  const value = textAt(pod, ...path.split('.'));
  if (value === undefined) throw new PodCannotStart(`no field ${path}`);
  return value;
}

export function environmentOf(
  pod: KubernetesObject,
  container: JsonObject,
  state: ClusterState,
): Readonly<Record<string, string>> {
  const namespace = pod.metadata.namespace ?? '';
  const variables: Record<string, string> = {};
  for (const each of objectsAt(container, 'env')) {
    const name = textAt(each, 'name') ?? '';
    const plain = textAt(each, 'value');
    const field = textAt(each, 'valueFrom', 'fieldRef', 'fieldPath');
    const resource = textAt(each, 'valueFrom', 'resourceFieldRef', 'resource');
    if (field !== undefined) variables[name] = fieldOf(pod, field);
    else if (resource !== undefined)
      variables[name] = textAt(container, 'resources', ...resource.split('.')) ?? '';
    else if (each['valueFrom'] === undefined) variables[name] = expanded(plain ?? '', variables);
    for (const [source, kind] of [
      ['secretKeyRef', 'Secret'],
      ['configMapKeyRef', 'ConfigMap'],
    ] as const) {
      const reference = objectAt(each, 'valueFrom', source);
      const [from, key] = [textAt(reference, 'name'), textAt(reference, 'key')];
      if (from === undefined || key === undefined) continue;
      const value = textAt(state.find(kind, namespace, from), 'data', key);
      if (value !== undefined)
        variables[name] = kind === 'Secret' ? Buffer.from(value, 'base64').toString('utf8') : value;
      else if (reference['optional'] !== true) throw new PodCannotStart(`no key ${key} in ${kind} ${from}`);
    }
  }
  return variables;
}

/** `$(NAME)` as in args and values. */
export const expanded = (text: string, variables: Readonly<Record<string, string>>) =>
  text.replace(/\$\(([^)]+)\)/g, (all, name: string) => variables[name] ?? all);
