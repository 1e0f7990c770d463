import { execFile } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { tellMissing } from '../missing.ts';
import { skipReason, type ToolName, tool } from '../tools/tools.ts';
import { bareEnvironment, namespace, objectsOf } from './helm.ts';
import type { KubernetesObject } from './kubernetes-objects.ts';
import { problemsOf } from './release-checks.ts';

const run = promisify(execFile);
const root = resolve(import.meta.dirname, '../../..');
const manifests = ['runtime-class.yaml', 'mock.yaml', 'stdio.yaml'];
const kubectlVersions = ['kubectl-1.31', 'kubectl-1.35'] as const satisfies readonly ToolName[];
tellMissing(skipReason('helm-3'), ...kubectlVersions.map(skipReason));

const textOf = (path: string) => readFile(join(root, 'deployment', path), 'utf8');

/** The commands at the top of a file. */
const commandsOf = (text: string) =>
  [...text.matchAll(/^# +(kubectl .*)$/gm)].map(([, command = '']) => command);

/** Runs the commands that make objects, as written, but asks no cluster. */
async function madeBy(kubectl: ToolName, commands: readonly string[]): Promise<readonly KubernetesObject[]> {
  let count = 0;
  const objects = commands
    .filter((command) => command.startsWith('kubectl create '))
    .map(async (command) => {
      count += 1;
      const line = command.replace('"$(openssl rand -hex 24)"', `token-${count}`).replace('USER', 'jo');
      const [, ...args] = line.split(' ');
      const { stdout } = await run(tool(kubectl) ?? '', [...args, '--dry-run=client', '--output=yaml'], {
        env: bareEnvironment,
      });
      return objectsOf(stdout).map(withoutServerFields);
    });
  return (await Promise.all(objects)).flat();
}

/** kubectl writes these empty, for the server to fill in. */
function withoutServerFields({ status: _status, ...object }: KubernetesObject): KubernetesObject {
  const { creationTimestamp: _created, ...metadata } = object.metadata as KubernetesObject['metadata'] & {
    creationTimestamp?: null;
  };
  return { ...object, metadata };
}

describe('the plain manifests', () => {
  const reason = skipReason('helm-3');

  it.skipIf(reason !== undefined)('are what the chart renders now', async () => {
    const { stdout } = await run(process.execPath, [join(root, 'scripts/render-manifests.mjs'), '--check']);
    expect(stdout).toBe('');
  });

  it('are all that is there', async () => {
    const found = await readdir(join(root, 'deployment/manifests'));
    expect(found.filter((file) => file.endsWith('.yaml')).sort()).toEqual([...manifests].sort());
  });

  it.each(manifests)('%s holds no token and nothing of helm', async (file) => {
    const text = await textOf(`manifests/${file}`);
    expect(objectsOf(text).filter(({ kind }) => kind === 'Secret')).toEqual([]);
    expect(text).not.toMatch(/managed-by|helm\.sh|# Source/);
  });

  describe.each(kubectlVersions)('with %s', (kubectl) => {
    const isMissing = skipReason(kubectl) !== undefined;

    it.skipIf(isMissing).each(manifests)(
      '%s is whole with what the commands at its top make',
      async (file) => {
        const text = await textOf(`manifests/${file}`);
        const commands = commandsOf(text);
        expect(commands[0]).toBe(`kubectl create namespace ${namespace}`);
        expect(commands).toContain(`kubectl apply -f deployment/manifests/${file}`);
        const made = await madeBy(kubectl, commands);
        expect(problemsOf([...made, ...objectsOf(text)])).toEqual([]);
      },
    );

    it.skipIf(isMissing)('the binding that is written for people refers to their Role', async () => {
      const text = await textOf('rbac/client.yaml');
      const made = await madeBy(kubectl, commandsOf(text));
      expect(made.map(({ kind }) => kind)).toEqual(['RoleBinding']);
      expect(problemsOf([...made, ...objectsOf(text)])).toEqual([]);
    });
  });

  it('without its Secrets one is not whole', async () => {
    const problems = problemsOf(objectsOf(await textOf('manifests/runtime-class.yaml')));
    expect(problems.join('\n')).toMatch(/there is no Secret k8s-gpu-mcp-server-agent-token/);
    expect(problems.join('\n')).toMatch(/there is no Secret k8s-gpu-mcp-server-gateway-token/);
  });
});

describe('the rights', () => {
  it('of the gateway are those of the complete install', async () => {
    const [rights, install] = await Promise.all([
      textOf('rbac/gateway.yaml'),
      textOf('manifests/runtime-class.yaml'),
    ]);
    const alone = objectsOf(rights);
    expect(problemsOf(alone)).toEqual([]);
    const kinds = alone.map(({ kind }) => kind).sort();
    expect(kinds).toEqual(['ClusterRole', 'ClusterRoleBinding', 'Role', 'RoleBinding', 'ServiceAccount']);
    const all = objectsOf(install).map((object) => JSON.stringify(object));
    for (const object of alone) expect(all).toContain(JSON.stringify(object));
  });
});
