import { UsageError } from '@k8s-gpu-mcp/command-line';

/** What `diagnose` is asked about. */
export type Subject =
  | { readonly kind: 'node'; readonly node: string }
  | { readonly kind: 'pod'; readonly name: string }
  | { readonly kind: 'job'; readonly ownerKind: string; readonly name: string };

/** kubectl's names and short names of what runs pods, as the API server writes the kind. */
const kinds: Readonly<Record<string, string>> = {
  job: 'Job',
  cronjob: 'CronJob',
  cj: 'CronJob',
  deployment: 'Deployment',
  deploy: 'Deployment',
  replicaset: 'ReplicaSet',
  rs: 'ReplicaSet',
  statefulset: 'StatefulSet',
  sts: 'StatefulSet',
  daemonset: 'DaemonSet',
  ds: 'DaemonSet',
  jobset: 'JobSet',
  pytorchjob: 'PyTorchJob',
  tfjob: 'TFJob',
  mpijob: 'MPIJob',
  jaxjob: 'JAXJob',
  trainjob: 'TrainJob',
  xgboostjob: 'XGBoostJob',
  rayjob: 'RayJob',
  raycluster: 'RayCluster',
  rayservice: 'RayService',
  leaderworkerset: 'LeaderWorkerSet',
  lws: 'LeaderWorkerSet',
  workflow: 'Workflow',
};

/** RFC 1123 subdomain, which names of nodes, pods and nearly all objects are. */
const objectName = /^[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?$/;
const kindName = /^[A-Za-z][A-Za-z0-9]{0,62}$/;

/**
 * `NODE`, `pod/NAME`, `pod NAME`, `job/NAME` or `KIND/NAME`, as kubectl takes them.
 * @throws UsageError
 */
export function parseSubject([what = '', second]: readonly string[]): Subject {
  const slash = what.indexOf('/');
  if (slash === -1 && second === undefined) return { kind: 'node', node: checked(what, what) };
  if (slash !== -1 && second !== undefined)
    throw new UsageError(`${quote(what)} names an object already, and ${quote(second)} another: give one`);
  const [typed, name] = slash === -1 ? [what, second ?? ''] : [what.slice(0, slash), what.slice(slash + 1)];
  checked(name, `${what}${slash === -1 ? ` ${name}` : ''}`);
  // `pytorchjobs.kubeflow.org` is the full name of a resource.
  const [word = ''] = typed.split('.', 1);
  const lower = word.toLowerCase();
  if (['node', 'nodes', 'no'].includes(lower)) return { kind: 'node', node: name };
  if (['pod', 'pods', 'po'].includes(lower)) return { kind: 'pod', name };
  const ownerKind = kinds[lower] ?? kinds[lower.replace(/s$/, '')] ?? word;
  if (!kindName.test(ownerKind)) throw new UsageError(`${quote(typed)} is not a kind: ${forms}`);
  return { kind: 'job', ownerKind, name };
}

const forms = 'give NODE, pod/NAME, job/NAME or KIND/NAME';

function checked(name: string, shown: string): string {
  if (objectName.test(name)) return name;
  throw new UsageError(`${quote(shown)} does not name an object: ${forms}`);
}

const quote = (text: string) => JSON.stringify(text.slice(0, 80));
