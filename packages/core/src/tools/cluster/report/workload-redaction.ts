import type { ClusterEvent, ClusterNode, ClusterPod, WorkloadRef } from '../../../domain/cluster.ts';
import { minimumNameLength, redacted, textRedactor } from '../../report/redact-text.ts';
import { quarantine } from '../../untrusted-text.ts';
import type { WorkloadEvidence, WorkloadNodeEvidence } from '../gather-workload.ts';
import type { CitedReport } from './agent-report.ts';

/** What a report may tell of the names in it. */
export interface WorkloadRedaction {
  /** The evidence, with the names that may be told. */
  readonly evidence: WorkloadEvidence;
  /** A line of a log, or what went wrong in reading. */
  readonly text: (text: string) => string;
  /** The message of a cluster event, in which names of images, volumes and secrets stand, too. */
  readonly message: (text: string) => string;
  /** Whether user data is left out. */
  readonly isRedacted: boolean;
}

export const unredacted = (evidence: WorkloadEvidence): WorkloadRedaction => ({
  evidence,
  text: (text) => text,
  message: (text) => text,
  isRedacted: false,
});

/**
 * Gives every namespace, job, node, pod and container another name, the same one wherever it stands, and takes what belongs to users out
 * of texts as the report of an agent does. The evidence stays what it was in all else, so that it is explained in the same way.
 */
export function redactWorkload(
  evidence: WorkloadEvidence,
  reports: readonly (CitedReport | null)[],
): WorkloadRedaction {
  const names = pseudonyms(evidence);
  const { text, message } = redactors(names, principalsOf(evidence), keptText(reports));
  return { evidence: renamed(evidence, names), text, message, isRedacted: true };
}

/** By name; what bears the name of something else shares its pseudonym. */
type Pseudonyms = ReadonlyMap<string, string>;

/** In an order that depends on nothing but the facts. */
function pseudonyms({ subject, owner, pods, ends, nodes }: WorkloadEvidence): Pseudonyms {
  const all = [
    ...ends.flatMap(({ pod, endedAt }) => (endedAt === null ? [] : [pod])),
    ...(pods ?? []).toSorted((a, b) => (a.name < b.name ? -1 : 1)),
  ];
  const owners = [owner, ...all.map((pod) => pod.owner)].flatMap((each) => (each ? [each] : []));
  const chains = all.flatMap((pod) => pod.owner?.chain ?? []);
  const jobs = [...owners, ...chains].map(({ name }) => name);
  const kinds = {
    namespace: [subject.namespace, ...all.map(({ namespace }) => namespace)],
    job: subject.kind === 'job' ? [subject.name, ...jobs] : jobs,
    node: [...nodes.map(({ name }) => name), ...all.flatMap(({ node }) => node ?? [])],
    pod: subject.kind === 'pod' ? [subject.name] : all.map(({ name }) => name),
    container: all.flatMap(({ containers }) => containers.map(({ name }) => name)),
  };
  const names = new Map<string, string>();
  for (const [kind, list] of Object.entries(kinds)) {
    let number = 0;
    for (const name of list) {
      if (names.has(name)) continue;
      number += 1;
      names.set(name, `redacted-${kind}-${number}`);
      // Logs write a host without its domain.
      const [short = name] = name.split('.', 1);
      if (kind === 'node' && !names.has(short)) names.set(short, `redacted-${kind}-${number}`);
    }
  }
  for (const { name, uid } of all) if (!names.has(uid)) names.set(uid, names.get(name) ?? redacted);
  return names;
}

/** Names that are looked for inside other words, too: of the job a service or a volume often has a part. */
function principalsOf({ subject, owner, pods, nodes }: WorkloadEvidence): readonly string[] {
  const [first] = pods ?? [];
  const refs = [owner, ...(first?.owner?.chain ?? [])].flatMap((ref) => (ref ? [ref.name] : []));
  return [subject.namespace, subject.name, ...refs, ...nodes.map(({ name }) => name)].slice(0, 64);
}

/** What a vendor needs, and the driver's own words: a pod that calls itself so must not take them out of the lines. */
const keptText = (reports: readonly (CitedReport | null)[]) =>
  [
    'NVRM: Xid (PCI: pid= name= GPU kernel: nvidia-nvswitch: SXid',
    ...reports.flatMap((report) =>
      (report?.gpus ?? []).flatMap(({ uuid, serial, pciAddress }) => [uuid, serial, pciAddress]),
    ),
  ]
    .join('\n')
    .toLowerCase();

const firstPlace = 0xe100;
const lastPlace = 0xf8ff;
const privateUse = /[\ue000-\uf8ff]/g;
/** Stands for `[redacted]` while a text is worked on. */
const hidden = '\ue0ff';
const maximumTextLength = 1_000;

/** Texts are made harmless first: an invisible character inside a name would hide it, and be gone afterwards. */
function redactors(names: Pseudonyms, principals: readonly string[], kept: string) {
  const isFound = (name: string) => name.length >= minimumNameLength && !kept.includes(name.toLowerCase());
  const found = [...names].filter(([name]) => isFound(name));
  const said = found.map(([, pseudonym]) => pseudonym);
  // One character each, so that no later step finds a word in a pseudonym.
  const places = new Map(
    found.map(([name], index) => [
      name.toLowerCase(),
      firstPlace + index <= lastPlace ? String.fromCharCode(firstPlace + index) : hidden,
    ]),
  );
  const hosts = new Set(
    found.flatMap(([name, pseudonym]) =>
      pseudonym.startsWith('redacted-node-') ? (places.get(name.toLowerCase()) ?? []) : [],
    ),
  );
  const begins = new Set([...places.keys()].map((name) => name.split(/[.-]/, 1)[0] ?? name));
  const known: KnownNames = { places, begins, hosts };
  const inside = principals.filter(isFound).toSorted((a, b) => b.length - a.length);
  const insides = inside.length > 0 ? new RegExp(inside.map(escaped).join('|'), 'gi') : null;
  const ofShapes = textRedactor([], []);
  const named = (text: string) => {
    const whole = text.replace(/[a-z0-9.-]+/gi, (word) => withoutNames(word, known));
    return insides ? whole.replace(insides, (name) => places.get(name.toLowerCase()) ?? hidden) : whole;
  };
  const told = (text: string) =>
    ofShapes(text).replace(privateUse, (place) => said[place.charCodeAt(0) - firstPlace] ?? redacted);
  const harmless = (text: string) => quarantine(text, maximumTextLength).replace(privateUse, '');
  return {
    text: remembering((text) => told(named(harmless(text)))),
    message: remembering((text) => told(withoutObjects(named(harmless(text))))),
  };
}

interface KnownNames {
  /** The character that stands for a name. */
  readonly places: ReadonlyMap<string, string>;
  /** With which a name begins, up to its first dash or dot. */
  readonly begins: ReadonlySet<string>;
  /** Characters that stand for hosts. */
  readonly hosts: ReadonlySet<string>;
}

/** The same texts are asked for again while a report is cut to its size. */
function remembering(work: (text: string) => string): (text: string) => string {
  const known = new Map<string, string>();
  return (text) => {
    const before = known.get(text);
    if (before !== undefined) return before;
    const after = work(text);
    known.set(text, after);
    return after;
  };
}

const escaped = (name: string) => name.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
const maximumParts = 32;

/** A word that is a name, or is made of names and other parts: `train-0.research.svc`. The domain behind a host goes with it. */
function withoutNames(word: string, { places, begins, hosts }: KnownNames): string {
  const lower = word.toLowerCase();
  const whole = places.get(lower);
  if (whole !== undefined) return whole;
  // Parts and what stands between them, by turns.
  const parts = lower.split(/([.-])/);
  const said: string[] = [];
  let offset = 0;
  for (let start = 0; start < parts.length; ) {
    // Most parts begin no name at all.
    let end = begins.has(parts[start] ?? '') ? Math.min(parts.length, start + maximumParts) : start;
    let place: string | undefined;
    for (; end > start; end -= 1) {
      place = places.get(parts.slice(start, end).join(''));
      if (place !== undefined) break;
    }
    if (start === 0 && place !== undefined && parts[end] === '.' && hosts.has(place)) return place;
    const taken = Math.max(1, end - start);
    const length = parts.slice(start, start + taken).join('').length;
    said.push(place ?? word.slice(offset, offset + length));
    offset += length;
    start += taken;
  }
  return said.join('');
}

const ownPrefix =
  /^(?:nvidia\.com|amd\.com|gpu\.intel\.com|node\.kubernetes\.io|node-role\.kubernetes\.io)\//;
const isOwnWord = (word: string) => ownPrefix.test(word) || /^\d+\/\d+$/.test(word);

/** Objects that event messages name: in quotation marks, with a slash, as a taint, or as generated names look. */
const withoutObjects = (text: string) =>
  text
    .replace(/"[^"]*(?:"|$)/g, `"${hidden}"`)
    .replace(/\{[^{}]*(?:\}|$)/g, (taint) =>
      /^\{[^{}:]+: ?(?:present|true)?\}$/.test(taint) && ownPrefix.test(taint.slice(1))
        ? taint
        : `{${hidden}}`,
    )
    .replace(/[^\s"'(),;={}]+/g, (word) => (word.includes('/') && !isOwnWord(word) ? hidden : word))
    .replace(/[a-z0-9-]+/gi, (word) =>
      /[a-z]/i.test(word) && /\d/.test(word) && word.includes('-') && !/^\d{4}-\d\d-\d\d/.test(word)
        ? hidden
        : word,
    );

/** A word of the kubelet or of a controller. */
const isReason = /^[A-Z][\w./-]{0,63}$/;

function renamed(evidence: WorkloadEvidence, names: Pseudonyms): WorkloadEvidence {
  const nameOf = (name: string) => names.get(name) ?? 'redacted';
  const reasonOf = (reason: string) => (isReason.test(reason) && !names.has(reason) ? reason : redacted);
  const reasonOrNull = (reason: string | null) => (reason === null ? null : reasonOf(reason));
  const refOf = ({ kind, name }: WorkloadRef): WorkloadRef => ({ kind, name: nameOf(name), uid: null });
  const once = new Map<ClusterPod, ClusterPod>();
  const podOf = (pod: ClusterPod): ClusterPod => {
    const known = once.get(pod);
    if (known) return known;
    const { namespace, name, node, owner, containers } = pod;
    const other: ClusterPod = {
      ...pod,
      namespace: nameOf(namespace),
      name: nameOf(name),
      node: node === null ? null : nameOf(node),
      owner: owner && { ...owner, ...refOf(owner), chain: owner.chain.map(refOf) },
      reason: reasonOrNull(pod.reason),
      labels: {},
      ownerReferences: [],
      claims: [],
      containers: containers.map((container) => ({
        ...container,
        name: nameOf(container.name),
        containerId: null,
        state: stateOf(container.state),
        lastState: stateOf(container.lastState),
      })),
    };
    once.set(pod, other);
    return other;
  };
  const stateOf = <T extends ClusterPod['containers'][number]['state']>(state: T): T =>
    state !== null && 'reason' in state ? { ...state, reason: reasonOrNull(state.reason) } : state;
  const eventOf = (event: ClusterEvent): ClusterEvent => {
    const { kind, namespace, name } = event.about;
    return {
      ...event,
      reason: reasonOf(event.reason),
      about: {
        kind,
        namespace: namespace === null ? null : nameOf(namespace),
        name: nameOf(name),
        uid: null,
      },
    };
  };
  const objectOf = (node: ClusterNode): ClusterNode => ({
    ...node,
    name: nameOf(node.name),
    uid: null,
    bootId: null,
    labels: {},
    annotations: {},
    conditions: node.conditions.map((condition) => ({
      ...condition,
      type: reasonOf(condition.type),
      reason: reasonOrNull(condition.reason),
    })),
    taints: node.taints.map(({ key, value, effect }) => ({
      key: ownPrefix.test(key) ? key : redacted,
      value: value && redacted,
      effect: reasonOf(effect),
    })),
  });
  const nodeOf = (node: WorkloadNodeEvidence): WorkloadNodeEvidence => ({
    ...node,
    name: nameOf(node.name),
    node: node.node && objectOf(node.node),
    events: node.events?.map(eventOf) ?? null,
  });
  const { subject, owner, pods, ends, nodes, events } = evidence;
  return {
    ...evidence,
    subject: { ...subject, namespace: nameOf(subject.namespace), name: nameOf(subject.name) },
    owner: owner && refOf(owner),
    pods: pods?.map(podOf) ?? null,
    ends: ends.map(({ pod, fact, endedAt }) => ({
      pod: podOf(pod),
      fact: {
        ...fact,
        container: fact.container === null ? null : nameOf(fact.container),
        reason: reasonOrNull(fact.reason),
      },
      endedAt,
    })),
    nodes: nodes.map(nodeOf),
    events: events?.map(eventOf) ?? null,
  };
}
