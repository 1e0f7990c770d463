// The image, built once for all tests that need it, and the ways to run it.
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { Outcome } from '../../programs/run-program.ts';

export const repositoryRoot = resolve(import.meta.dirname, '../../..');
const script = join(repositoryRoot, 'deployment/container/build-image.mjs');
export const testTag = 'localhost/k8s-gpu-mcp-server:test';

const isThere = (command: string) => spawnSync(command, ['--version'], { stdio: 'ignore' }).status === 0;

/** Why the image cannot be built and run here; undefined when it can. */
export const noContainers: string | undefined = (() => {
  if (process.platform !== 'linux') return 'containers need Linux';
  if (process.getuid?.() !== 0) return 'building and running the image needs root';
  const missing = ['podman', 'buildah', 'runc', 'flock', 'gcc'].filter((command) => !isThere(command));
  return missing.length > 0 ? `not on this machine: ${missing.join(', ')}` : undefined;
})();

/** Both come from this machine unless a base is named: what runs on a forge tests on the base that is released. */
function baseArguments(): readonly string[] {
  const { K8S_GPU_MCP_TEST_BASE: base, K8S_GPU_MCP_TEST_BUILD_IMAGE: build } = process.env;
  if (base === undefined) return ['--local-root'];
  return ['--base', base, ...(build === undefined ? ['--local-root'] : ['--build-image', build])];
}

let tag: string | undefined;
let failure: unknown;

/**
 * The tag of the image made from the sources as they are: built where there is none yet or an older one. One build at a time; whoever
 * comes second finds it done. K8S_GPU_MCP_TEST_IMAGE names a finished image to be tested instead.
 */
export function builtImage(): string {
  const { K8S_GPU_MCP_TEST_IMAGE: finished } = process.env;
  // One that failed fails again: each test says why, and none waits for another try.
  if (failure !== undefined) throw failure;
  try {
    if (tag === undefined) removeLeftovers();
    tag ??= finished ?? build();
  } catch (error) {
    failure = error;
    throw error;
  }
  return tag;
}

function build(): string {
  const lock = join(tmpdir(), 'k8s-gpu-mcp-image.lock');
  const command = [process.execPath, script, '--tag', testTag, '--if-changed', ...baseArguments()];
  const { status, stdout, stderr } = spawnSync('flock', [lock, ...command], {
    encoding: 'utf8',
    maxBuffer: 64 * 1_024 * 1_024,
  });
  if (status !== 0) throw new Error(`build-image.mjs ended with ${status}:\n${stderr.slice(-4_000)}`);
  return stdout.trim();
}

interface ImageConfiguration {
  readonly User: string;
  readonly Env: readonly string[];
  readonly Entrypoint: readonly string[];
  readonly Cmd: readonly string[] | null;
  readonly StopSignal?: string;
  readonly Labels: Readonly<Record<string, string>>;
}

export interface InspectedImage {
  readonly Architecture: string;
  readonly Config: ImageConfiguration;
  readonly Healthcheck: { readonly Test: readonly string[] } | undefined;
  readonly History: readonly { readonly created_by: string }[];
  readonly [more: string]: unknown;
}

export function inspectImage(image: string): InspectedImage {
  const [inspected] = JSON.parse(podman(['image', 'inspect', image])) as InspectedImage[];
  if (inspected === undefined) throw new Error(`no image ${image}`);
  return inspected;
}

/** The name of the image that this one was made on. */
export function baseOf(image: string): string {
  const base = inspectImage(image).Config.Labels['org.opencontainers.image.base.name'];
  if (base === undefined) throw new Error(`${image} does not say what its base is`);
  return base;
}

/** runc: crun of older distributions fails where both cgroup versions are mounted. */
export const podmanCommand = ['podman', '--runtime', 'runc'] as const;
const [podmanProgram, ...podmanFlags] = podmanCommand;

const startedBy = 'k8s-gpu-mcp.started-by';

/**
 * Of `podman run`: default limits are above what a sandbox may ask for, timed health checks need systemd, and the label says which process
 * of the tests takes the container away again.
 */
export const runFlags = [
  ...['--no-healthcheck', '--label', `${startedBy}=${process.pid}`],
  ...['--ulimit', 'nofile=4096:4096', '--ulimit', 'nproc=4096:4096'],
];

/** Containers of a run of the tests that was killed. */
function removeLeftovers(): void {
  const format = `{{.ID}} {{index .Labels "${startedBy}"}}`;
  const { stdout } = tryPodman(['ps', '--all', '--filter', `label=${startedBy}`, '--format', format]);
  for (const [id = '', pid = ''] of stdout
    .trim()
    .split('\n')
    .map((line) => line.split(' ')))
    if (id !== '' && !existsSync(`/proc/${pid}`)) tryPodman(['rm', '--force', '--time', '0', id]);
}

/** What hangs is ended, so that its test fails with what it had said. */
const timeLimitMilliseconds = 120_000;

/** Runs podman to its end. @returns its standard output; @throws when it fails */
export function podman(args: readonly string[]): string {
  return execFileSync(podmanProgram, [...podmanFlags, ...args], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: timeLimitMilliseconds,
  });
}

/** Runs podman to its end, however that is. */
export function tryPodman(args: readonly string[], input = ''): Outcome {
  const { status, stdout, stderr } = spawnSync(podmanProgram, [...podmanFlags, ...args], {
    encoding: 'utf8',
    input,
    timeout: timeLimitMilliseconds,
  });
  return { code: status, stdout, stderr };
}

/** A container of the image that is removed when it ends. */
export const runOnce = (flags: readonly string[], args: readonly string[], input?: string): Outcome =>
  tryPodman(['run', '--rm', '-i', ...runFlags, ...flags, builtImage(), ...args], input);

export const temporaryFolder = (): string => mkdtempSync(join(tmpdir(), 'k8s-gpu-mcp-image-'));
