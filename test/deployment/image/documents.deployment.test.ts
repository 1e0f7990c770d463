// The bill of materials and the licences in the image, held against what npm says about the same packages.

import { spawnSync } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { named, tellMissing } from '../missing.ts';
import {
  builtImage,
  inspectImage,
  noContainers,
  podman,
  repositoryRoot,
  temporaryFolder,
} from './built-image.ts';

tellMissing(noContainers);

interface Component {
  readonly name: string;
  readonly version: string;
  readonly purl: string;
  readonly licenses: readonly { readonly license: { readonly id: string } }[];
  readonly hashes?: readonly { readonly alg: string; readonly content: string }[];
}
interface Bill {
  readonly bomFormat: string;
  readonly specVersion: string;
  readonly components: readonly Component[];
}

/**
 * All that the lock file knows, by package URL: npm's own bill of materials. npm wants a version of the root, which a private root does
 * not have, so it is given copies that do.
 */
function billOfNpm(): ReadonlyMap<string, Component> {
  const folder = temporaryFolder();
  try {
    for (const name of ['package.json', 'package-lock.json']) {
      const content: unknown = JSON.parse(readFileSync(join(repositoryRoot, name), 'utf8'));
      writeFileSync(join(folder, name), JSON.stringify({ ...Object(content), version: '0.0.0' }));
    }
    const { stdout, stderr } = spawnSync(
      'npm',
      ['sbom', '--sbom-format', 'cyclonedx', '--package-lock-only'],
      {
        cwd: folder,
        encoding: 'utf8',
        maxBuffer: 64 * 1_024 * 1_024,
      },
    );
    if (stdout === '') throw new Error(stderr);
    const { components } = JSON.parse(stdout) as Bill;
    return new Map(components.map((component) => [component.purl, component]));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const manifestOf = (folder: string) =>
  JSON.parse(readFileSync(join(repositoryRoot, folder, 'package.json'), 'utf8')) as {
    dependencies?: Readonly<Record<string, string>>;
  };

/** inversify hands on what its parts do; of itself nothing is left after bundling. */
const onlyHandsOn = new Set(['inversify']);

describe.skipIf(noContainers !== undefined)(named('documents in the image', noContainers), () => {
  let bill: Bill;
  let licences: string;
  let architecture: string;

  beforeAll(() => {
    const image = builtImage();
    architecture = inspectImage(image).Architecture;
    const root = podman(['image', 'mount', image]).trim();
    const read = (name: string) => readFileSync(join(root, 'usr/share/doc/k8s-gpu-mcp-server', name), 'utf8');
    bill = JSON.parse(read('sbom.cdx.json')) as Bill;
    licences = read('LICENSES.txt');
    podman(['image', 'unmount', image]);
  });

  it('lists each package once, as npm knows it: version, checksum and licence', () => {
    const known = billOfNpm();
    expect(bill).toMatchObject({ bomFormat: 'CycloneDX', specVersion: '1.6' });
    expect(new Set(bill.components.map(({ purl }) => purl)).size).toBe(bill.components.length);
    const fromNpm = bill.components.filter(({ purl }) => purl.startsWith('pkg:npm/'));
    expect(bill.components.length - fromNpm.length).toBe(1);
    for (const { purl, hashes, licenses } of fromNpm) {
      const same = known.get(purl);
      expect(same, purl).toBeDefined();
      if (same?.hashes !== undefined) expect(hashes, purl).toEqual(same.hashes);
      if (same?.licenses !== undefined) expect(licenses, purl).toEqual(same.licenses);
    }
  });

  it('lists what the programs depend on, and nothing that only building and testing need', () => {
    const names = new Set(bill.components.map(({ name }) => name));
    const inside = ['agent', 'gateway', 'bridge'].flatMap((app) =>
      Object.keys(manifestOf(`apps/${app}`).dependencies ?? {}),
    );
    for (const name of inside) expect(names.has(name) || onlyHandsOn.has(name), name).toBe(true);
    for (const name of [
      'koffi',
      `@koromix/koffi-linux-${architecture === 'amd64' ? 'x64' : 'arm64'}`,
      'glibc',
    ])
      expect(names, name).toContain(name);
    for (const name of ['rolldown', 'typescript', 'vitest', '@k8s-gpu-mcp/contract-tests'])
      expect(names, name).not.toContain(name);
  });

  it('brings the licence of every component', () => {
    for (const { name, version, licenses } of bill.components)
      expect(licences).toContain(`${name} ${version} (${licenses[0]?.license.id})`);
    for (const sentence of [
      'Permission is hereby granted',
      'Apache License',
      'GNU LESSER GENERAL PUBLIC LICENSE',
    ])
      expect(licences).toContain(sentence);
  });
});
