// Writes deployment/manifests and deployment/rbac from the chart, for those who use kubectl without helm. `--check` writes nothing and fails
// when a file is not current. Needs helm 3: node test/deployment/tools/install.mjs
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

const root = resolve(import.meta.dirname, '..');
const helm = join(root, 'test/deployment/tools/bin/helm-3');
const chart = join(root, 'deployment/helm/k8s-gpu-mcp-server');
const release = 'k8s-gpu-mcp-server';
const namespace = 'gpu-diagnostics';
const generated =
  '# Rendered from deployment/helm/k8s-gpu-mcp-server by scripts/render-manifests.mjs; do not edit.';

const secretOf = { agent: `${release}-agent-token`, gateway: `${release}-gateway-token` };
// Made by hand once: a file that is public must hold no token.
const withSecrets = Object.entries(secretOf).map(([token, name]) => `auth.${token}.existingSecret=${name}`);
const createNamespace = `kubectl create namespace ${namespace}`;
const createSecrets = Object.values(secretOf).map(
  (name) =>
    `kubectl create secret generic ${name} -n ${namespace} --from-literal=token="$(openssl rand -hex 24)"`,
);
const podSecurity = (reason) => [
  `Where the cluster enforces PodSecurity, the agents need the profile "privileged" (${reason}):`,
  `  kubectl label namespace ${namespace} pod-security.kubernetes.io/enforce=privileged`,
];
const complete = (file, what, values, { secrets = [], notes = [] }) => ({
  path: `deployment/manifests/${file}`,
  values,
  isWanted: () => true,
  head: [
    what,
    '',
    ...[createNamespace, ...secrets, `kubectl apply -f deployment/manifests/${file}`].map(
      (line) => `  ${line}`,
    ),
    ...(notes.length === 0 ? [] : ['', ...notes]),
  ],
});
const isRbac = ({ kind }) => /^(?:ServiceAccount|(?:Cluster)?Role(?:Binding)?)$/.test(kind);
const rights = (file, component, head) => ({
  path: `deployment/rbac/${file}`,
  values: withSecrets,
  isWanted: (object) => isRbac(object) && object.component === component,
  head,
});

const files = [
  complete(
    'runtime-class.yaml',
    'Agents on all GPU nodes, which reach the GPUs through the RuntimeClass "nvidia", and a gateway for all of them.',
    withSecrets,
    { secrets: createSecrets, notes: podSecurity('capability SYSLOG, for the kernel log') },
  ),
  complete(
    'mock.yaml',
    'A trial without GPUs: every node shows simulated ones. For any cluster, kind included.',
    [...withSecrets, 'gpu.mock.enabled=true'],
    { secrets: createSecrets },
  ),
  complete(
    'stdio.yaml',
    'Agents that sleep until they are started: kubectl exec -i POD -- /agent. No gateway, no open port, no tokens.',
    ['transport.mode=stdio'],
    { notes: podSecurity('capability SYSLOG, for the kernel log') },
  ),
  rights('gateway.yaml', 'gateway', [
    'What the gateway may do: find the agents of its namespace, and read nodes, and the pods, owners and claims that use their GPUs.',
    'The agents have no rights at all. Part of the complete manifests; here for who makes accounts and rights apart from the rest',
    '(chart: rbac.create=false and gateway.serviceAccount.create=false with its name).',
  ]),
  rights('client.yaml', 'client', [
    'What people with the bridge or kubectl-mcp need, and no more. Bound to nobody until you do:',
    '',
    `  kubectl create rolebinding gpu-mcp-USER -n ${namespace} --role ${release}-client --user USER`,
  ]),
];

if (!existsSync(helm)) {
  console.error('helm 3 is not installed: node test/deployment/tools/install.mjs');
  process.exit(1);
}
const isCheck = process.argv.includes('--check');
const stale = files.filter((file) => {
  const path = join(root, file.path);
  const text = render(file);
  if (existsSync(path) && readFileSync(path, 'utf8') === text) return false;
  if (!isCheck) writeFileSync(path, text);
  return true;
});
for (const { path } of stale)
  console.log(isCheck ? `${path} is not current: node scripts/render-manifests.mjs` : path);
process.exitCode = isCheck && stale.length > 0 ? 1 : 0;

function render({ values, isWanted, head }) {
  const output = execFileSync(
    helm,
    [
      'template',
      release,
      chart,
      '--namespace',
      namespace,
      '--skip-tests',
      ...values.flatMap((value) => ['--set', value]),
    ],
    { encoding: 'utf8', env: {} },
  );
  const documents = output
    .split(/^---\n/m)
    .map(withoutHelm)
    .filter((text) => /^kind: /m.test(text) && isWanted(describe(text)));
  const comment = [generated, '#', ...head.map((line) => `# ${line}`.trimEnd())];
  return [`${comment.join('\n')}\n`, ...documents].join('---\n');
}

/** What only helm's own installations carry. */
function withoutHelm(document) {
  const isKept = (line) => !/^# Source: |^ +app\.kubernetes\.io\/managed-by: Helm$/.test(line);
  return `${document.trim().split('\n').filter(isKept).join('\n')}\n`;
}

function describe(document) {
  const [, kind] = /^kind: (\S+)/m.exec(document);
  const [, component] = /^ {4}app\.kubernetes\.io\/component: (\S+)/m.exec(document) ?? [];
  return { kind, component };
}
