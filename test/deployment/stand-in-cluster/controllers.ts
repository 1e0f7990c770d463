import { createHash, randomBytes } from 'node:crypto';
import { matchesLabels } from '../../../packages/kubernetes/test/fake-api-server/selectors.ts';
import { type ClusterState, selectorText } from './cluster-state.ts';
import {
  type JsonObject,
  type KubernetesObject,
  numberAt,
  objectAt,
  objectsAt,
  stringsAt,
  textAt,
} from './json.ts';

/** Makes the cluster what its objects say, after every change: pods of DaemonSets and Deployments, nodes for pods, what owners leave behind. */
export class Controllers {
  readonly #state: ClusterState;
  #isPlanned = false;
  #isClosed = false;

  constructor(state: ClusterState) {
    this.#state = state;
    state.onChange(() => {
      if (this.#isPlanned) return;
      this.#isPlanned = true;
      setImmediate(() => {
        this.#isPlanned = false;
        if (!this.#isClosed) this.#reconcile();
      });
    });
  }

  close(): void {
    this.#isClosed = true;
  }

  #reconcile(): void {
    const state = this.#state;
    for (const namespace of state.all('Namespace')) this.#defaults(namespace.metadata.name);
    this.#collectGarbage();
    for (const deployment of state.all('Deployment')) this.#deployment(deployment);
    for (const replicaSet of state.all('ReplicaSet')) this.#replicaSet(replicaSet);
    for (const daemonSet of state.all('DaemonSet')) this.#daemonSet(daemonSet);
    for (const pod of state.all('Pod')) this.#schedule(pod);
    for (const budget of state.all('PodDisruptionBudget')) this.#budget(budget);
  }

  #defaults(namespace: string): void {
    if (this.#state.find('ServiceAccount', namespace, 'default') === undefined)
      this.#state.create(
        { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'default' } },
        namespace,
      );
  }

  /** What belongs to an owner that is gone, or is in a namespace that is gone, goes too. */
  #collectGarbage(): void {
    const kinds = [
      'Pod',
      'ReplicaSet',
      'DaemonSet',
      'Deployment',
      'Service',
      'Secret',
      'ConfigMap',
      'ServiceAccount',
      'Role',
      'RoleBinding',
      'NetworkPolicy',
      'PodDisruptionBudget',
    ];
    const all = kinds.flatMap((kind) => this.#state.all(kind));
    const uids = new Set(all.map(({ metadata }) => metadata.uid));
    for (const object of all) {
      const owners = objectsAt(object, 'metadata', 'ownerReferences').map(({ uid }) => String(uid));
      const isOrphan = owners.length > 0 && owners.every((uid) => !uids.has(uid));
      const isHomeless = this.#state.find('Namespace', null, object.metadata.namespace ?? '') === undefined;
      if (isOrphan || isHomeless) this.#state.delete(object);
    }
  }

  #deployment(deployment: KubernetesObject): void {
    const state = this.#state;
    const hash = hashOf(objectAt(deployment, 'spec', 'template'));
    const replicas = numberAt(deployment, 'spec', 'replicas') ?? 1;
    const namespace = deployment.metadata.namespace ?? '';
    const owned = state.all('ReplicaSet', { namespace }).filter((each) => isOwned(each, deployment));
    const name = `${deployment.metadata.name}-${hash}`;
    const current = owned.find(({ metadata }) => metadata.name === name);
    if (current === undefined) {
      const template = withLabel(objectAt(deployment, 'spec', 'template'), 'pod-template-hash', hash);
      const revision = String(owned.length + 1);
      state.create(
        {
          apiVersion: 'apps/v1',
          kind: 'ReplicaSet',
          metadata: {
            name,
            labels: stringsAt(template, 'metadata', 'labels'),
            annotations: { 'deployment.kubernetes.io/revision': revision },
            ...ownedBy(deployment),
          },
          spec: { replicas, selector: objectAt(deployment, 'spec', 'selector'), template },
        },
        namespace,
      );
      return;
    }
    scale(state, current, replicas);
    const ready = numberAt(current, 'status', 'readyReplicas') ?? 0;
    if (ready >= replicas) for (const old of owned.filter((each) => each !== current)) scale(state, old, 0);
    const total = owned.reduce((sum, each) => sum + (numberAt(each, 'status', 'replicas') ?? 0), 0);
    const isDone = ready >= replicas && total === replicas;
    state.setStatus(deployment, {
      observedGeneration: numberAt(deployment, 'metadata', 'generation'),
      replicas: total,
      updatedReplicas: numberAt(current, 'status', 'replicas') ?? 0,
      readyReplicas: ready,
      availableReplicas: ready,
      ...(ready >= replicas ? {} : { unavailableReplicas: replicas - ready }),
      conditions: [
        { type: 'Available', status: ready >= replicas ? 'True' : 'False', reason: 'MinimumReplicas' },
        {
          type: 'Progressing',
          status: 'True',
          reason: isDone ? 'NewReplicaSetAvailable' : 'ReplicaSetUpdated',
        },
      ],
    });
  }

  #replicaSet(replicaSet: KubernetesObject): void {
    const wanted = numberAt(replicaSet, 'spec', 'replicas') ?? 1;
    const pods = this.#podsOf(replicaSet);
    const template = objectAt(replicaSet, 'spec', 'template');
    for (let count = pods.length; count < wanted; count += 1) this.#createPod(replicaSet, template);
    for (const pod of pods.slice(wanted)) this.#state.delete(pod);
    const ready = pods.filter(isReady).length;
    this.#state.setStatus(replicaSet, {
      observedGeneration: numberAt(replicaSet, 'metadata', 'generation'),
      replicas: Math.min(pods.length, wanted),
      fullyLabeledReplicas: pods.length,
      readyReplicas: ready,
      availableReplicas: ready,
    });
  }

  #daemonSet(daemonSet: KubernetesObject): void {
    const hash = hashOf(objectAt(daemonSet, 'spec', 'template'));
    const template = withLabel(objectAt(daemonSet, 'spec', 'template'), 'controller-revision-hash', hash);
    const nodes = this.#state.all('Node').filter((node) => suits(node, objectAt(template, 'spec')));
    const pods = this.#podsOf(daemonSet);
    const isUpdated = (pod: KubernetesObject) => pod.metadata.labels?.['controller-revision-hash'] === hash;
    for (const pod of pods)
      if (!isUpdated(pod) || !nodes.some(({ metadata }) => metadata.name === nodeOf(pod)))
        this.#state.delete(pod);
    for (const { metadata } of nodes)
      if (!this.#allPodsOf(daemonSet).some((pod) => nodeOf(pod) === metadata.name))
        this.#createPod(daemonSet, template, metadata.name);
    const left = this.#podsOf(daemonSet);
    const ready = left.filter(isReady).length;
    this.#state.setStatus(daemonSet, {
      observedGeneration: numberAt(daemonSet, 'metadata', 'generation'),
      desiredNumberScheduled: nodes.length,
      currentNumberScheduled: left.length,
      updatedNumberScheduled: left.filter(isUpdated).length,
      numberMisscheduled: 0,
      numberReady: ready,
      numberAvailable: ready,
      ...(ready < nodes.length ? { numberUnavailable: nodes.length - ready } : {}),
    });
  }

  #schedule(pod: KubernetesObject): void {
    if (pod.metadata.deletionTimestamp !== undefined) return;
    if (nodeOf(pod) === undefined) {
      const node = this.#state.all('Node').find((each) => suits(each, objectAt(pod, 'spec')));
      if (node !== undefined)
        this.#state.replace(pod, {
          ...pod,
          spec: { ...objectAt(pod, 'spec'), nodeName: node.metadata.name },
        });
    } else if (textAt(pod, 'status', 'phase') === undefined) {
      this.#state.setStatus(pod, {
        phase: 'Pending',
        conditions: [{ type: 'PodScheduled', status: 'True' }],
      });
    }
  }

  #budget(budget: KubernetesObject): void {
    const labels = selectorText(objectAt(budget, 'spec', 'selector'));
    const pods = this.#state.all('Pod', { namespace: budget.metadata.namespace ?? '', labels });
    const healthy = pods.filter(isReady).length;
    this.#state.setStatus(budget, {
      observedGeneration: numberAt(budget, 'metadata', 'generation'),
      currentHealthy: healthy,
      expectedPods: pods.length,
      desiredHealthy: Math.max(0, pods.length - 1),
      disruptionsAllowed: Math.max(0, healthy - Math.max(0, pods.length - 1)),
    });
  }

  #allPodsOf(owner: KubernetesObject): KubernetesObject[] {
    return this.#state
      .all('Pod', { namespace: owner.metadata.namespace ?? '' })
      .filter((pod) => isOwned(pod, owner));
  }

  #podsOf(owner: KubernetesObject): KubernetesObject[] {
    return this.#allPodsOf(owner).filter(({ metadata }) => metadata.deletionTimestamp === undefined);
  }

  /** Refused, as by the real admission, where the pod names what is not there; then an event says so. */
  #createPod(owner: KubernetesObject, template: JsonObject, nodeName?: string): void {
    const namespace = owner.metadata.namespace ?? '';
    const spec = objectAt(template, 'spec');
    const account = textAt(spec, 'serviceAccountName') ?? 'default';
    const runtimeClass = textAt(spec, 'runtimeClassName');
    if (this.#state.find('ServiceAccount', namespace, account) === undefined) {
      this.#complain(owner, `error looking up service account ${namespace}/${account}: not found`);
      return;
    }
    if (runtimeClass !== undefined && this.#state.find('RuntimeClass', null, runtimeClass) === undefined) {
      this.#complain(owner, `pod rejected: RuntimeClass "${runtimeClass}" not found`);
      return;
    }
    const suffix = randomBytes(3).toString('hex').slice(0, 5);
    this.#state.create(
      {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: {
          name: `${owner.metadata.name}-${suffix}`,
          labels: stringsAt(template, 'metadata', 'labels'),
          annotations: stringsAt(template, 'metadata', 'annotations'),
          ...ownedBy(owner),
        },
        spec: { ...spec, ...(nodeName === undefined ? {} : { nodeName }) },
      },
      namespace,
    );
  }

  #complain(owner: KubernetesObject, message: string): void {
    const { name, namespace = '', uid } = owner.metadata;
    const eventName = `${name}.failed-create`;
    if (this.#state.find('Event', namespace, eventName) !== undefined) return;
    this.#state.create(
      {
        apiVersion: 'v1',
        kind: 'Event',
        metadata: { name: eventName },
        ...{ type: 'Warning', reason: 'FailedCreate', message },
        involvedObject: { kind: owner.kind, name, namespace, uid },
      },
      namespace,
    );
  }
}

export const isReady = (pod: KubernetesObject) =>
  pod.metadata.deletionTimestamp === undefined &&
  objectsAt(pod, 'status', 'conditions').some(({ type, status }) => type === 'Ready' && status === 'True');

const nodeOf = (pod: KubernetesObject) => textAt(pod, 'spec', 'nodeName');

const isOwned = (object: KubernetesObject, owner: KubernetesObject) =>
  objectsAt(object, 'metadata', 'ownerReferences').some(({ uid }) => uid === owner.metadata.uid);

const ownedBy = ({ apiVersion = '', kind = '', metadata: { name, uid = '' } }: KubernetesObject) => ({
  ownerReferences: [{ apiVersion, kind, name, uid, controller: true, blockOwnerDeletion: true }],
});

const hashOf = (template: JsonObject) =>
  createHash('sha256').update(JSON.stringify(template)).digest('hex').slice(0, 9);

function scale(state: ClusterState, replicaSet: KubernetesObject, replicas: number): void {
  if (numberAt(replicaSet, 'spec', 'replicas') === replicas) return;
  state.replace(replicaSet, { ...replicaSet, spec: { ...objectAt(replicaSet, 'spec'), replicas } });
}

const withLabel = (template: JsonObject, label: string, value: string): JsonObject => ({
  ...template,
  metadata: {
    ...objectAt(template, 'metadata'),
    labels: { ...stringsAt(template, 'metadata', 'labels'), [label]: value },
  },
});

/** Whether a pod may run on the node: nodeSelector, required node affinity, taints. */
function suits(node: KubernetesObject, spec: JsonObject): boolean {
  const labels = node.metadata.labels ?? {};
  const selector = Object.entries(stringsAt(spec, 'nodeSelector'));
  const terms = objectsAt(
    spec,
    ...['affinity', 'nodeAffinity', 'requiredDuringSchedulingIgnoredDuringExecution', 'nodeSelectorTerms'],
  );
  const tolerations = objectsAt(spec, 'tolerations');
  const isTolerated = (taint: JsonObject) =>
    tolerations.some(
      ({ key, operator, value, effect }) =>
        (key === undefined || key === taint['key']) &&
        (operator === 'Exists' || (value ?? '') === (taint['value'] ?? '')) &&
        (effect === undefined || effect === taint['effect']),
    );
  return (
    selector.every(([key, value]) => labels[key] === value) &&
    (terms.length === 0 || terms.some((term) => matchesTerm(node, term))) &&
    objectsAt(node, 'spec', 'taints').every(isTolerated)
  );
}

const matchesTerm = (node: KubernetesObject, { matchExpressions }: JsonObject) =>
  Array.isArray(matchExpressions) && matchesLabels(node, selectorText({ matchExpressions }));
