import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';

export const root = resolve(import.meta.dirname, '../../..');

export const readPage = (file: string) => readFileSync(join(root, file), 'utf8');

const skipped = new Set(['node_modules', 'dist', 'fixtures']);

/** Every page of the repository, relative to its root. */
export function markdownFiles(folder = root): readonly string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory())
      return skipped.has(entry.name) || entry.name.startsWith('.') ? [] : markdownFiles(path);
    return entry.isFile() && entry.name.endsWith('.md') ? [relative(root, path)] : [];
  });
}

interface CodeBlock {
  readonly language: string;
  readonly text: string;
}

const fence = /^```([a-z]*)[^\n]*\n([\s\S]*?)^```$/gm;

export const codeBlocksOf = (page: string): readonly CodeBlock[] =>
  Array.from(page.matchAll(fence), ([, language = '', text = '']) => ({ language, text }));

const withoutBlocks = (page: string) => page.replaceAll(fence, '');

export const codeSpansOf = (page: string): readonly string[] =>
  Array.from(withoutBlocks(page).matchAll(/`([^`\n]+)`/g), ([, text = '']) => text.replaceAll('\\|', '|'));

/** The cells of each row of each table, the head and the line of dashes left out; a table's head says what its rows are. */
export function tablesOf(
  page: string,
): readonly { readonly head: readonly string[]; readonly rows: readonly (readonly string[])[] }[] {
  return Array.from(withoutBlocks(page).matchAll(/(?:^\|.*\|$\n?)+/gm), ([table]) => {
    const [head = [], , ...rows] = table.trim().split('\n').map(cellsOf);
    return { head, rows };
  });
}

const cellsOf = (line: string) =>
  line
    .slice(1, -1)
    .split(/(?<!\\)\|/)
    .map((cell) => cell.trim());

/** As GitHub makes an anchor of a heading; of several with the same text, later ones are numbered. */
export function anchorsOf(page: string): ReadonlySet<string> {
  const anchors = new Set<string>();
  for (const [, heading = ''] of withoutBlocks(page).matchAll(/^#{1,6} +(.+)$/gm)) {
    const text = heading.replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1').toLowerCase();
    const slug = text.replaceAll(/[^\p{L}\p{N}_ -]/gu, '').replaceAll(' ', '-');
    let anchor = slug;
    for (let count = 1; anchors.has(anchor); count += 1) anchor = `${slug}-${count}`;
    anchors.add(anchor);
  }
  return anchors;
}

/** What is wrong with the relative links of a page. `load` gives the text of a file, or undefined where there is none. */
export function brokenLinks(
  file: string,
  page: string,
  load: (path: string) => string | undefined,
): readonly string[] {
  const text = withoutBlocks(page).replaceAll(/`[^`\n]*`/g, 'code');
  const targets = Array.from(text.matchAll(/\]\(([^)\s]+)\)/g), ([, target = '']) => target);
  return targets.flatMap((target) => {
    if (/^[a-z][a-z+.-]*:/i.test(target)) return [];
    const [path = '', anchor] = target.split('#', 2);
    const at = path === '' ? file : join(dirname(file), path);
    const linked = path === '' ? page : load(at);
    if (linked === undefined) return [`${file}: ${target}: no such file`];
    if (anchor === undefined || !at.endsWith('.md')) return [];
    return anchorsOf(linked).has(anchor) ? [] : [`${file}: ${target}: no such heading`];
  });
}
