import { existsSync } from 'node:fs';
import { defaultPodResourcesSocket } from '@k8s-gpu-mcp/kubelet';
import type { AgentConfig } from './config.ts';

/**
 * The kubelet's pod-resources socket: the one named, else the usual one where it is there. Simulated and recorded GPUs are not in its
 * books, so for them it is only asked when it is named. Undefined when there is none to ask.
 */
export function podResourcesSocket({
  backend,
  podResources,
}: Pick<AgentConfig, 'backend' | 'podResources'>): string | undefined {
  if (podResources === 'none') return undefined;
  if (podResources !== undefined) return podResources;
  const isOfThisMachine = backend !== 'mock' && backend !== 'replay';
  return isOfThisMachine && existsSync(defaultPodResourcesSocket) ? defaultPodResourcesSocket : undefined;
}
