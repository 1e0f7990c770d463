import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { programForm } from '../../../test/programs/program-form.ts';
import { initialize, runAgent } from './run-agent.ts';

/** Packages that only some commands need. V8's coverage output lists every script a process has loaded. */
const costly = [
  'inversify',
  '@modelcontextprotocol/server',
  'hono',
  'koffi',
  'pino',
  'nvml',
  'transport-http',
] as const;

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'agent-loading-'));
});
afterEach(() => rm(folder, { recursive: true }));

async function loadedBy(args: readonly string[], input?: string): Promise<readonly string[]> {
  const coverage = join(folder, 'coverage');
  await runAgent(args, { env: { NODE_V8_COVERAGE: coverage }, ...(input === undefined ? {} : { input }) });
  const loaded = new Set<string>();
  for (const file of await readdir(coverage)) {
    const { result } = JSON.parse(await readFile(join(coverage, file), 'utf8')) as {
      result: { url: string }[];
    };
    for (const { url } of result)
      for (const name of costly)
        if (new RegExp(`/(?:node_modules|packages)/${name}/`).test(url)) loaded.add(name);
  }
  return [...loaded].sort();
}

/** A bundle has no files of packages that could be told apart. */
const isBundled = programForm !== 'workspace';

describe.skipIf(isBundled)(
  `what is loaded${isBundled ? ' (skipped: a bundle holds no packages)' : ''}`,
  () => {
    it('analyze: nothing costly at all', async () => {
      const log = join(folder, 'kern.log');
      await writeFile(log, 'NVRM: Xid (PCI:0000:3b:00): 79, GPU has fallen off the bus.\n');
      expect(await loadedBy(['analyze', '--events', log])).toEqual([]);
      expect(await loadedBy(['analyze', log])).toEqual([]);
    });

    it('initialize over stdio: no HTTP stack, nothing native', async () => {
      const loaded = await loadedBy(['--backend', 'auto'], initialize(1));
      expect(loaded).toEqual(['@modelcontextprotocol/server', 'pino']);
    });
  },
);
