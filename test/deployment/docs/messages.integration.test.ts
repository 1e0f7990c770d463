import { expect, test } from 'vitest';
import { readPage, tablesOf } from './markdown.ts';
import { sourceTexts, unsaidSentences, wrongSymptoms } from './messages.ts';

test('troubleshooting.md quotes what our programs say, and links who else says it', () => {
  const page = readPage('docs/troubleshooting.md');
  expect(tablesOf(page).flatMap(({ rows }) => rows).length).toBeGreaterThan(50);
  expect(wrongSymptoms(page, sourceTexts())).toEqual([]);
});

test('a message that nobody says, a symptom without a source and one without a remedy are found', () => {
  const page = `
| seen | said by | tells | do |
| --- | --- | --- | --- |
| \`the door ... is shut\` | agent | | open it |
| \`the door ... is ajar\` | agent | | open it |
| \`the window is shut\` | Kubernetes | | open it |
| \`the roof is gone\` | Kubernetes ([x#1](https://example.com)) | | |
`;
  expect(wrongSymptoms(page, ['fail(name, "the door", "is shut")', 'is ajar'])).toEqual([
    'nobody says: the door ... is ajar',
    'no source is linked: `the window is shut`',
    'nothing to do: `the roof is gone`',
  ]);
});

test('security.md and upgrading.md quote what our programs say', () => {
  const sources = sourceTexts();
  for (const page of ['docs/security.md', 'docs/upgrading.md'])
    expect(unsaidSentences(readPage(page), sources)).toEqual([]);
  const planted = '`every caller is denied` `every caller is let in` `kubectl get pods -A`';
  expect(unsaidSentences(planted, sources)).toEqual(['every caller is let in']);
});
