import { quarantine, type StructuredContent } from '@k8s-gpu-mcp/core';
import { isWorthTelling, type NodeReport } from './node-report.ts';
import type { ClusterQuestion } from './question.ts';

const findingsShown = { summary: 2, full: 20 } as const;

/** The name as its own field shows it. */
export const shownName = (node: string) => quarantine(node, 253);

/** A node as the list shows it: what all tools tell of one, then what this one does. */
export function presentNode(report: NodeReport, detail: ClusterQuestion['detail']): StructuredContent {
  const { node, status, reason, said, agent, verdict, gpuCount, row } = report;
  const worth = report.findings.filter(isWorthTelling);
  const findings = leadFirst(worth, report).slice(0, findingsShown[detail]);
  return {
    node: shownName(node),
    status,
    verdict,
    ...(reason === undefined ? {} : { reason }),
    ...(said === undefined ? {} : { said }),
    ...(agent === undefined || agent.isCompatible ? {} : { agentVersion: agent.version }),
    ...(gpuCount === null ? {} : { gpuCount }),
    ...row,
    ...(findings.length > 0 ? { findings } : {}),
    ...(findings.length < worth.length ? { findingCount: worth.length } : {}),
  };
}

function leadFirst(findings: NodeReport['findings'], { lead }: NodeReport): NodeReport['findings'] {
  return lead && isWorthTelling(lead) ? [lead, ...findings.filter((finding) => finding !== lead)] : findings;
}
