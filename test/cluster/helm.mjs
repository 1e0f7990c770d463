import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { releases } from './manifests.mjs';
import { chartFolder } from './options.mjs';

const run = promisify(execFile);

/** Helm of the person who runs the trial. Each method rejects with what helm said. */
export function createHelm({ helm, kubeconfig, context, namespace, image, ...options }) {
  const flags = [
    ...(kubeconfig === undefined ? [] : ['--kubeconfig', kubeconfig]),
    ...(context === undefined ? [] : ['--kube-context', context]),
    ...['--namespace', namespace],
  ];
  const [, repository, tag] = /^(.+):([^:/]+)$/.exec(image) ?? [];
  const values = [
    `image.repository=${repository ?? image}`,
    ...(tag === undefined ? [] : [`image.tag=${tag}`]),
    ...(options.isMock ? ['gpu.mock.enabled=true', `gpu.mock.scenario=${options.scenario}`] : []),
    ...Object.entries(options.nodeSelector).map(
      ([key, value]) => `agent.nodeSelector.${key.replaceAll('.', '\\.')}=${value}`,
    ),
    ...options.values,
  ].flatMap((value) => ['--set-string', value]);
  // Switches are no strings.
  for (const [at, value] of values.entries())
    if (/=(?:true|false|\d+)$/.test(value)) values[at - 1] = '--set';
  const text = async (...args) =>
    (await run(helm, [...args, ...flags], { maxBuffer: 64 * 1024 ** 2, timeout: 400_000 })).stdout;
  const chart = fileURLToPath(chartFolder);
  return {
    text,
    install: (kind) =>
      text('install', releases[kind], chart, ...values, '--set', `transport.mode=${kind}`, '--wait'),
    upgrade: (kind) => text('upgrade', releases[kind], chart, '--reuse-values', '--wait'),
    test: (kind) => text('test', releases[kind]),
    uninstall: (kind) => text('uninstall', releases[kind], '--ignore-not-found', '--wait'),
  };
}
