// The programs that ours are compared with, at the exact versions of bench/peers/package-lock.json. Installed once, into bench/.peers.
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { originalEnvironment } from './environment.mjs';

const manifests = resolve(import.meta.dirname, '../peers');
const folder = resolve(import.meta.dirname, '../.peers');
const goArchitecture = { x64: 'amd64', arm64: 'arm64' };
const installLimitMilliseconds = 5 * 60_000;

/** A cluster that is away. The peer reads its configuration and finds nobody there, on every machine alike. */
const kubeconfig = JSON.stringify({
  apiVersion: 'v1',
  kind: 'Config',
  'current-context': 'nowhere',
  clusters: [{ name: 'nowhere', cluster: { server: 'https://127.0.0.1:1' } }],
  users: [{ name: 'nobody', user: { token: 'bench' } }],
  contexts: [{ name: 'nowhere', context: { cluster: 'nowhere', user: 'nobody' } }],
});

const isInstalled = () => {
  const [wanted, present] = [join(manifests, 'package-lock.json'), join(folder, 'installed.json')];
  return existsSync(present) && readFileSync(present, 'utf8') === readFileSync(wanted, 'utf8');
};

/** @returns why it could not be installed, if so */
function install() {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  for (const name of ['package.json', 'package-lock.json'])
    copyFileSync(join(manifests, name), join(folder, name));
  // No script of theirs runs; the Go peer's and Node's binaries are in their packages as they are.
  const options = ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];
  const { error, status, stderr } = spawnSync('npm', options, {
    cwd: folder,
    encoding: 'utf8',
    env: originalEnvironment,
    timeout: installLimitMilliseconds,
  });
  if (error !== undefined) return `npm: ${error.message}`;
  if (status !== 0) return `npm ended with ${status}: ${stderr.trim().split('\n')[0]}`;
  writeFileSync(join(folder, 'kubeconfig'), kubeconfig);
  copyFileSync(join(manifests, 'package-lock.json'), join(folder, 'installed.json'));
  return undefined;
}

const versionOf = (name) =>
  JSON.parse(readFileSync(join(folder, 'node_modules', name, 'package.json'), 'utf8')).version;

/**
 * The peers as commands, `reason` undefined; or, where they cannot be had, only the reason.
 * `node24` is the Node of the image.
 */
export function peers() {
  const architecture = goArchitecture[process.arch];
  if (process.platform !== 'linux' || architecture === undefined)
    return {
      reason: `the peers are for Linux on x64 and arm64, not for ${process.platform} on ${process.arch}`,
    };
  const reason = isInstalled() ? undefined : install();
  if (reason !== undefined) return { reason: `the peers could not be installed: ${reason}` };
  const inside = (...parts) => join(folder, 'node_modules', ...parts);
  const goPackage = `kubernetes-mcp-server-linux-${architecture}`;
  const goProgram = inside(goPackage, 'bin', goPackage);
  const everythingProgram = inside('@modelcontextprotocol/server-everything/dist/index.js');
  const go = [goProgram, '--kubeconfig', join(folder, 'kubeconfig')];
  return {
    reason: undefined,
    node24: inside(`node-linux-${process.arch}`, 'bin', 'node'),
    go: {
      name: `Go kubernetes-mcp-server ${versionOf(goPackage)}`,
      stdio: go,
      http: (port) => [...go, '--bind-address', '127.0.0.1', '--port', String(port)],
      /** Its cheapest tool: prints the kubeconfig it was given. */
      tool: 'configuration_view',
    },
    everything: {
      name: `server-everything ${versionOf('@modelcontextprotocol/server-everything')}`,
      stdio: (node) => [node, everythingProgram, 'stdio'],
      http: (node) => [node, everythingProgram, 'streamableHttp'],
      httpEnvironment: (port) => ({ PORT: String(port) }),
    },
  };
}
