// What the release workflow signs is what it has made, and not what a name in a registry happens to mean at that moment.

import { execFile, execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { z } from 'zod';
import { startTrialRegistries } from './trial-registries.ts';

const root = resolve(import.meta.dirname, '../../..');
const source = readFileSync(join(root, '.github/workflows/release.yml'), 'utf8');
const workflow = z.object({
  jobs: z.record(
    z.string(),
    z.object({
      steps: z.array(
        z.object({
          id: z.string().optional(),
          if: z.union([z.string(), z.boolean()]).optional(),
          uses: z.string().optional(),
          run: z.string().optional(),
          env: z.record(z.string(), z.string()).optional(),
        }),
      ),
    }),
  ),
});

const expression = /^\$\{\{ steps\.([\w-]+)\.outputs\.([\w-]+) \}\}$/;
const makes = (uses = '', run = '') =>
  uses.startsWith('docker/build-push-action@') || run.includes('release.mjs --publish --part chart');

/** Of each `cosign sign`, why its digest is not of what a step before has made. */
function signingProblems(text: string): readonly string[] {
  return Object.entries(workflow.parse(parse(text)).jobs).flatMap(([name, { steps }]) =>
    steps.flatMap(({ run, env }, index) => {
      if (run === undefined || !/cosign sign /.test(run)) return [];
      const [, id] = expression.exec(env?.['DIGEST'] ?? '') ?? [];
      const maker = steps.slice(0, index).find((step) => step.id !== undefined && step.id === id);
      return maker !== undefined && makes(maker.uses, maker.run)
        ? []
        : [`${name} signs ${env?.['DIGEST']}, which no step of it has made`];
    }),
  );
}

describe('signatures of the release', () => {
  it('are over digests of what the same job has built or pushed', () => {
    expect(source.match(/cosign sign /g)).toHaveLength(2);
    expect(signingProblems(source)).toEqual([]);
  });

  it('an image that is there already is verified before it is attested', () => {
    const steps = workflow.parse(parse(source)).jobs['image']?.steps ?? [];
    const verified = steps.findIndex(({ run }) => run?.includes('cosign verify'));
    const attested = steps.findIndex(({ uses }) => uses?.startsWith('actions/attest@'));
    expect(steps[verified]).toMatchObject({ if: 'steps.there.outputs.digest' });
    expect(verified).toBeGreaterThan(-1);
    expect(attested).toBeGreaterThan(verified);
  });

  it('planted: a digest looked up by the tag', () => {
    const planted = source.replace(
      /DIGEST: .*\n(\s+run: cosign sign)/,
      'DIGEST: $${{ steps.there.outputs.digest }}\n$1',
    );
    expect(signingProblems(planted)).toEqual([expect.stringMatching(/^image signs .*steps\.there/)]);
  });
});

describe('a chart that is another one after the push', () => {
  const digestOf = (content: Buffer, algorithm = 'sha256') =>
    createHash(algorithm).update(content).digest('hex');
  const archive = (folder: string, name: string, content: string) => {
    writeFileSync(join(folder, 'Chart.yaml'), content);
    execFileSync('tar', ['-czf', join(folder, name), '-C', folder, 'Chart.yaml']);
    rmSync(join(folder, 'Chart.yaml'));
  };

  it.each([
    ['ours', 'ours', 0, /chart: 1\.2\.3 pushed/],
    ['of somebody else', 'theirs', 1, /chart 1\.2\.3 is in .* with other content/],
  ])('%s', async (_name, pushed, code, words) => {
    await using registries = await startTrialRegistries();
    const out = mkdtempSync(join(tmpdir(), 'signing-'));
    const tools = mkdtempSync(join(tmpdir(), 'signing-tools-'));
    try {
      const label = 'io.modelcontextprotocol.server.name';
      registries.addImage('k8s-gpu-mcp/k8s-gpu-mcp-server', '1.2.3', ['linux/amd64', 'linux/arm64'], {
        [label]: 'a/b',
      });
      const identifier = 'ghcr.io/k8s-gpu-mcp/k8s-gpu-mcp-server:1.2.3';
      archive(out, 'chart.tgz', 'ours');
      archive(tools, 'pushed.tgz', pushed);
      writeFileSync(
        join(out, 'server.json'),
        JSON.stringify({ name: 'a/b', packages: [{ registryType: 'oci', identifier }] }),
      );
      writeFileSync(
        join(out, 'release.json'),
        JSON.stringify({ version: '1.2.3', packages: [], chart: 'chart.tgz' }),
      );
      const sums = readdirSync(out).map((file) => `${digestOf(readFileSync(join(out, file)))}  ${file}\n`);
      writeFileSync(join(out, 'SHA256SUMS'), sums.join(''));
      // Stands in for a push that somebody else's follows at once: what the tag names then is this.
      const repository = `${registries.url}/v2/k8s-gpu-mcp/charts/k8s-gpu-mcp-server`;
      const layer = readFileSync(join(tools, 'pushed.tgz'));
      const digest = `sha256:${digestOf(layer)}`;
      const mediaType = 'application/vnd.cncf.helm.chart.content.v1.tar+gzip';
      const manifest = JSON.stringify({ schemaVersion: 2, layers: [{ mediaType, digest }] });
      const helm = `#!/usr/bin/env node
        const put = (path, body) => fetch('${repository}/' + path, { method: 'PUT', body });
        put('blobs/uploads/one?digest=${digest}', Buffer.from('${layer.toString('base64')}', 'base64'))
          .then(() => put('manifests/1.2.3', '${manifest}'));`;
      writeFileSync(join(tools, 'helm'), helm, { mode: 0o755 });
      const flags = ['--publish', '--part', 'chart', '--out', out, '--helm', join(tools, 'helm')];
      const outcome = await promisify(execFile)(process.execPath, [
        join(root, 'scripts/release.mjs'),
        ...flags,
        ...['--oci-registry', registries.url, '--outputs', join(tools, 'outputs')],
      ]).then(
        ({ stdout }) => ({ code: 0, text: stdout }),
        (error: { code: number; stderr: string }) => ({ code: error.code, text: error.stderr }),
      );
      expect(outcome).toMatchObject({ code, text: expect.stringMatching(words) });
      // Nothing to sign is named where the content is not ours.
      expect(readdirSync(tools).includes('outputs')).toBe(code === 0);
    } finally {
      for (const folder of [out, tools]) rmSync(folder, { recursive: true });
    }
  });
});
