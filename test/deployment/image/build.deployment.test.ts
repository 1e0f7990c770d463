// The parts of the build that decide what goes into the image, without building one: any platform's, and with what must not go in.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { componentsOf, packageFolder } from '../../../deployment/container/build/components.js';
import { copyKoffi } from '../../../deployment/container/build/koffi.js';
import { repositoryRoot, temporaryFolder } from './built-image.ts';

let root: string;
beforeEach(() => {
  root = temporaryFolder();
});
afterEach(() => rmSync(root, { recursive: true }));

const write = (path: string, text = '') => {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
};

describe('koffi', () => {
  // The files of the packages of koffi 3.3.4 as npm has them.
  const install = (cpu: string) => {
    for (const file of [
      'package.json',
      'index.js',
      'index.cjs',
      'src/koffi/index.js',
      'src/koffi/index.cjs',
      'src/koffi/src/static.js',
      'src/koffi/src/static.cjs',
      'src/koffi/src/call.cc',
    ])
      write(`from/koffi/${file}`);
    for (const file of ['package.json', 'index.js', `linux_${cpu}/koffi.node`, `musl_${cpu}/koffi.node`])
      write(`from/@koromix/koffi-linux-${cpu}/${file}`);
  };
  const copy = (architecture: string) => copyKoffi(join(root, 'from'), join(root, 'to'), architecture);
  const native = () =>
    readdirSync(join(root, 'to'), { recursive: true, encoding: 'utf8' }).filter((file) =>
      file.endsWith('.node'),
    );

  it.each([
    ['amd64', 'x64'],
    ['arm64', 'arm64'],
  ])('for %s the one native file of glibc is taken, and no sources', (architecture, cpu) => {
    install(cpu);
    expect(copy(architecture)).toEqual(['koffi', `@koromix/koffi-linux-${cpu}`]);
    expect(native()).toEqual([`@koromix/koffi-linux-${cpu}/linux_${cpu}/koffi.node`]);
    expect(existsSync(join(root, 'to/koffi/src/koffi/src/call.cc'))).toBe(false);
  });

  it('planted: what is installed for another processor only is refused by name', () => {
    install('x64');
    expect(() => copy('arm64')).toThrow('@koromix/koffi-linux-arm64/package.json is not installed');
  });

  it('an architecture without an image is refused', () => {
    expect(() => copy('riscv64')).toThrow('no image for "riscv64"; there is one for amd64 and arm64');
  });

  it('the whole step ends so on this machine, before anything else is made', () => {
    const other = process.arch === 'arm64' ? 'amd64' : 'arm64';
    const script = join(repositoryRoot, 'deployment/container/build/assemble.mjs');
    const { status, stderr } = spawnSync(process.execPath, [script, '--arch', other, '--base', '/', root], {
      encoding: 'utf8',
    });
    expect(status).not.toBe(0);
    expect(stderr).toContain('is not installed');
  });
});

describe('components', () => {
  const manifest = (name: string, more: object = {}) =>
    JSON.stringify({ name, version: '1.2.3', license: 'MIT', ...more });

  beforeEach(() => {
    write(
      'package-lock.json',
      JSON.stringify({ packages: { 'node_modules/a': { integrity: 'sha512-AAAA' } } }),
    );
    write('LICENSE', 'ours');
    write('node_modules/a/package.json', manifest('a'));
    write('node_modules/a/LICENSE', 'of a');
    write('packages/core/package.json', manifest('@x/core'));
  });

  it('one for each package behind the files, with the text of its licence', () => {
    const files = [
      'node_modules/a/x.js',
      'node_modules/a/lib/y.js',
      'packages/core/src/z.ts',
      'fetch-of-node:node-fetch',
    ];
    expect(componentsOf(root, files)).toEqual([
      { name: '@x/core', version: '1.2.3', licence: 'MIT', text: 'ours', integrity: undefined },
      { name: 'a', version: '1.2.3', licence: 'MIT', text: 'of a', integrity: 'sha512-AAAA' },
    ]);
  });

  it.each([
    ['node_modules/@s/n/dist/i.js', 'node_modules/@s/n'],
    ['node_modules/a/node_modules/b/i.js', 'node_modules/a/node_modules/b'],
    ['apps/agent/node_modules/b/i.js', 'apps/agent/node_modules/b'],
    ['apps/agent/src/main.ts', 'apps/agent'],
  ])('%s belongs to %s', (file, folder) => {
    expect(packageFolder(file)).toBe(folder);
  });

  it('planted: a package without a licence text ends the build', () => {
    rmSync(join(root, 'node_modules/a/LICENSE'));
    expect(() => componentsOf(root, ['node_modules/a/x.js'])).toThrow(/^a has no licence text/);
  });

  it('planted: a package that names no licence, and a file of no package, end the build', () => {
    write('node_modules/a/package.json', manifest('a', { license: undefined }));
    expect(() => componentsOf(root, ['node_modules/a/x.js'])).toThrow('a does not name its licence');
    expect(() => componentsOf(root, ['scripts/x.mjs'])).toThrow(
      'scripts/x.mjs belongs to no package that is known',
    );
  });
});
