import type { ClusterPod, StructuredContent, WorkloadOwner } from '@k8s-gpu-mcp/core';
import { containerOf, podOf } from '../../../packages/core/test/cluster.ts';

/** The owner that a pod leads to. */
export const ownedBy = (kind: string, name: string): WorkloadOwner => ({
  kind,
  name,
  uid: `uid-of-${name}`,
  chain: [{ kind, name, uid: `uid-of-${name}` }],
  basis: 'owner-references',
  isComplete: true,
});

type Row = Readonly<Record<string, unknown>>;

/** The pods that the processes of an agent's answer are in, as the API server would list them. */
export function podsIn(
  node: string,
  content: StructuredContent,
  changes: Partial<ClusterPod> = {},
): readonly ClusterPod[] {
  const pods = new Map<string, ClusterPod>();
  for (const { podUid, container, startedAt } of content['processes'] as readonly Row[]) {
    if (typeof podUid !== 'string' || pods.has(podUid)) continue;
    const state = { kind: 'running' as const, startedAt: secondOf(startedAt as string) };
    pods.set(
      podUid,
      podOf({
        namespace: 'ml',
        name: `llama-worker-${pods.size}`,
        uid: podUid,
        node,
        owner: ownedBy('PyTorchJob', 'llama'),
        containers: [
          containerOf({
            name: 'pytorch',
            containerId: (container as Row)['id'] as string,
            limits: { 'nvidia.com/gpu': 8 },
            state,
          }),
        ],
        ...changes,
      }),
    );
  }
  return [...pods.values()];
}

/** The API tells whole seconds. */
const secondOf = (time: string) => `${time.slice(0, 19)}Z`;
