import {
  type Clock,
  type ClusterPod,
  type Gap,
  type OwnerRef,
  ownerOf,
  type WorkloadOwner,
} from '@k8s-gpu-mcp/core';
import { KubernetesError, type KubernetesErrorReason } from '../kubernetes-api.ts';
import { BoundedCache } from './bounded-cache.ts';
import { abortError, type ClusterReader, type Task } from './cluster-reader.ts';
import { MalformedError, ownerReferencesOf } from './fields.ts';
import { isObjectName, type KindLocation, locateKind } from './resource-path.ts';

export interface OwnerResolverLimits {
  /** Owners asked for at a time. */
  readonly parallel: number;
  /** Owners asked for in one call. */
  readonly lookups: number;
  /** For all owners of one call: the pods are the answer, their owners only more of it. */
  readonly milliseconds: number;
  readonly cachedMilliseconds: number;
  readonly cachedOwners: number;
}

const defaultLimits: OwnerResolverLimits = {
  parallel: 8,
  lookups: 1_000,
  milliseconds: 5_000,
  cachedMilliseconds: 60_000,
  cachedOwners: 4_000,
};

/** One more than owners above owners that `ownerOf` follows. */
const MAXIMUM_ROUNDS = 9;
const MAXIMUM_GAPS = 8;

/** Kinds of the core group that own pods. A pod may claim any owner: nothing else, as a Secret, is asked for on its word. */
const coreOwners: ReadonlySet<string> = new Set(['Pod', 'ReplicationController']);

/** After these there is no sense in asking for the other owners now. */
const hopeless: ReadonlySet<KubernetesErrorReason> = new Set([
  'unauthorized',
  'too-many-requests',
  'server-error',
  'unreachable',
  'timeout',
]);

/** An owner of a pod in `namespace`, where it is too, unless it has no namespace. */
interface Wanted {
  readonly namespace: string;
  readonly owner: OwnerRef;
}

interface Run {
  readonly signal: AbortSignal;
  left: number;
  /** By what they say. */
  readonly gaps: Map<string, Gap>;
}

/** The name is in it, as a pod may claim the uid of an owner that is not its own. */
const keyOf = (namespace: string, { apiVersion, kind, name, uid }: OwnerRef) =>
  [namespace, apiVersion, kind, name, uid].join('\u0000');

/** Finds what is above the owners of pods. Each owner is asked for once, whatever number of pods it has, and remembered for a minute. */
export class OwnerResolver {
  readonly #reader: ClusterReader;
  readonly #clock: Clock;
  readonly #limits: OwnerResolverLimits;
  readonly #known: BoundedCache<readonly OwnerRef[] | undefined>;
  /** Kinds that may not be read, by namespace. */
  readonly #refused: BoundedCache<Gap>;

  constructor(reader: ClusterReader, clock: Clock, limits: Partial<OwnerResolverLimits> = {}) {
    this.#reader = reader;
    this.#clock = clock;
    this.#limits = { ...defaultLimits, ...limits };
    const { cachedMilliseconds, cachedOwners } = this.#limits;
    this.#known = new BoundedCache(clock, cachedMilliseconds, cachedOwners);
    this.#refused = new BoundedCache(clock, cachedMilliseconds, cachedOwners);
  }

  /**
   * The pods with their owners. What could not be read leaves an owner incomplete, with a gap that says why.
   *
   * @throws GpuError when `signal` aborts.
   */
  async resolve(
    pods: readonly ClusterPod[],
    signal: AbortSignal,
  ): Promise<{ readonly pods: readonly ClusterPod[]; readonly gaps: readonly Gap[] }> {
    if (signal.aborted) throw abortError(signal);
    const limit = new AbortController();
    const abort = () => limit.abort(signal.reason);
    signal.addEventListener('abort', abort, { once: true });
    const cancelTimer = this.#clock.after(this.#limits.milliseconds, () => limit.abort());
    const run: Run = { signal: limit.signal, left: this.#limits.lookups, gaps: new Map() };
    const answers = new Map<string, readonly OwnerRef[] | undefined>();
    const direct = directOwners(pods);
    try {
      for (let round = 0; round < MAXIMUM_ROUNDS; round += 1) {
        const wanted = wantedOwners(direct.onePodOfEach, answers);
        if (wanted.size === 0) break;
        await this.#lookUpAll(wanted, answers, run);
        if (signal.aborted) throw abortError(signal);
      }
    } finally {
      cancelTimer();
      signal.removeEventListener('abort', abort);
    }
    return { pods: withOwners(pods, direct.keys, answers), gaps: [...run.gaps.values()] };
  }

  async #lookUpAll(
    wanted: ReadonlyMap<string, Wanted>,
    answers: Map<string, readonly OwnerRef[] | undefined>,
    run: Run,
  ): Promise<void> {
    const queue = wanted.entries();
    const worker = async () => {
      for (const [key, each] of queue) answers.set(key, await this.#lookUp(key, each, run));
    };
    await Promise.all(Array.from({ length: this.#limits.parallel }, worker));
  }

  async #lookUp(
    key: string,
    { namespace, owner }: Wanted,
    run: Run,
  ): Promise<readonly OwnerRef[] | undefined> {
    const location = locateKind(owner.apiVersion, owner.kind);
    const isAskable = location !== null && isObjectName(owner.name);
    if (!isAskable || (location.root === '/api/v1' && !coreOwners.has(owner.kind))) return undefined;
    const known = this.#known.get(key);
    if (known) return known.value;
    const kindKey = [namespace, location.resource].join('\u0000');
    const refused = this.#refused.get(kindKey);
    if (refused) {
      addGap(run, refused.value);
      return undefined;
    }
    if (run.left <= 0 || run.signal.aborted) {
      addGap(run, giveUp(run));
      return undefined;
    }
    run.left -= 1;
    const task: Task = {
      verb: 'get',
      resource: location.resource,
      where: `in namespace ${namespace}`,
      field: 'pods.owner',
    };
    try {
      const above = await this.#read(location, namespace, owner, run.signal);
      this.#known.set(key, above);
      return above;
    } catch (error) {
      if (run.signal.aborted) {
        addGap(run, giveUp(run));
        return undefined;
      }
      const gap = this.#reader.gapOf(error, task, run.signal);
      const reason = error instanceof KubernetesError ? error.reason : null;
      if (reason === 'forbidden') this.#refused.set(kindKey, gap);
      if (reason !== null && hopeless.has(reason)) run.left = 0;
      addGap(run, gap);
      return undefined;
    }
  }

  /** Undefined when there is no such owner (any more). */
  async #read(
    { root, plural, isCustom }: KindLocation,
    namespace: string,
    { name, uid }: OwnerRef,
    signal: AbortSignal,
  ): Promise<readonly OwnerRef[] | undefined> {
    let object = await this.#reader.get(`${root}/namespaces/${namespace}/${plural}/${name}`, signal);
    // Nobody who may read a kind in this namespace alone is told more by asking for it outside of all.
    if (object === null && isCustom)
      object = await this.#reader.get(`${root}/${plural}/${name}`, signal).catch(nullIfForbidden);
    // Another object that took the name has other owners.
    if (object === null || object.metadata.uid !== uid) return undefined;
    try {
      return ownerReferencesOf(object.metadata.ownerReferences);
    } catch (error) {
      if (error instanceof MalformedError) return undefined;
      throw error;
    }
  }
}

type Answers = ReadonlyMap<string, readonly OwnerRef[] | undefined>;

/** Pods of one owner have the same owners above it: many pods are few questions. */
function directOwners(pods: readonly ClusterPod[]): {
  /** Of each pod, in their order; null for a pod that nobody manages. */
  readonly keys: readonly (string | null)[];
  readonly onePodOfEach: readonly ClusterPod[];
} {
  const representatives = new Map<string, ClusterPod>();
  const keys = pods.map((pod) => {
    let direct: string | null = null;
    ownerOf(pod, (owner) => {
      direct = keyOf(pod.namespace, owner);
      return undefined;
    });
    if (direct !== null) representatives.set(direct, pod);
    return direct;
  });
  return { keys, onePodOfEach: [...representatives.values()] };
}

/** The owners that `ownerOf` asks for and that nobody has asked the API for yet: one level further up each time. */
function wantedOwners(pods: readonly ClusterPod[], answers: Answers): Map<string, Wanted> {
  const wanted = new Map<string, Wanted>();
  for (const pod of pods)
    ownerOf(pod, (owner) => {
      const key = keyOf(pod.namespace, owner);
      if (!answers.has(key)) wanted.set(key, { namespace: pod.namespace, owner });
      return answers.get(key);
    });
  return wanted;
}

function withOwners(
  pods: readonly ClusterPod[],
  directKeys: readonly (string | null)[],
  answers: Answers,
): readonly ClusterPod[] {
  const complete = new Map<string, WorkloadOwner>();
  return pods.map((pod, index) => {
    const direct = directKeys[index] ?? null;
    if (direct === null) return pod;
    const shared = complete.get(direct);
    if (shared) return { ...pod, owner: shared };
    const owner = ownerOf(pod, (each) => answers.get(keyOf(pod.namespace, each)));
    // One that is not complete may come from the labels, which each pod has its own of.
    if (owner?.isComplete) complete.set(direct, owner);
    return { ...pod, owner };
  });
}

function nullIfForbidden(error: unknown): null {
  if (error instanceof KubernetesError && error.reason === 'forbidden') return null;
  throw error;
}

function addGap(run: Run, gap: Gap): void {
  if (run.gaps.size < MAXIMUM_GAPS) run.gaps.set(`${gap.reason} ${gap.detail}`, gap);
}

function giveUp(run: Run): Gap {
  const field = 'pods.owner';
  return run.signal.aborted
    ? { field, reason: 'timeout', detail: 'reading the owners of the pods took too long: some are not known' }
    : { field, reason: 'not-observable', detail: 'not all owners of the pods were asked for' };
}
