import {
  createGpuResources,
  createNodeAllocationTool,
  describeGpuTools,
  describeOperatorTools,
  gpuPrompts,
  listingOf,
  type ServerListing,
  systemClock,
} from '@k8s-gpu-mcp/core';

/** What an agent offers, as data. */
export interface AgentOffer extends ServerListing {
  /** Listed where a kubelet can be asked. */
  readonly allocationTool: ServerListing['tools'][number];
}

/** Made of the real tools, on a machine that does not matter. */
export function describeOffer(nodeName: string): AgentOffer {
  const podResources = { list: () => Promise.reject(onlyDescribed()) };
  const feed = {
    read: () => {
      throw onlyDescribed();
    },
  };
  const listing = listingOf({
    tools: [
      createNodeAllocationTool({ podResources, clock: systemClock }, { nodeName }),
      ...describeGpuTools(),
    ],
    operatorTools: describeOperatorTools(),
    resources: createGpuResources({ nodeName, tools: [], feed }),
    prompts: gpuPrompts,
  });
  const [allocationTool, ...tools] = listing.tools;
  if (allocationTool === undefined) throw new Error('the allocation tool is not listed');
  return { ...listing, tools, allocationTool };
}

const onlyDescribed = () => new Error('this is only described');
