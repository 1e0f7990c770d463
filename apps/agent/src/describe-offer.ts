import {
  createGpuResources,
  createNodeAllocationTool,
  describeGpuTools,
  describeOperatorTools,
  gpuPrompts,
  listingOf,
  systemClock,
} from '@k8s-gpu-mcp/core';
import type { AgentOffer } from './offer.ts';

/** Made of the real tools, on a machine that does not matter. */
export function describeOffer(nodeName: string): AgentOffer {
  const nobody = { list: () => Promise.reject(new Error('only described')) };
  const allocation = createNodeAllocationTool({ podResources: nobody, clock: systemClock }, { nodeName });
  const {
    tools: [allocationTool],
  } = listingOf({ tools: [allocation], operatorTools: [], resources: [], prompts: [] });
  if (allocationTool === undefined) throw new Error('the allocation tool is not listed');
  const listing = listingOf({
    tools: describeGpuTools(),
    operatorTools: describeOperatorTools(),
    resources: createGpuResources({ nodeName, tools: [], feed: { read: () => { throw new Error('only described'); } } }),
    prompts: gpuPrompts,
  });
  return { ...listing, allocationTool };
}
