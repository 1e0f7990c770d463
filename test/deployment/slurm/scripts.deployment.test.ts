import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { flagsIn, unknownOptions, variablesIn } from '../agent-options.ts';
import { named, tellMissing } from '../missing.ts';
import { scripts } from './slurm-cluster.ts';

const read = (name: string) => readFileSync(join(scripts, name), 'utf8');
const files = readdirSync(scripts).filter((name) => name.endsWith('.sh'));
const shellcheck = (input: string, ...args: readonly string[]) =>
  spawnSync('shellcheck', ['--shell=sh', ...args], { cwd: scripts, input, encoding: 'utf8' });
const missing = shellcheck('').error && 'shellcheck is not installed: apt-get install shellcheck';
tellMissing(missing);

describe('the scripts', () => {
  it.skipIf(missing)(named('have nothing for shellcheck to say', missing), () => {
    const { stdout, status } = shellcheck('', '--external-sources', ...files);
    expect([status, stdout]).toEqual([0, '']);
  });

  it.skipIf(missing)(named('turn red when a variable is not quoted', missing), () => {
    expect(shellcheck(read('exclude-list.sh').replace('"$list"', '$list'), '-').stdout).toContain('SC2086');
  });

  it('run on their own but for the one that is sourced', () => {
    const executable = files.filter((name) => (statSync(join(scripts, name)).mode & 0o111) !== 0);
    expect(executable.sort()).toEqual(['epilog.sh', 'exclude-list.sh', 'health-check.sh', 'prolog.sh']);
  });

  /** What the agent is told: the rest of a line after `health`, and variables anywhere. */
  const mentioned = (text: string) => [
    ...flagsIn(
      [...text.matchAll(/" health\b(.*)$/gm)].flatMap(([, rest = '']) => rest.match(/--[a-z-]+/g) ?? []),
    ),
    ...variablesIn(text),
  ];

  it('tell the agent nothing that `health` does not take', () => {
    const all = [...files, 'gpu-health.conf.example'].flatMap((name) => mentioned(read(name)));
    expect(all).toContain('--json');
    expect(all).toContain('K8S_GPU_MCP_BACKEND');
    expect(unknownOptions('health', all)).toEqual([]);
  });

  it('turn red for a misspelt flag and variable', () => {
    const planted = read('gpu-health.sh').replace('--json', '--jsom');
    expect(unknownOptions('health', mentioned(`${planted}\nK8S_GPU_MCP_BACKENT=mock`))).toEqual([
      '--jsom',
      'K8S_GPU_MCP_BACKENT',
    ]);
  });
});
