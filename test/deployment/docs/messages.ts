import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { codeSpansOf, root, tablesOf } from './markdown.ts';

/** Who can be named as saying a message that is ours. */
const ours: ReadonlySet<string> = new Set(['agent', 'gateway', 'bridge', 'doctor', 'chart', 'launcher']);

/** Everything that our programs and the chart can say: their sources without tests. */
export function sourceTexts(): readonly string[] {
  const launcher = readFileSync(join(root, 'deployment/container/launcher/launcher.c'), 'utf8');
  const texts = ['apps', 'packages', 'deployment/helm'].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
      .filter(
        (file) => /(?:\/src\/.*\.ts|\/templates\/.*)$/.test(file) && !/\.test\.ts$|node_modules/.test(file),
      )
      .filter((file) => /\.(?:ts|tpl|yaml|txt)$/.test(file))
      .map((file) => readFileSync(join(root, folder, file), 'utf8')),
  );
  return [...texts, launcher];
}

/** Whether somebody says it: `...` stands for what differs, and all that stands beside it is in one and the same source. */
const isSaid = (message: string, sources: readonly string[]) => {
  const pieces = message.split('...').map((piece) => piece.trim());
  return sources.some((source) => pieces.every((piece) => source.includes(piece)));
};

/** What is wrong with the tables of symptoms: a message of ours that no source has, one of others without a thread, nothing to do. */
export function wrongSymptoms(page: string, sources: readonly string[]): readonly string[] {
  const tables = tablesOf(page).filter(({ head }) => head[1] === 'said by');
  return tables.flatMap(({ rows }) =>
    rows.flatMap(([seen = '', by = '', , remedy = '']) => {
      const isOurs = by.split(', ').every((name) => ours.has(name));
      const unsaid = isOurs ? codeSpansOf(seen).filter((message) => !isSaid(message, sources)) : [];
      return [
        ...unsaid.map((message) => `nobody says: ${message}`),
        ...(isOurs || by.includes('](') ? [] : [`no source is linked: ${seen}`]),
        ...(remedy === '' ? [`nothing to do: ${seen}`] : []),
      ];
    }),
  );
}

const programs: ReadonlySet<string> = new Set(['curl', 'helm', 'kubectl', 'npx', 'oc', 'openssl']);

/** Sentences in running text, four words and more, that are no command and that nobody says. */
export const unsaidSentences = (page: string, sources: readonly string[]): readonly string[] =>
  codeSpansOf(page).filter((span) => {
    const words = span.split(' ');
    return words.length >= 4 && !programs.has(words[0] ?? '') && !isSaid(span, sources);
  });
