// What may be in the image, and what its files say against that.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { repositoryRoot } from './built-image.ts';

export interface Entry {
  readonly path: string;
  readonly bytes: number;
  readonly mode: number;
  readonly isFolder: boolean;
  readonly target?: string;
}

/** What the image may add to its base: 6 MB and the startup snapshot's 5 MB today, and room for what is to come. */
export const payloadBudgetBytes = 13_000_000;

/** Every file that the image adds, by pattern; each pattern must be met by at least one. */
const allowed: readonly RegExp[] = [
  /^\/agent$/,
  /^\/(?:gateway|bridge|kubectl-mcp|pause|healthcheck)$/,
  /^\/app\/package\.json$/,
  /^\/app\/(?:agent|gateway|bridge)\/package\.json$/,
  /^\/app\/(?:agent|gateway|bridge|kubectl-mcp)\/dist\/main\.js$/,
  /^\/app\/nvml\/helper\/helper\.js$/,
  /^\/app\/agent\/dist\/snapshot\.js$/,
  /^\/app\/shared\/(?:json-schema-validator|parts\/[\w-]+)\.js$/,
  /^\/app\/healthcheck\/healthcheck\.mjs$/,
  /^\/app\/node_modules\/koffi\/(?:package\.json|(?:index|src\/koffi\/index|src\/koffi\/src\/static)\.c?js)$/,
  /^\/app\/node_modules\/@koromix\/koffi-linux-(?:x64|arm64)\/(?:package\.json|index\.js|linux_(?:x64|arm64)\/koffi\.node)$/,
  /^\/usr\/share\/doc\/k8s-gpu-mcp-server\/(?:sbom\.cdx\.json|LICENSES\.txt)$/,
];

/** Only where the node of the base is one that can have a startup snapshot; snapshot.deployment.test.ts says when it must be there. */
const allowedSnapshot = /^\/app\/agent\/agent\.blob(?:\.made-for)?$/;

/** Programs that run commands, install software or fetch files; nobody who breaks in shall find one. */
const unwelcome =
  /^(?:sh|ash|bash|dash|ksh|mksh|zsh|busybox|toybox|npm|npx|corepack|yarn|pnpm|apt|apt-get|dpkg|apk|rpm|yum|dnf|pip3?|python3?(?:\.\d+)?|perl|curl|wget|nc|ncat|socat|ssh|gcc|cc|su|sudo)$/;

const executable = 0o111;
const setUser = 0o4000;
const setGroup = 0o2000;
const writableByAll = 0o002;

/** @returns one sentence per thing that should not be so; empty for a good image */
export function contentProblems(all: readonly Entry[], payload: readonly Entry[]): readonly string[] {
  const programs = all.filter(
    ({ isFolder, mode, target }) => !isFolder && (target !== undefined || mode & executable),
  );
  const nameOf = (path: string) => path.slice(path.lastIndexOf('/') + 1);
  const bytes = payload.reduce((sum, entry) => sum + entry.bytes, 0);
  const native = all.filter(({ path }) => path.endsWith('.node'));
  return [
    ...payload
      .filter(({ path }) => ![...allowed, allowedSnapshot].some((pattern) => pattern.test(path)))
      .map(({ path }) => `${path} is not on the list of what the image may hold`),
    ...allowed
      .filter((pattern) => !payload.some(({ path }) => pattern.test(path)))
      .map((pattern) => `nothing matches ${pattern}`),
    ...programs
      .filter(({ path }) => unwelcome.test(nameOf(path)))
      .map(({ path }) => `${path} has no place in the image`),
    ...all
      .filter(
        ({ mode, isFolder, target }) => !isFolder && target === undefined && mode & (setUser | setGroup),
      )
      .map(({ path }) => `${path} changes who runs it`),
    ...payload
      .filter(({ mode, target }) => target === undefined && mode & writableByAll)
      .map(({ path }) => `${path} can be written by anyone`),
    ...(native.length === 1
      ? []
      : [`${native.length} native modules: ${native.map(({ path }) => path).join(', ')}`]),
    ...(bytes <= payloadBudgetBytes
      ? []
      : [`the payload is ${bytes} bytes, the budget ${payloadBudgetBytes}`]),
  ];
}

/** Asked of the build's own code in a process of its own. */
function listed(code: string): readonly Entry[] {
  const module = join(repositoryRoot, 'deployment/container/payload.mjs');
  const script = `import { entriesOf, payloadOf } from ${JSON.stringify(module)}; console.log(JSON.stringify(${code}));`;
  const { status, stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
    encoding: 'utf8',
    maxBuffer: 64 * 1_024 * 1_024,
  });
  if (status !== 0) throw new Error(stderr);
  return JSON.parse(stdout) as Entry[];
}

export const entriesOf = (image: string): readonly Entry[] => listed(`entriesOf(${JSON.stringify(image)})`);
export const payloadOf = (image: string, base: string): readonly Entry[] =>
  listed(`payloadOf(${JSON.stringify(image)}, ${JSON.stringify(base)})`);
