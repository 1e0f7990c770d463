import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { anchorsOf, brokenLinks, markdownFiles, readPage, root } from './markdown.ts';

/** Text of a file; of a directory, which may be linked too, nothing. */
function load(path: string): string | undefined {
  const full = join(root, path);
  if (!existsSync(full)) return undefined;
  return statSync(full).isDirectory() ? '' : readFileSync(full, 'utf8');
}

test('every relative link of every page leads to a file, and to a heading in it', () => {
  const pages = markdownFiles();
  expect(pages).toEqual(expect.arrayContaining(['README.md', 'docs/kubernetes.md', 'apps/bridge/README.md']));
  expect(pages.flatMap((file) => brokenLinks(file, readPage(file), load))).toEqual([]);
});

test('a link to nothing is found', () => {
  const page =
    '# A b\n[x](b.md) [y](c.md) [z](#a-b) [u](b.md#gone) [v](https://example.com/d.md)\n`[w](e.md)`\n';
  const files: Readonly<Record<string, string>> = { 'docs/b.md': '# There\n' };
  expect(brokenLinks('docs/a.md', page, (path) => files[path])).toEqual([
    'docs/a.md: c.md: no such file',
    'docs/a.md: b.md#gone: no such heading',
  ]);
});

// The rules as GitHub publishes them: lower case, punctuation left out, spaces to hyphens, repeated headings numbered.
test('anchors are those of GitHub', () => {
  const page = "# The vendor's `a.b` actions, in ours\n## Twice\n## Twice\n```\n# no heading\n```\n";
  expect([...anchorsOf(page)]).toEqual(['the-vendors-ab-actions-in-ours', 'twice', 'twice-1']);
});
