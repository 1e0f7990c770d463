import type { GpuResource } from '../resources/gpu-resources.ts';

export interface FoundResource {
  readonly resource: GpuResource;
  readonly variables: Readonly<Record<string, string>>;
}

/** The resource at a URI: the one that has it, or else the first whose template it fits. */
export function findResource(resources: readonly GpuResource[], uri: string): FoundResource | undefined {
  const fixed = resources.find((resource) => !resource.isTemplate && resource.uri === uri);
  if (fixed) return { resource: fixed, variables: {} };
  for (const resource of resources) {
    const variables = resource.isTemplate ? matchTemplate(resource.uri, uri) : undefined;
    if (variables) return { resource, variables };
  }
  return undefined;
}

interface Template {
  readonly pattern: RegExp;
  readonly names: readonly string[];
}
const templates = new Map<string, Template>();

/** The values of the variables as they stand in the URI. Simple expansion only (RFC 6570, section 3.2.2): `{name}`. */
function matchTemplate(template: string, uri: string): Readonly<Record<string, string>> | undefined {
  const { pattern, names } = compiled(template);
  const values = pattern.exec(uri)?.slice(1);
  return values && Object.fromEntries(names.map((name, index) => [name, values[index] ?? '']));
}

/** The templates are those of the program, a handful; what is asked for is not kept. */
function compiled(template: string): Template {
  const known = templates.get(template);
  if (known) return known;
  const names: string[] = [];
  const source = template.split(/\{(\w+)\}/).map((part, index) => {
    if (index % 2 === 0) return part.replace(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`);
    names.push(part);
    return '([^/,]+)';
  });
  const made = { pattern: new RegExp(`^${source.join('')}$`), names };
  templates.set(template, made);
  return made;
}
