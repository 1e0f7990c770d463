import type { ServerResponse } from 'node:http';
import { type ClusterState, collectionOf, isSelected, type StoredEvent } from './cluster-state.ts';
import type { KubernetesObject } from './json.ts';
import { selectionOf, type Target } from './target.ts';

/** Tells of every change to what is asked for, as lines of JSON, until the time is over or the client goes. */
export function watch(
  state: ClusterState,
  { resource, namespace, name }: Target,
  query: URLSearchParams,
  response: ServerResponse,
): void {
  const selection = selectionOf(namespace, query);
  const isMeant = (object: KubernetesObject | null) =>
    object !== null && isSelected(object, selection) && (name === null || object.metadata.name === name);
  const write = (type: string, object: unknown) => response.write(`${JSON.stringify({ type, object })}\n`);
  const tell = (event: StoredEvent) => {
    const was = isMeant(event.before);
    const is = event.type !== 'DELETED' && isMeant(event.object);
    if (is) write(was ? 'MODIFIED' : 'ADDED', event.object);
    else if (was) write('DELETED', event.object);
  };
  response.writeHead(200, { 'content-type': 'application/json' });
  response.flushHeaders();
  const from = query.get('resourceVersion') ?? '';
  const wantsInitial = query.get('sendInitialEvents') === 'true';
  if (wantsInitial || from === '' || from === '0') {
    for (const object of state.list(resource).filter(isMeant)) write('ADDED', object);
    if (wantsInitial)
      write('BOOKMARK', {
        kind: resource.kind,
        apiVersion: resource.groupVersion,
        metadata: { resourceVersion: state.version, annotations: { 'k8s.io/initial-events-end': 'true' } },
      });
  } else for (const event of state.since(resource, Number(from))) tell(event);
  const stop = state.onChange((event) => {
    if (event.collection === collectionOf(resource)) tell(event);
  });
  const seconds = Number(query.get('timeoutSeconds') ?? 1_800);
  const timer = setTimeout(() => response.end(), seconds * 1_000);
  response.on('close', () => {
    clearTimeout(timer);
    stop();
  });
}
