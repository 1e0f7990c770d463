import { findSxid, findXid, kernelEventKinds, publishedRules } from '@k8s-gpu-mcp/core';

// Summaries and next steps are made of our own words. Of what agents and directories say, only numbers, members of closed lists and names
// of a strict form pass.

const ruleTitles = new Map<string, string>([
  ...kernelEventKinds.map((kind) => [`log.${kind}`, `Kernel-log event ${kind}`] as const),
  ...publishedRules.map(({ id, title }) => [id, title] as const),
  ['compare.stalled-collective', 'Stalled collective'],
  ['compare.fleet-outlier', 'GPU unlike its cohort'],
  ['compare.sibling-outlier', 'GPU unlike its siblings'],
]);

/** What a finding is called; for an id that is not known here, which may be any text, that it is not known. */
export function titleOfRule(ruleId: string): string {
  const [, log, code] = /^log\.(s?xid)-(\d{1,5})$/.exec(ruleId) ?? [];
  if (code !== undefined) return titleOfCode(log === 'sxid' ? 'SXid' : 'Xid', Number(code));
  return ruleTitles.get(ruleId) ?? 'A finding that this gateway has no title for';
}

export function titleOfCode(family: 'Xid' | 'SXid', code: number): string {
  const entry = family === 'Xid' ? findXid(code) : findSxid(code);
  return entry ? `${family} ${code} (${entry.title})` : `${family} ${code}`;
}

/** RFC 1123 subdomain: what Kubernetes accepts as the name of a node. */
const kubernetesName =
  /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?){0,63}$/;

export function isNodeName(name: string): boolean {
  return name.length <= 253 && kubernetesName.test(name);
}

/** For a sentence. Another name than Kubernetes allows is not repeated. */
export function sayNode(name: string): string {
  return isNodeName(name) ? name : 'a node whose name is not a Kubernetes name';
}

export const plural = (count: number, one: string, many = `${one}s`) =>
  `${count} ${count === 1 ? one : many}`;
