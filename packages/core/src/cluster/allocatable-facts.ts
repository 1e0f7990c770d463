import type { ClusterNode, ClusterPod } from '../domain/cluster.ts';
import type { AgentInventory } from './agent-inventory.ts';
import type { DeviceKind } from './device-names.ts';
import type { DevicePluginFacts } from './device-plugin.ts';

/** One GPU resource of the node. */
export interface ResourceRow {
  readonly resource: string;
  readonly kind: DeviceKind;
  /** What the plugin should offer of this hardware; null when that cannot be said. */
  readonly expected: number | null;
  readonly capacity: number | null;
  readonly allocatable: number | null;
  readonly requested: number | null;
}

export interface AllocatableInput {
  readonly node: ClusterNode;
  /** Of the node; null when they could not be read. */
  readonly pods: readonly ClusterPod[] | null;
  /** Null when no agent was heard at all. */
  readonly agentInventory: AgentInventory | null;
}

/** What findings are made of. */
export interface AllocatableFacts extends AllocatableInput {
  readonly plugin: DevicePluginFacts | null;
  readonly resources: readonly ResourceRow[];
}
