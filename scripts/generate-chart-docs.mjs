// The table of every value of the Helm chart in docs/kubernetes.md, from values.yaml (names, order, defaults) and values.schema.json (types,
// meaning). Called by scripts/generate-docs.mjs; alone: `node scripts/generate-chart-docs.mjs [--check] [FOLDER]`, another repository root for tests.
import { readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parse } from 'yaml';

export const chartPage = 'docs/kubernetes.md';
const chart = 'deployment/helm/k8s-gpu-mcp-server';
const [start, end] = ['<!-- values:start -->', '<!-- values:end -->'];

/** The page as it should be: its hand-written text, and the table between the two markers. */
export function kubernetesPage(root) {
  const read = (file) => readFileSync(join(root, file), 'utf8');
  const page = read(chartPage);
  const [before, rest] = page.split(start);
  const [, after] = (rest ?? '').split(end);
  if (after === undefined) throw new Error(`${chartPage} lacks ${start} or ${end}`);
  const rows = valueRows(
    parse(read(`${chart}/values.yaml`)),
    JSON.parse(read(`${chart}/values.schema.json`)),
  );
  const table = [['value', 'type', 'default', 'meaning'], ['---', '---', '---', '---'], ...rows]
    .map((row) => `| ${row.map(cell).join(' | ')} |`)
    .join('\n');
  return `${before}${start}\n${table}\n${end}${after}`;
}

const cell = (text) => String(text).replaceAll('|', '\\|').replaceAll('\n', ' ');

/** One row for each value that can be set, below one for the group that it is in: objects with properties of their own are groups. */
function valueRows(defaults, schema) {
  const resolved = (node = {}) => {
    if (node.$ref === undefined) return node;
    const target = node.$ref
      .slice(2)
      .split('/')
      .reduce((at, key) => at?.[key], schema);
    if (target === undefined) throw new Error(`values.schema.json has no ${node.$ref}`);
    // What stands beside a reference is about this place, and wins.
    const { $ref: _, ...own } = node;
    return { ...resolved(target), ...own };
  };
  const rows = (value, node, path) => {
    const { properties } = node;
    if (properties === undefined) return [row(path, value, node)];
    const names = new Set([...Object.keys(value ?? {}), ...Object.keys(properties)]);
    const group =
      path === '' || node.description === undefined ? [] : [[`**\`${path}\`**`, '', '', node.description]];
    const within = [...names].map((name) =>
      rows(value?.[name], resolved(properties[name]), path === '' ? name : `${path}.${name}`),
    );
    return [...group, ...within.flat()];
  };
  const row = (path, value, node) => [
    `\`${path}\``,
    typeOf(node, resolved),
    value === undefined ? '' : `\`${JSON.stringify(value)}\``,
    node.description ?? '',
  ];
  return rows(defaults, resolved(schema), '');
}

function typeOf(node, resolved) {
  const choices = node.enum ?? (node.const === undefined ? undefined : [node.const]);
  if (choices) return choices.map((choice) => `\`${JSON.stringify(choice)}\``).join(', ');
  // Of what must be all of several, the first says what it is: a shape of Kubernetes, which is not gone into.
  const shapes = node.oneOf ?? node.anyOf ?? node.allOf?.slice(0, 1);
  if (node.type === undefined && shapes)
    return shapes.map((each) => typeOf(resolved(each), resolved)).join(' or ');
  return [node.type ?? 'any'].flat().map(nameOf(node, resolved)).join(' or ');
}

const nameOf = (node, resolved) => (type) => {
  if (type === 'array') return node.items ? `list of ${typeOf(resolved(node.items), resolved)}` : 'list';
  if (type === 'object') return 'map';
  if (type !== 'integer' && type !== 'number') return type;
  const { minimum, maximum } = node;
  if (minimum === undefined && maximum === undefined) return type;
  return maximum === undefined ? `${type} from ${minimum}` : `${type} ${minimum ?? ''} to ${maximum}`;
};

if (process.argv[1] === import.meta.filename) {
  const [folder] = process.argv.slice(2).filter((each) => !each.startsWith('--'));
  const root = folder === undefined ? resolve(import.meta.dirname, '..') : resolve(folder);
  const path = join(root, chartPage);
  const text = kubernetesPage(root);
  if (!process.argv.includes('--check')) writeFileSync(path, text);
  else if (readFileSync(path, 'utf8') !== text) {
    console.error(`${chartPage} is not current: run node scripts/generate-docs.mjs`);
    process.exitCode = 1;
  }
}
