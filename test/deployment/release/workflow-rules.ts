import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseDocument } from 'yaml';
import { z } from 'zod';

/**
 * What our workflow files must keep, from GitHub's "Secure use reference" (docs.github.com/en/actions/reference/security/secure-use):
 * actions by full commit, no more rights than needed, nothing that a stranger writes inside a script. And that what they run is there.
 */
const step = z.object({
  uses: z.string().optional(),
  run: z.string().optional(),
  env: z.record(z.string(), z.unknown()).optional(),
});
const workflow = z.object({
  on: z.union([z.string(), z.array(z.string()), z.record(z.string(), z.unknown())]),
  permissions: z.record(z.string(), z.enum(['read', 'none'])),
  jobs: z.record(z.string(), z.object({ 'timeout-minutes': z.number(), steps: z.array(step) })),
});

const pinned = /^\s*(?:- )?uses: [\w.-]+\/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/;
/** Programs of the runner's image; what else a script runs must be in the repository. */
const programs = new Set(
  'cosign curl diff docker echo else fi gh if kind mcp-publisher mkdir node npm printenv sha256sum sudo tar then'.split(
    ' ',
  ),
);

export function workflowProblems(root: string, source: string): string[] {
  const document = parseDocument(source);
  if (document.errors.length > 0) return document.errors.map(({ message }) => message);
  const read = workflow.safeParse(document.toJS());
  if (!read.success) return read.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`);

  const problems: string[] = [];
  const { on, jobs } = read.data;
  const events = typeof on === 'string' ? [on] : Array.isArray(on) ? on : Object.keys(on);
  for (const event of ['pull_request_target', 'workflow_run'])
    if (events.includes(event)) problems.push(`${event} gives strangers' code the rights of this repository`);
  for (const line of source.split('\n'))
    if (/^\s*(- )?uses:/.test(line) && !pinned.test(line))
      problems.push(`not pinned to a commit with its version: ${line.trim()}`);

  for (const [name, { steps }] of Object.entries(jobs))
    for (const { run } of steps)
      for (const problem of run === undefined ? [] : scriptProblems(root, run))
        problems.push(`${name}: ${problem}`);
  return problems;
}

function* scriptProblems(root: string, script: string): Generator<string> {
  // Values reach a script through the environment; an expression would be pasted into its text.
  if (script.includes('${{')) yield `an expression inside a script: ${script}`;
  for (const line of commandsOf(script)) {
    const [command = '', ...args] = line.split(/\s+/);
    if (command.includes('/')) {
      // Installed by a step before, or of the repository.
      if (!command.startsWith('test/deployment/tools/bin/') && !existsSync(join(root, command)))
        yield `no such file: ${command}`;
    } else if (!programs.has(command) && !command.includes('=')) yield `unknown program: ${command}`;
    if (command === 'node') yield* nodeProblems(root, args);
    if (command === 'npm') yield* npmProblems(root, args);
    for (const [index, arg] of args.entries())
      if (arg === '--file' && !existsSync(join(root, args[index + 1] ?? '')))
        yield `no such file: ${args[index + 1]}`;
  }
}

function* nodeProblems(root: string, [file = '', ...args]: string[]): Generator<string> {
  if (!existsSync(join(root, file))) {
    yield `no such file: ${file}`;
    return;
  }
  // The options of our own programs stand in their sources: in the file, or in one that it imports.
  const text = readFileSync(join(root, file), 'utf8');
  const imported = [...text.matchAll(/from '(\.[^']+)'/g)].map(([, path]) =>
    readFileSync(join(root, file, '..', path ?? ''), 'utf8'),
  );
  for (const arg of args)
    if (arg.startsWith('--') && ![text, ...imported].some((known) => known.includes(arg)))
      yield `${file} knows no ${arg}`;
}

function* npmProblems(root: string, [verb = '', script = '']: string[]): Generator<string> {
  const { scripts } = z
    .object({ scripts: z.record(z.string(), z.string()) })
    .parse(JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')));
  const wanted = verb === 'run' ? script : verb === 'test' ? 'test' : undefined;
  if (wanted !== undefined && scripts[wanted] === undefined) yield `no such npm script: ${wanted}`;
  if (wanted === undefined && verb !== 'ci') yield `npm ${verb} is not what a workflow runs`;
}

/** One command a line: continued lines joined, pipes, conditions and substitutions taken apart, what is quoted left whole. */
function commandsOf(script: string): string[] {
  return script
    .replaceAll('\\\n', ' ')
    .replaceAll(/^\s*digest=\$\((.*)\)$/gm, '$1')
    .split(/\n|\||;/)
    .map((part) => part.trim().replace(/^(?:(?:if|then|else|fi)\b\s*)+/, ''))
    .filter((part) => part !== '');
}
