import { execFileSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { cleanEnvironment, programs } from '../../programs/run-program.ts';
import { bareFlagsOf, type Command, commandsOf, unknownFlags, unknownValues } from './commands.ts';
import { readPage } from './markdown.ts';

/** The written part: the table of values is made from the chart, and has a test of its own. */
const written = (page: string) => page.split('<!-- values:start -->')[0] ?? '';
const pages = ['kubernetes', 'security', 'troubleshooting', 'upgrading', 'quickstart'].map(
  (name) => [name, written(readPage(`docs/${name}.md`))] as const,
);
const values = parse(readPage('deployment/helm/k8s-gpu-mcp-server/values.yaml')) as Readonly<
  Record<string, unknown>
>;

const helps = new Map<string, ReadonlySet<string>>();

/** What the program itself says it takes. Without a command: that of its default command, else of one that has every route. */
function flagsOf(program: Command['program'], command: string | undefined): ReadonlySet<string> {
  const asked =
    command ?? { agent: 'serve', gateway: 'serve', bridge: 'serve', 'kubectl-mcp': 'health' }[program];
  const key = `${program} ${asked}`;
  const known = helps.get(key);
  if (known !== undefined) return known;
  const help = execFileSync(process.execPath, [programs[program], asked, '--help'], {
    encoding: 'utf8',
    env: cleanEnvironment(),
  });
  const flags = new Set(Array.from(help.matchAll(/(?<=^|[\s,])--[a-z][a-z-]*/g), ([flag]) => flag));
  helps.set(key, flags);
  return flags;
}

/** Of helm, docker and kubectl, where the text speaks of them. */
const flagsOfOthers: ReadonlySet<string> = new Set([
  '--api-versions',
  '--cap-add',
  '--context',
  '--gpus',
  '--namespace',
  '--pid',
  '--reset-then-reuse-values',
  '--reuse-values',
  '--user',
]);

test.each(pages)('docs/%s.md: our programs have the flags that they are given', (_, page) => {
  expect(unknownFlags(page, flagsOf)).toEqual([]);
  const ours = (['agent', 'gateway', 'bridge', 'kubectl-mcp'] as const).flatMap((program) => [
    ...flagsOf(program, undefined),
  ]);
  const known = new Set([...ours, ...flagsOf('agent', 'doctor'), ...flagsOfOthers]);
  expect(bareFlagsOf(page).filter((flag) => !known.has(flag))).toEqual([]);
});

test.each(pages)('docs/%s.md: the chart has the values that are named', (_, page) => {
  expect(unknownValues(page, values)).toEqual([]);
});

test('the pages hold commands of ours', () => {
  const found = pages.flatMap(([, page]) => commandsOf(page).map(({ program }) => program));
  expect(new Set(found)).toEqual(new Set(['agent', 'bridge', 'kubectl-mcp']));
});

test('a flag that no program has is found, wherever it stands', () => {
  const page = [
    '```bash\nkubectl exec -i POD -- /agent health --sinse 1h | jq .\nnpx -y k8s-gpu-mcp-bridge \\\n  --via exec --nod a',
    'helm install k8s-gpu-mcp-server CHART --wait\n```\n`kubectl mcp health --jsno` and `kubectl mcp xid --since 1h`',
  ].join('\n');
  expect(unknownFlags(page, flagsOf)).toEqual([
    'agent health: --sinse',
    'bridge : --nod',
    'kubectl-mcp health: --jsno',
  ]);
});

test('a value that the chart does not have is found, wherever it stands', () => {
  const page = [
    '`gpu.dra.enabld` and `hostPID=true` and `nodes.get` and `agent.resources.limits.memory`',
    '```bash\nhelm install x CHART --set gpu.mok.enabled=true \\\n  --set mode=operator\n```',
    '```yaml\nrbac: { creat: true }\n```\n```yaml\nkind: Certificate\n```',
    '\n| there | here |\n| --- | --- |\n| `agent.mode` | `agent.mood` |\n',
  ].join('\n');
  expect(unknownValues(page, values)).toEqual([
    'gpu.dra.enabld',
    'agent.mood',
    'gpu.mok.enabled',
    'rbac.creat',
  ]);
});
