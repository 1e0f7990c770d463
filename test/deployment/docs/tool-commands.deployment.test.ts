// The commands of the pages that are helm's and kubectl's, against what these tools say they take.
import { execFileSync } from 'node:child_process';
import { describe, expect, test } from 'vitest';
import { tellMissing } from '../missing.ts';
import { skipReason, type ToolName, tool } from '../tools/tools.ts';
import { commandLinesOf } from './commands.ts';
import { readPage } from './markdown.ts';

const pages = ['kubernetes', 'security', 'troubleshooting', 'upgrading', 'quickstart'];
const lines = pages.flatMap((name) => commandLinesOf(readPage(`docs/${name}.md`)));

/** Words of each command that begins with this name. What a program in a pod is given, after `--`, and other commands within are not the tool's. */
const commandsOf = (name: string, from: readonly string[]) =>
  from
    .filter((line) => line.startsWith(`${name} `) && !/^kubectl mcp\b/.test(line))
    .map((line) =>
      line
        .replace(/ -- .*/, '')
        .replaceAll(/\$\([^)]*\)/g, 'VALUE')
        .split(/\s+/)
        .slice(1),
    );

/** Commands of kubectl that have commands of their own, and how many words name one. */
const wordsOfCommand: Readonly<Record<string, number>> = {
  auth: 2,
  create: 2,
  'create secret': 3,
  rollout: 2,
};
const helps = new Map<string, ReadonlySet<string>>();

function flagsOf(path: string, words: readonly string[]): ReadonlySet<string> {
  const [first = ''] = words;
  const count = wordsOfCommand[words.slice(0, 2).join(' ')] ?? wordsOfCommand[first] ?? 1;
  const key = [path, ...words.slice(0, count)].join(' ');
  const known = helps.get(key);
  if (known !== undefined) return known;
  const run = (...args: readonly string[]) =>
    execFileSync(path, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  // What every command of kubectl takes stands in a help of its own.
  const help = run(...words.slice(0, count), '--help') + (path.includes('kubectl') ? run('options') : '');
  const flags = new Set(help.match(/(?<=^|[\s,'])--?[A-Za-z][a-z-]*/gm) ?? []);
  helps.set(key, flags);
  return flags;
}

function wrongFlags(name: ToolName, path: string, from: readonly string[]): readonly string[] {
  return commandsOf(name.split('-')[0] ?? '', from).flatMap((words) => {
    const known = flagsOf(path, words);
    const given = words.flatMap((word) => /^--?[A-Za-z][a-z-]*/.exec(word)?.[0] ?? []);
    return given.flatMap((flag) => {
      // `-it` and `-si` are several flags of one letter.
      const parts = /^-[A-Za-z]+$/.test(flag) ? Array.from(flag.slice(1), (letter) => `-${letter}`) : [flag];
      return parts.filter((part) => !known.has(part)).map((part) => `${name} ${words[0]}: ${part}`);
    });
  });
}

const tools = ['helm-3', 'helm-4', 'kubectl-1.31', 'kubectl-1.35'] as const;
tellMissing(...tools.map(skipReason));

describe.each(tools)('%s', (name) => {
  const path = tool(name) ?? '';
  test.skipIf(skipReason(name) !== undefined)('has the flags that the pages give it', () => {
    expect(commandsOf(name.split('-')[0] ?? '', lines).length).toBeGreaterThan(3);
    expect(wrongFlags(name, path, lines)).toEqual([]);
  });

  test.skipIf(skipReason(name) !== undefined)('a flag that it does not have is found', () => {
    const planted = name.startsWith('helm')
      ? 'helm upgrade r CHART --resuse-values'
      : 'kubectl get pods --resuse-values';
    expect(wrongFlags(name, path, [planted])).toEqual([`${name} ${planted.split(' ')[1]}: --resuse-values`]);
  });
});
