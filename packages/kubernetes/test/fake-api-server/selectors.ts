import type { KubernetesObject } from '../../src/kubernetes-api.ts';

/** A label selector as the API takes it: `a=b,c!=d,e,!f,g in (x,y),h notin (z)`. */
export function matchesLabels(object: KubernetesObject, selector: string): boolean {
  const labels = object.metadata.labels ?? {};
  return splitOutsideBrackets(selector).every((requirement) => {
    const set = /^(\S+)\s+(in|notin)\s+\(([^)]*)\)$/.exec(requirement);
    if (set) {
      const [, name = '', operator, list = ''] = set;
      const values = list.split(',').map((value) => value.trim());
      const isIn = labels[name] !== undefined && values.includes(labels[name]);
      return operator === 'in' ? isIn : !isIn;
    }
    const equal = /^([^=!]+?)\s*(==|=|!=)\s*(.*)$/.exec(requirement);
    if (equal) {
      const [, name = '', operator, value = ''] = equal;
      return operator === '!=' ? labels[name] !== value : labels[name] === value;
    }
    return requirement.startsWith('!')
      ? labels[requirement.slice(1)] === undefined
      : labels[requirement] !== undefined;
  });
}

/** A field selector: `spec.nodeName=n1,status.phase!=Failed`. An absent field is the empty string, as with the API. */
export function matchesFields(object: KubernetesObject, selector: string): boolean {
  return selector.split(',').every((requirement) => {
    const [, path = '', operator, value = ''] = /^([^=!]+)(==|=|!=)(.*)$/.exec(requirement) ?? [];
    let field: unknown = object;
    for (const step of path.split('.')) field = (field as Record<string, unknown> | undefined)?.[step];
    const isEqual = String(field ?? '') === value;
    return operator === '!=' ? !isEqual : isEqual;
  });
}

function splitOutsideBrackets(selector: string): string[] {
  return selector
    .split(/,(?![^(]*\))/)
    .map((part) => part.trim())
    .filter(Boolean);
}
