import { execFile, spawn } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);
const limits = { maxBuffer: 64 * 1024 ** 2, timeout: 300_000 };

/** kubectl of the person who runs the trial. Each method rejects with what kubectl said. */
export function createKubectl({ kubeconfig, context, namespace }) {
  const flags = [
    ...(kubeconfig === undefined ? [] : ['--kubeconfig', kubeconfig]),
    ...(context === undefined ? [] : ['--context', context]),
    ...['--namespace', namespace],
  ];
  const text = async (...args) => (await run('kubectl', [...flags, ...args], limits)).stdout;
  const json = async (...args) => JSON.parse(await text(...args, '-o', 'json'));
  return {
    text,
    json,
    async apply(objects) {
      const child = spawn('kubectl', [...flags, 'apply', '-f', '-'], { stdio: ['pipe', 'ignore', 'pipe'] });
      let said = '';
      child.stderr.on('data', (chunk) => {
        said += chunk;
      });
      const ended = new Promise((resolve, reject) => {
        child.once('error', reject);
        child.once('close', (code) => (code === 0 ? resolve() : reject(new Error(said.trim()))));
      });
      child.stdin.on('error', () => {});
      child.stdin.end(JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects }));
      await ended;
    },
    /** Needs kubectl 1.24. */
    patchStatus: (node, patch) =>
      text('patch', 'node', node, '--subresource=status', '--type=json', '--patch', JSON.stringify(patch)),
    /** A command that goes on, with its streams. */
    start: (...args) => spawn('kubectl', [...flags, ...args], { stdio: ['pipe', 'pipe', 'pipe'] }),
  };
}

/** Resolves with what `look` gives once it is not undefined, asking every second. Rejects after `seconds`, with what was looked for. */
export async function eventually(what, seconds, look) {
  const end = Date.now() + seconds * 1_000;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (Date.now() > end) throw new Error(`${what}: not within ${seconds} s`);
    await new Promise((resolve) => setTimeout(resolve, 1_000));
  }
}
