import type { Selection } from './cluster-state.ts';
import { pathOf, type Resource, resources } from './resources.ts';

/** What a request is about, read from its path. */
export interface Target {
  readonly resource: Resource;
  readonly namespace: string | null;
  readonly name: string | null;
  readonly subresource: string | null;
}

/** `/apis/apps/v1/namespaces/gpu/daemonsets/agent/status` and its parts. */
export function targetOf(path: string): Target | undefined {
  const [, groupVersionPath = '', rest = ''] = /^(\/api\/v1|\/apis\/[^/]+\/[^/]+)\/(.+)$/.exec(path) ?? [];
  const parts = rest.split('/').map(decodeURIComponent);
  const isInNamespace = parts[0] === 'namespaces' && parts.length > 2;
  const [plural, name = null, subresource = null] = isInNamespace ? parts.slice(2) : parts;
  const resource = resources.find(
    (each) => pathOf(each.groupVersion) === groupVersionPath && each.plural === plural,
  );
  if (resource === undefined) return undefined;
  return { resource, namespace: isInNamespace ? (parts[1] ?? null) : null, name, subresource };
}

export const selectionOf = (namespace: string | null, query: URLSearchParams): Selection => ({
  namespace,
  labels: query.get('labelSelector') ?? '',
  fields: query.get('fieldSelector') ?? '',
});
