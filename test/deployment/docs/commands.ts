import { parseAllDocuments } from 'yaml';
import { codeBlocksOf, codeSpansOf, tablesOf } from './markdown.ts';

/** A program of ours in a line of a page, as it is written there. */
export interface Command {
  readonly program: 'agent' | 'gateway' | 'bridge' | 'kubectl-mcp';
  readonly words: readonly string[];
}

const programs: readonly (readonly [RegExp, Command['program']])[] = [
  // In a container the agent stands behind the command that reaches it.
  [/^kubectl exec .*? -- \/agent/, 'agent'],
  [/^docker run .*?\bIMAGE/, 'agent'],
  [/^k8s-gpu-mcp-server\b/, 'agent'],
  [/^\/agent\b/, 'agent'],
  [/^k8s-gpu-mcp-gateway\b/, 'gateway'],
  [/^k8s-gpu-mcp-bridge\b/, 'bridge'],
  [/^kubectl[ -]mcp\b/, 'kubectl-mcp'],
];

/** The simple commands of a page, in blocks and in running text: continued lines joined, pipes and lists taken apart. */
export function commandLinesOf(page: string): readonly string[] {
  const blocks = codeBlocksOf(page).flatMap(({ language, text }) =>
    language === 'bash' || language === '' ? [text] : [],
  );
  return [...blocks, ...codeSpansOf(page)]
    .flatMap((text) => text.replaceAll(/\\\n\s*/g, ' ').split(/\n|&&|;|\||&(?=\s|$)/))
    .map((line) => line.replace(/(?:^|\s)#.*$/, '').trim())
    .map((line) => line.replace(/^(?:sudo |npx (?:-y )?|[A-Z_]+=\S+ )+/, ''))
    .filter((line) => line !== '');
}

export function commandsOf(page: string): readonly Command[] {
  return commandLinesOf(page).flatMap((line) => {
    for (const [pattern, program] of programs) {
      const start = pattern.exec(line)?.[0];
      if (start !== undefined)
        return [
          {
            program,
            words: line
              .slice(start.length)
              .split(/\s+/)
              .filter((word) => word !== ''),
          },
        ];
    }
    return [];
  });
}

const flagOf = (word: string) => /^--[a-z][a-z-]*/.exec(word)?.[0];

/** Flags in a page that no program has. `flagsOf` gives those of a program's command, or of all its commands. */
export function unknownFlags(
  page: string,
  flagsOf: (program: Command['program'], command: string | undefined) => ReadonlySet<string>,
): readonly string[] {
  return commandsOf(page).flatMap(({ program, words }) => {
    const [first] = words;
    const command = first !== undefined && /^[a-z]+$/.test(first) ? first : undefined;
    const known = flagsOf(program, command);
    return words.flatMap((word) => {
      const flag = flagOf(word);
      return flag === undefined || known.has(flag) ? [] : [`${program} ${command ?? ''}: ${flag}`];
    });
  });
}

/** Flags that stand alone in running text, with their value or without: `--via exec`. */
export const bareFlagsOf = (page: string): readonly string[] =>
  codeSpansOf(page).flatMap((span) => (span.startsWith('--') ? (flagOf(span) ?? []) : []));

type Values = Readonly<Record<string, unknown>>;
const isMap = (value: unknown): value is Values =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Whether there is such a value. Below an empty map, or a null, anything may be set. */
function hasValue(values: Values, path: readonly string[]): boolean {
  let at: unknown = values;
  for (const name of path) {
    if (!isMap(at) || !Object.hasOwn(at, name))
      return isMap(at) && at !== values && Object.keys(at).length === 0;
    at = at[name];
  }
  return true;
}

/** Keys of a TLS Secret, which read like values below `tls`. */
const secretKeys: ReadonlySet<string> = new Set(['tls.crt', 'tls.key']);

/** Names of chart values in a page that the chart does not have. */
export function unknownValues(page: string, values: Values): readonly string[] {
  const isOfChart = (name: string) =>
    Object.hasOwn(values, name.split('.')[0] ?? '') && !secretKeys.has(name);
  const named = codeSpansOf(withoutForeignColumns(page)).flatMap((span) => {
    const name = /^([a-z][A-Za-z]*(?:\.[A-Za-z]+)*)(?:=\S*)?$/.exec(span)?.[1];
    return name !== undefined && isOfChart(name) ? [name] : [];
  });
  const set = commandLinesOf(page).flatMap((line) =>
    Array.from(line.matchAll(/--set(?:-string|-json)? (\S+)/g), ([, text = '']) => text.split('=')[0] ?? ''),
  );
  return [...named, ...set, ...valuesOfBlocks(page, values)].filter(
    (name) => !hasValue(values, name.split('.')),
  );
}

/** A first column that is headed `there` names the values of another chart. */
function withoutForeignColumns(page: string): string {
  const foreign = tablesOf(page).filter(({ head }) => head[0] === 'there');
  return foreign
    .flatMap(({ rows }) => rows.map(([name = '']) => name))
    .reduce((text, name) => text.replace(`| ${name} |`, '| |'), page);
}

/** Paths in YAML blocks that are values files: those whose keys all are the chart's. */
function valuesOfBlocks(page: string, values: Values): readonly string[] {
  const documents = codeBlocksOf(page).flatMap(({ language, text }) =>
    language === 'yaml' ? parseAllDocuments(text).map((document): unknown => document.toJS()) : [],
  );
  const paths = (value: unknown, path: string): readonly string[] =>
    isMap(value) && Object.keys(value).length > 0
      ? Object.entries(value).flatMap(([name, each]) => paths(each, path === '' ? name : `${path}.${name}`))
      : [path];
  return documents.flatMap((document) =>
    isMap(document) && Object.keys(document).every((name) => Object.hasOwn(values, name))
      ? paths(document, '')
      : [],
  );
}
