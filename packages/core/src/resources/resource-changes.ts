import type { NodeEventFeed } from '../events/event-feed.ts';
import type { GpuNodeEvent } from '../events/node-event.ts';
import type { WatchNotice } from '../ports/gpu-event-source.ts';
import type { Clock } from '../ports/runtime.ts';
import { parseGpuSelector } from '../selector.ts';
import { ChangeThrottle } from './change-throttle.ts';
import { nodeResourceUris } from './uris.ts';

/** Tells which resources have changed. The transports take it without knowing what a GPU is. */
export interface ResourceChanges {
  /**
   * Tells of every change from now on, at most once a second for one URI, the last one always. With `uris` only of those, spelt as they are
   * given; others than resources that change are ignored. Without, a GPU is named by its index. The returned function ends it.
   */
  onChange(listener: (uri: string) => void, uris?: readonly string[]): () => void;
}

export interface ResourceChangesOptions {
  readonly nodeName: string;
  readonly feed: Pick<NodeEventFeed, 'onItem'>;
  readonly clock: Clock;
}

type Listener = (uri: string) => void;
/** A resource, whatever the spelling of its URI. */
type Topic = string;

/** The changes of a node's resources, out of its live events. The feed runs only while a resource that changes is listened to. */
export function createResourceChanges({ nodeName, feed, clock }: ResourceChangesOptions): ResourceChanges {
  const uris = nodeResourceUris(nodeName);
  /** Who listens to what, under which URI. */
  const wanted = new Map<Topic, Map<Listener, Set<string>>>();
  const everything = new Set<Listener>();
  let stopFeed: (() => void) | undefined;

  const tell = (topic: Topic) => {
    for (const [listener, spellings] of [...(wanted.get(topic) ?? [])])
      for (const uri of spellings) safely(() => listener(uri));
    const uri = plainUri(topic);
    if (uri !== undefined) for (const listener of [...everything]) safely(() => listener(uri));
  };
  const throttle = new ChangeThrottle({
    clock,
    tell,
    // Whatever else a log names is nobody's business.
    isWanted: (topic) => wanted.has(topic) || (everything.size > 0 && plainUri(topic) !== undefined),
  });
  const startOrStop = () => {
    const isWanted = everything.size > 0 || wanted.size > 0;
    if (isWanted)
      stopFeed ??= feed.onItem((item) => {
        for (const topic of topicsOf(item)) throttle.changed(topic);
      });
    else {
      stopFeed?.();
      stopFeed = undefined;
    }
  };
  /** The one URI of a resource for who named none: a GPU's is that of its index. */
  const plainUri = (topic: Topic): string | undefined => {
    if (topic === 'events' || topic === 'xid' || topic === 'health') return uris[topic];
    const [index] = /(?<=^gpu )\d+$/.exec(topic) ?? [];
    return index === undefined ? undefined : uris.gpu(index);
  };
  const topicOf = (uri: string): Topic | undefined => {
    for (const kind of ['events', 'xid', 'health'] as const) if (uri === uris[kind]) return kind;
    const id = uris.gpuOf(uri);
    const name = id === undefined ? undefined : nameOf(id);
    return name === undefined ? undefined : `gpu ${name}`;
  };

  return {
    onChange(listener, some) {
      const own: Listener = (uri) => listener(uri);
      const topics = new Set<Topic>();
      if (some === undefined) everything.add(own);
      for (const uri of some ?? []) {
        const topic = topicOf(uri);
        if (topic === undefined) continue;
        topics.add(topic);
        const listeners = wanted.get(topic) ?? new Map<Listener, Set<string>>();
        wanted.set(topic, listeners.set(own, (listeners.get(own) ?? new Set()).add(uri)));
      }
      startOrStop();
      return () => {
        everything.delete(own);
        for (const topic of topics) {
          const listeners = wanted.get(topic);
          listeners?.delete(own);
          if (listeners?.size === 0) wanted.delete(topic);
        }
        startOrStop();
      };
    },
  };
}

/** An index, a whole UUID or a PCI address. A part of a UUID may come to mean another GPU. */
function nameOf(id: string): string | undefined {
  try {
    const selector = parseGpuSelector(id);
    if (selector.kind === 'index') return String(selector.index);
    if (selector.kind === 'pci') return selector.key;
    return selector.kind === 'uuid' && selector.prefix.length === 36 ? `gpu-${selector.prefix}` : undefined;
  } catch {
    return undefined;
  }
}

/** What an event changes: always the list of events, and if it is about a GPU, what is said of that GPU. */
function topicsOf(item: GpuNodeEvent | WatchNotice): readonly Topic[] {
  if ('notice' in item || !isAboutGpus(item)) return ['events'];
  const { gpu, pciAddress } = item;
  const names = [gpu && String(gpu.index), gpu?.uuid?.toLowerCase(), pciAddress];
  return ['events', 'xid', 'health', ...names.flatMap((name) => (name ? [`gpu ${name}`] : []))];
}

/** Troubles of the whole machine and news of programs: they change what is listed, and nothing that is said of GPUs. */
const machineKinds: ReadonlySet<string> = new Set([
  'boot',
  'machine-check',
  'oom-kill',
  'hung-task',
  'segfault',
  'application-error',
]);

/** Whether an event, of this node or as an agent tells it, changes what is said of GPUs. */
export const isAboutGpus = ({ kind, gpu }: { readonly kind: string; readonly gpu: object | null }): boolean =>
  gpu !== null || !machineKinds.has(kind);

/** One listener's trouble is not the others'. */
function safely(tell: () => void): void {
  try {
    tell();
  } catch {
    // The transport reports what it cannot send.
  }
}
