import type { StructuredContent } from '@k8s-gpu-mcp/core';
import type { NodeReport } from './node-report.ts';
import { shownName } from './node-rows.ts';
import type { ClusterQuestion } from './question.ts';
import { byText, fitting } from './untrusted-content.ts';

const maximumNames = 5;
const maximumVersions = 8;
/** The least holds one version with names as long as names may be. */
const maximumBytes = { summary: 1_400, full: 6_000 } as const;

/**
 * Versions of the agents that told one, what most nodes run first. Nothing while all are of the gateway's own line; then nobody needs to
 * know.
 */
export function agentVersionsOf(
  reports: readonly NodeReport[],
  detail: ClusterQuestion['detail'],
): StructuredContent {
  const groups = new Map<string | null, { isCompatible: boolean; nodes: string[] }>();
  for (const { node, agent } of reports) {
    if (agent === undefined) continue;
    const { version, isCompatible } = agent;
    const group = groups.get(version);
    if (group) group.nodes.push(node);
    else groups.set(version, { isCompatible, nodes: [node] });
  }
  if ([...groups.values()].every(({ isCompatible }) => isCompatible)) return {};
  const rows = [...groups]
    .sort(([a, { nodes: ofA }], [b, { nodes: ofB }]) => ofB.length - ofA.length || byText(a ?? '', b ?? ''))
    .slice(0, maximumVersions)
    .map(([version, { isCompatible, nodes }]) => ({
      version,
      compatible: isCompatible,
      nodeCount: nodes.length,
      nodes: nodes.slice(0, maximumNames).map(shownName),
    }));
  const agentVersions = fitting(rows, maximumBytes[detail]);
  return {
    agentVersions,
    ...(agentVersions.length < groups.size ? { agentVersionCount: groups.size } : {}),
  };
}
