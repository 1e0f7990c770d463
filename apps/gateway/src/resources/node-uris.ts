const reserved: ReadonlySet<string> = new Set(['cluster', 'catalog']);

/**
 * A node's name as the host of a `gpu:` URI. Whatever cannot stand there is percent-encoded. A node that is called as one of the two words
 * that mean something else has its first letter encoded (`gpu://%63luster/health`), so that it can be asked for too.
 */
export function nodeUriPart(node: string): string {
  // Half a surrogate pair cannot be encoded; no node is called so.
  const part = encodeURIComponent(node.replace(/[\ud800-\udfff]/gu, '\ufffd'));
  return reserved.has(node) ? `%${node.charCodeAt(0).toString(16)}${part.slice(1)}` : part;
}

/** Whether the plain escaping of a URI template gives the node's own URI. */
export const isPlainNode = (node: string) => !reserved.has(node) && !/[\ud800-\udfff]/u.test(node);

/** The name in such a part; undefined for what is none. */
export function nodeOfUriPart(part: string): string | undefined {
  if (part.length === 0 || part.length > 2_048 || reserved.has(part)) return undefined;
  try {
    return decodeURIComponent(part);
  } catch {
    return undefined;
  }
}

export const nodeResourceKinds = ['inventory', 'health', 'xid', 'events'] as const;
export type NodeResourceKind = (typeof nodeResourceKinds)[number];

export const nodeUri = (node: string, kind: NodeResourceKind) => `gpu://${nodeUriPart(node)}/${kind}`;

/** What a URI of the gateway is about; undefined for what does not change, and what is none. */
export type ChangingResource =
  | { readonly scope: 'cluster'; readonly kind: 'health' | 'events' }
  | { readonly scope: 'node'; readonly node: string; readonly kind: 'health' | 'xid' | 'events' }
  | { readonly scope: 'gpu'; readonly node: string; readonly gpu: string };

export function changingResourceOf(uri: string): ChangingResource | undefined {
  const [, part = '', kind = '', id] =
    /^gpu:\/\/([^/]{1,2048})\/([a-z]+)(?:\/([^/]{1,400}))?$/.exec(uri) ?? [];
  if (part === 'cluster') {
    return id === undefined && (kind === 'health' || kind === 'events')
      ? { scope: 'cluster', kind }
      : undefined;
  }
  const node = nodeOfUriPart(part);
  if (node === undefined) return undefined;
  if (id !== undefined) {
    const gpu = kind === 'gpus' ? decoded(id) : undefined;
    return gpu === undefined ? undefined : { scope: 'gpu', node, gpu };
  }
  return kind === 'health' || kind === 'xid' || kind === 'events' ? { scope: 'node', node, kind } : undefined;
}

/** Percent-encoding undone; undefined where it is none. */
export function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
