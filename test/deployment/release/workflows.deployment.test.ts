import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { z } from 'zod';
import { workflowProblems } from './workflow-rules.ts';

const root = resolve(import.meta.dirname, '../../..');
const folder = join(root, '.github', 'workflows');
const read = (name: string) => readFileSync(join(folder, name), 'utf8');
const problems = (source: string) => workflowProblems(root, source);

describe('workflows', () => {
  it.each(readdirSync(folder))('%s keeps the rules, and everything it runs is there', (name) => {
    expect(problems(read(name))).toEqual([]);
  });

  it('publishes in an order in which nothing refers to what is not there', () => {
    const { jobs } = z
      .object({
        jobs: z.record(
          z.string(),
          z.object({ needs: z.union([z.string(), z.array(z.string())]).optional() }),
        ),
      })
      .parse(parse(read('release.yml')));
    const needs = (job: string): string[] => {
      const direct = [jobs[job]?.needs ?? []].flat();
      return [...direct, ...direct.flatMap(needs)];
    };
    expect(needs('image')).toContain('npm');
    expect(needs('chart')).toContain('image');
    expect(needs('page')).toContain('chart');
    expect(needs('mcp-registry')).toEqual(expect.arrayContaining(['npm', 'image', 'chart', 'page']));
  });

  it('tests every Node.js line that the packages promise', () => {
    const { engines } = z
      .object({ engines: z.object({ node: z.string() }) })
      .parse(JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')));
    const jobs = z.object({
      jobs: z.object({
        test: z.object({ strategy: z.object({ matrix: z.object({ node: z.array(z.string()) }) }) }),
      }),
    });
    const { node } = jobs.parse(parse(read('ci.yml'))).jobs.test.strategy.matrix;
    expect(node[0]).toBe(engines.node.replace('>=', ''));
    expect(node).toEqual(['20.19', '22', '24', '26']);
  });
});

describe('planted faults', () => {
  const ci = read('ci.yml');
  const release = read('release.yml');
  const faults: [string, string, RegExp][] = [
    [
      'an action by its tag',
      ci.replace(/checkout@\w+ # v7.0.1/, 'checkout@v7'),
      /not pinned to a commit .*checkout@v7/,
    ],
    ['a commit without its version', ci.replace(/ # v7.0.1/, ''), /not pinned/],
    ['no permissions', ci.replace('permissions:\n  contents: read\n', ''), /permissions: /],
    [
      'rights to write for every job',
      ci.replace('contents: read', 'contents: write'),
      /permissions\.contents/,
    ],
    [
      "strangers' code with our rights",
      ci.replace('pull_request:', 'pull_request_target:'),
      /pull_request_target/,
    ],
    [
      'a title inside a script',
      ci.replace('run: npm test', `run: npm test \${{ github.event.pull_request.title }}`),
      /expression inside/,
    ],
    [
      'a secret inside a script',
      release.replace('printenv TOKEN', `echo \${{ secrets.GITHUB_TOKEN }}`),
      /expression inside/,
    ],
    [
      'a script that npm does not know',
      ci.replace('npm run build', 'npm run biuld'),
      /no such npm script: biuld/,
    ],
    [
      'a file that is not there',
      ci.replace('scripts/release.mjs', 'scripts/relaese.mjs'),
      /no such file: scripts\/relaese/,
    ],
    ['an option that the program does not know', ci.replace('--dry-run', '--dryrun'), /knows no --dryrun/],
    [
      'a container file that is not there',
      ci.replace('/Containerfile', '/Dockerfile'),
      /no such file: .*Dockerfile/,
    ],
    ['broken YAML', ci.replace('jobs:', 'jobs: ['), /./],
  ];
  it.each(faults)('%s', (_name, source, expected) => {
    expect(problems(source).join('\n')).toMatch(expected);
  });
});
