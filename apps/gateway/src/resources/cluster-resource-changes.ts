import {
  ChangeThrottle,
  type Clock,
  isAboutGpus,
  pciDeviceKey,
  type ResourceChanges,
} from '@k8s-gpu-mcp/core';
import type { ClusterEvents, ClusterEventsChange } from '../domain/cluster-events.ts';
import type { AgentEvent } from '../ports/agent-events.ts';
import { type ChangingResource, changingResourceOf, nodeUri } from './node-uris.ts';

export interface ClusterResourceChangesOptions {
  readonly clusterEvents: Pick<ClusterEvents, 'hold' | 'onChange'>;
  readonly clock: Clock;
}

/** Somebody who wants to hear of one URI, or of all (undefined). */
interface Watch {
  readonly uri: string | undefined;
  readonly resource: ChangingResource | undefined;
  readonly listener: (uri: string) => void;
}

/**
 * The changes of the gateway's resources, out of the live events of all agents. Agents are listened to only while somebody listens here: all
 * of them for what is about the cluster, else the one that is asked for.
 */
export function createClusterResourceChanges({
  clusterEvents,
  clock,
}: ClusterResourceChangesOptions): ResourceChanges {
  const watches = new Set<Watch>();
  let stopObserving: (() => void) | undefined;

  const tell = (uri: string) => {
    for (const { uri: wanted, listener } of [...watches]) {
      if (wanted !== undefined && wanted !== uri) continue;
      try {
        listener(uri);
      } catch {
        // The transport reports what it cannot send; one listener's trouble is not the others'.
      }
    }
  };
  const throttle = new ChangeThrottle({ clock, tell });
  const observe = (change: ClusterEventsChange) => {
    const uris = new Set([...watches].some(({ uri }) => uri === undefined) ? canonicalUris(change) : []);
    for (const { uri, resource } of watches) {
      if (uri !== undefined && resource && concerns(change, resource)) uris.add(uri);
    }
    for (const uri of uris) throttle.changed(uri);
  };

  return {
    onChange(listener, uris) {
      const own: Watch[] =
        uris === undefined
          ? [{ uri: undefined, resource: undefined, listener }]
          : [...new Set(uris)].flatMap((uri) => {
              const resource = changingResourceOf(uri);
              return resource ? [{ uri, resource, listener }] : [];
            });
      for (const watch of own) watches.add(watch);
      if (watches.size > 0) stopObserving ??= clusterEvents.onChange(observe);
      const releases = own.map(({ resource }) =>
        clusterEvents.hold(!resource || resource.scope === 'cluster' ? undefined : resource.node),
      );
      return () => {
        for (const watch of own.splice(0)) watches.delete(watch);
        for (const release of releases.splice(0)) release();
        if (watches.size > 0) return;
        stopObserving?.();
        stopObserving = undefined;
      };
    },
  };
}

function concerns(change: ClusterEventsChange, resource: ChangingResource): boolean {
  if (resource.scope === 'cluster') {
    // That a node is not heard any more is said in both.
    return change.kind === 'nodes' || resource.kind === 'events' || change.events.some(isAboutGpus);
  }
  if (change.kind !== 'events' || change.node !== resource.node) return false;
  if (resource.scope === 'gpu') return change.events.some((event) => isAboutGpu(event, resource.gpu));
  return resource.kind === 'events' || change.events.some(isAboutGpus);
}

function isAboutGpu({ gpu, pciAddress }: AgentEvent, asked: string): boolean {
  if (gpu !== null && (String(gpu.index) === asked || gpu.uuid?.toLowerCase() === asked.toLowerCase()))
    return true;
  const key = pciDeviceKey(asked);
  return key !== undefined && key === pciDeviceKey(pciAddress ?? undefined);
}

function canonicalUris(change: ClusterEventsChange): readonly string[] {
  if (change.kind === 'nodes') return ['gpu://cluster/events', 'gpu://cluster/health'];
  const { node, events } = change;
  const always = ['gpu://cluster/events', nodeUri(node, 'events')];
  if (!events.some(isAboutGpus)) return always;
  return [...always, 'gpu://cluster/health', nodeUri(node, 'health'), nodeUri(node, 'xid')];
}
