/** The URIs of a node's resources. */
export interface NodeResourceUris {
  readonly inventory: string;
  readonly health: string;
  readonly xid: string;
  readonly events: string;
  /** RFC 6570, over `id`. */
  readonly gpuTemplate: string;
  gpu(id: string): string;
  /** The id in the URI of a GPU; undefined for every other. */
  gpuOf(uri: string): string | undefined;
}

export function nodeResourceUris(nodeName: string): NodeResourceUris {
  const base = `gpu://${encodeURIComponent(nodeName)}/`;
  const gpus = `${base}gpus/`;
  return {
    inventory: `${base}inventory`,
    health: `${base}health`,
    xid: `${base}xid`,
    events: `${base}events`,
    gpuTemplate: `${gpus}{id}`,
    // The colons of a PCI address are allowed in a path.
    gpu: (id) => `${gpus}${encodeURIComponent(id).replaceAll('%3A', ':')}`,
    gpuOf(uri) {
      const id = uri.startsWith(gpus) ? uri.slice(gpus.length) : '';
      return id === '' || id.includes('/') ? undefined : decoded(id);
    },
  };
}

/** Percent-encoding undone; undefined where it is none. */
export function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
