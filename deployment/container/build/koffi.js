// koffi comes with its sources and, per platform, a native file for glibc and one for musl. Its glibc file and the JavaScript that
// loads it are all that runs; both forms of that, since a bundle asks for it with `require` and with `import`.
import { copyFileSync, existsSync, mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** Names of a processor: of the container world (GOARCH) and of node. */
const nodeArchitectures = { amd64: 'x64', arm64: 'arm64' };

/** The package with the native file. @throws for an architecture that the image is not made for */
export function nativePackage(architecture) {
  const cpu = nodeArchitectures[architecture];
  if (cpu === undefined)
    throw new Error(
      `no image for "${architecture}"; there is one for ${Object.keys(nodeArchitectures).join(' and ')}`,
    );
  return { name: `@koromix/koffi-linux-${cpu}`, file: `linux_${cpu}/koffi.node` };
}

const bothForms = (...names) => names.flatMap((name) => [`${name}.js`, `${name}.cjs`]);

/** Copies what is needed from one node_modules to another. @returns the packages of which something was taken */
export function copyKoffi(from, to, architecture) {
  const native = nativePackage(architecture);
  const files = {
    koffi: ['package.json', ...bothForms('index', 'src/koffi/index', 'src/koffi/src/static')],
    [native.name]: ['package.json', 'index.js', native.file],
  };
  for (const [name, paths] of Object.entries(files)) {
    for (const path of paths) {
      const source = join(from, name, path);
      if (!existsSync(source))
        throw new Error(
          `${name}/${path} is not installed: build on ${architecture}, or install for it first`,
        );
      const target = join(to, name, path);
      mkdirSync(dirname(target), { recursive: true });
      copyFileSync(source, target);
    }
  }
  return Object.keys(files);
}
