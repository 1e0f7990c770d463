import type { Gap, StructuredContent } from '@k8s-gpu-mcp/core';

/** What a tool says of all nodes together. */
export interface ClusterPart {
  /** After the counts of nodes, in our own words. */
  readonly words?: string;
  readonly payload: StructuredContent;
  /** What is not known beside what nodes tell: of our own reading, not theirs. */
  readonly gaps?: readonly Gap[];
  /** The tool that tells more of one node. */
  readonly moreTool: string;
  /** A step for when no finding asks for one. */
  readonly step?: { readonly reason: string; readonly node: string; readonly tool: string };
}
