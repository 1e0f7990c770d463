import { z } from 'zod';
import type { ClusterPod, WorkloadRef } from '../../domain/cluster.ts';
import type { Gap } from '../../domain/gap.ts';
import { GpuError } from '../../errors.ts';
import { parseTime } from '../arguments.ts';
import { quarantine } from '../untrusted-text.ts';
import { objectNameArgument } from './cluster-answer.ts';
import { type ClusterToolkit, readList, readObject } from './cluster-toolkit.ts';

const subjectExpected = 'expected at most 400 characters';
const subjectText = z.string({ error: subjectExpected }).min(1, subjectExpected).max(400, subjectExpected);

/** Arguments that name a workload, to be added to the schema of a tool that is asked of nodes, too. */
export const workloadArguments = {
  pod: subjectText.describe('A pod: namespace/name, or its name beside namespace.').optional(),
  job: subjectText
    .describe(
      'A job: namespace/Kind/name (Job, PyTorchJob, RayCluster ...), Kind/name or its name beside namespace.',
    )
    .optional(),
  namespace: objectNameArgument.describe('Of the pod or job.').optional(),
};

export interface WorkloadQuestion {
  readonly pod?: string | undefined;
  readonly job?: string | undefined;
  readonly namespace?: string | undefined;
}

/** What was asked for. */
export type WorkloadSubject =
  | { readonly kind: 'pod'; readonly namespace: string; readonly name: string }
  | {
      readonly kind: 'job';
      readonly namespace: string;
      /** Null: of whatever kind has that name. */
      readonly jobKind: string | null;
      readonly name: string;
    };

/** What was found of it. */
export interface FoundWorkload {
  readonly subject: WorkloadSubject;
  /** The job, or what the pod belongs to; null for a pod of its own, or where nothing was read. */
  readonly owner: WorkloadRef | null;
  /** By namespace and name; null when they could not be read. */
  readonly pods: readonly ClusterPod[] | null;
  /** False when the cluster has more pods than were read. */
  readonly isComplete: boolean;
  readonly gaps: readonly Gap[];
}

const objectName = /^[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?$/;
const kindName = /^[A-Za-z][A-Za-z0-9]{0,62}$/;

/** @throws GpuError INVALID_INPUT for none or both of pod and job, a missing namespace, or what is no name. */
export function parseWorkload({ pod, job, namespace }: WorkloadQuestion): WorkloadSubject {
  if ((pod === undefined) === (job === undefined))
    throw new GpuError('INVALID_INPUT', 'exactly one of pod, job and node is asked about.', {
      hint: 'Give pod, or job, or node.',
    });
  return pod === undefined ? parseJob(job ?? '', namespace) : parsePod(pod, namespace);
}

function parsePod(text: string, namespace: string | undefined): WorkloadSubject {
  // As kubectl writes it; without a namespace beside it, the part before the name is one.
  const parts = (namespace === undefined ? text : text.replace(/^pods?\//i, '')).split('/', 4);
  if (parts.length > 2) throw wrong('pod', text, 'namespace/name');
  const [name = '', own] = parts.toReversed();
  return {
    kind: 'pod',
    ...placed('pod', text, name, own ?? namespace, own === undefined ? undefined : namespace),
  };
}

function parseJob(text: string, namespace: string | undefined): WorkloadSubject {
  const parts = text.split('/', 5);
  const [name = '', before, first] = parts.toReversed();
  const form = 'namespace/Kind/name, Kind/name or a name';
  if (parts.length > 3) throw wrong('job', text, form);
  // Kinds are written with a capital; beside a namespace of its own `job/llm`, as kubectl has it, can mean nothing else.
  const isKind =
    before !== undefined && (first !== undefined || namespace !== undefined || /^[A-Z]/.test(before));
  const jobKind = isKind ? before : null;
  if (jobKind !== null && !kindName.test(jobKind)) throw wrong('job', text, form);
  const own = first ?? (isKind ? undefined : before);
  return {
    kind: 'job',
    jobKind,
    ...placed('job', text, name, own ?? namespace, own === undefined ? undefined : namespace),
  };
}

function placed(
  field: 'pod' | 'job',
  text: string,
  name: string,
  namespace: string | undefined,
  beside: string | undefined,
) {
  if (namespace === undefined)
    throw new GpuError('INVALID_INPUT', `${field} = ${echo(text)} has no namespace.`, {
      hint: `Write ${field} as namespace/name, or give namespace.`,
    });
  if (beside !== undefined && beside !== namespace)
    throw new GpuError('INVALID_INPUT', `${field} = ${echo(text)} and namespace = ${echo(beside)} differ.`, {
      hint: 'Give the namespace once.',
    });
  if (!objectName.test(name) || !objectName.test(namespace)) throw wrong(field, text, 'namespace/name');
  return { namespace, name };
}

const echo = (text: string) => JSON.stringify(quarantine(text, 80));
const wrong = (field: string, text: string, form: string) =>
  new GpuError(
    'INVALID_INPUT',
    `${field} = ${echo(text)} is not ${form}, in names of lower-case letters, digits, - and .`,
    { hint: `Correct ${field} and call again.` },
  );

/** ISO 8601; undefined when no time was given. @throws GpuError INVALID_INPUT for what is no time, or one in the future. */
export function momentArgument(at: string | undefined, nowMilliseconds: number): string | undefined {
  if (at === undefined) return undefined;
  const asked = parseTime('at', at, nowMilliseconds);
  if (Date.parse(asked) > nowMilliseconds)
    throw new GpuError('INVALID_INPUT', `at = "${asked}" is in the future.`, {
      hint: 'Give a time before now.',
    });
  return asked;
}

/** @throws GpuError INVALID_INPUT when the cluster knows no such pod or job; with names that come near. */
export async function findWorkload(
  toolkit: ClusterToolkit,
  subject: WorkloadSubject,
  signal: AbortSignal,
): Promise<FoundWorkload> {
  return subject.kind === 'pod' ? findPod(toolkit, subject, signal) : findJob(toolkit, subject, signal);
}

async function findPod(
  toolkit: ClusterToolkit,
  subject: Extract<WorkloadSubject, { kind: 'pod' }>,
  signal: AbortSignal,
): Promise<FoundWorkload> {
  const { namespace, name } = subject;
  const { object, gaps } = await readObject(toolkit, 'pod', signal, () =>
    toolkit.cluster.pod(namespace, name, signal),
  );
  if (object === null && gaps.length === 0) {
    const { items } = await podsIn(toolkit, namespace, signal);
    throw absent(
      `pod ${echo(name)}`,
      namespace,
      'pods',
      (items ?? []).map((pod) => pod.name),
      name,
    );
  }
  return { subject, owner: object?.owner ?? null, pods: object && [object], isComplete: true, gaps };
}

const podsIn = (toolkit: ClusterToolkit, namespace: string, signal: AbortSignal) =>
  readList(toolkit, 'pods', signal, () => toolkit.cluster.pods(namespace, signal));

async function findJob(
  toolkit: ClusterToolkit,
  subject: Extract<WorkloadSubject, { kind: 'job' }>,
  signal: AbortSignal,
): Promise<FoundWorkload> {
  const { namespace, jobKind, name } = subject;
  if (jobKind !== null && /^[A-Z]/.test(jobKind)) {
    const { items, isComplete, gaps } = await readList(toolkit, 'pods', signal, () =>
      toolkit.cluster.podsOfJob({ namespace, kind: jobKind, name }, signal),
    );
    if (items === null || items.length > 0) {
      const owner = refIn(items ?? [], jobKind, name) ?? { kind: jobKind, name, uid: null };
      return { subject, owner, pods: items, isComplete, gaps };
    }
  }
  const { items, isComplete, gaps } = await podsIn(toolkit, namespace, signal);
  if (items === null) return { subject, owner: null, pods: null, isComplete, gaps };
  const owners = new Map<string, { owner: WorkloadRef; pods: ClusterPod[] }>();
  for (const pod of items) {
    // The outermost of that name: a JobSet before its Job.
    const owner = refsOf(pod).findLast((each) => each.name === name && isKindOf(each, jobKind));
    if (!owner) continue;
    const key = `${owner.kind}/${owner.name}`;
    const found = owners.get(key) ?? { owner, pods: [] };
    found.pods.push(pod);
    owners.set(key, found);
  }
  const [found, ...others] = owners.values();
  if (found && others.length === 0) {
    const { owner, pods } = found;
    return { subject: { ...subject, jobKind: owner.kind }, owner, pods, isComplete, gaps };
  }
  if (found) {
    const kinds = [...owners.keys()].slice(0, maximumNear).map(echo);
    throw new GpuError(
      'INVALID_INPUT',
      `job = ${echo(name)} is the name of ${owners.size} jobs: ${kinds.join(', ')}.`,
      {
        hint: 'Give job as Kind/name.',
      },
    );
  }
  const known = new Set(items.flatMap((pod) => (pod.owner ? [`${pod.owner.kind}/${pod.owner.name}`] : [])));
  throw absent(
    `job ${echo(jobKind === null ? name : `${jobKind}/${name}`)} with pods`,
    namespace,
    'jobs',
    [...known],
    name,
  );
}

const refsOf = ({ owner }: ClusterPod): readonly WorkloadRef[] => (owner ? [...owner.chain, owner] : []);
const isKindOf = ({ kind }: WorkloadRef, wanted: string | null) =>
  wanted === null || kind.toLowerCase() === wanted.toLowerCase();
function refIn(pods: readonly ClusterPod[], kind: string, name: string): WorkloadRef | undefined {
  for (const pod of pods) {
    const ref = refsOf(pod).find((each) => each.kind === kind && each.name === name);
    if (ref) return { kind: ref.kind, name: ref.name, uid: ref.uid };
  }
  return undefined;
}

const maximumNear = 5;

function absent(
  what: string,
  namespace: string,
  list: string,
  names: readonly string[],
  wanted: string,
): GpuError {
  const likeness = (name: string) => commonLength(name.slice(name.indexOf('/') + 1), wanted);
  const near = names
    .toSorted((a, b) => likeness(b) - likeness(a) || (a < b ? -1 : a > b ? 1 : 0))
    .slice(0, maximumNear);
  const more = names.length - near.length;
  const there =
    near.length === 0
      ? `no ${list} were found there`
      : `${list} there: ${near.map(echo).join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
  return new GpuError('INVALID_INPUT', `no ${what} in namespace ${echo(namespace)}; ${there}.`, {
    hint: 'Correct the name; pods that were deleted leave nothing to explain but their node: give node instead.',
  });
}

function commonLength(a: string, b: string): number {
  let length = 0;
  while (length < Math.min(a.length, b.length) && a[length] === b[length]) length += 1;
  return length;
}
