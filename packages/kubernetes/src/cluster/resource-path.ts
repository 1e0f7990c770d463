// Where the objects of a kind are in the API.

/** Kubernetes names: RFC 1123 subdomains, and nothing that means something in a path or a selector. */
export function isObjectName(name: string): boolean {
  return name.length <= 253 && /^[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?$/.test(name) && !name.includes('..');
}

/** What a label's value may be, so that it can stand in a selector. */
export function isLabelValue(value: string): boolean {
  return value.length <= 63 && /^[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?$/.test(value);
}

/**
 * The plural by which the API knows a kind: RayCluster is `rayclusters`, NIMProxy is `nimproxies`. English plurals, as the tools that
 * make custom resources form them; a kind with another plural is not found, and its owners are then not known.
 */
export function pluralOf(kind: string): string {
  const singular = kind.toLowerCase();
  if (/[^aeiou]y$/.test(singular)) return `${singular.slice(0, -1)}ies`;
  return /(?:s|x|z|ch|sh)$/.test(singular) ? `${singular}es` : `${singular}s`;
}

export interface KindLocation {
  /** `/apis/batch/v1`. */
  readonly root: string;
  readonly plural: string;
  /** As roles name it: `jobs.batch`. */
  readonly resource: string;
  /** Kinds with a domain in their group are somebody's own, and may have no namespaces. */
  readonly isCustom: boolean;
}

/** Null for what is no kind. */
export function locateKind(apiVersion: string, kind: string): KindLocation | null {
  if (!/^[A-Za-z][A-Za-z0-9]{0,62}$/.test(kind)) return null;
  const parts = /^(?:([a-z0-9][a-z0-9.-]{0,252})\/)?(v[a-z0-9]{1,31})$/.exec(apiVersion);
  if (parts === null || apiVersion.includes('..')) return null;
  const [, group, version] = parts;
  const plural = pluralOf(kind);
  return group === undefined
    ? { root: `/api/${version}`, plural, resource: plural, isCustom: false }
    : {
        root: `/apis/${group}/${version}`,
        plural,
        resource: `${plural}.${group}`,
        isCustom: group.includes('.'),
      };
}
