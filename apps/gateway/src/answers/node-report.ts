import {
  type Action,
  isDisruptive,
  quarantine,
  type StructuredContent,
  type Verdict,
  worstVerdict,
} from '@k8s-gpu-mcp/core';
import { answerVersionProblem } from '../domain/agent-version.ts';
import type { NodeOutcome, NodeStatus } from '../domain/node-outcome.ts';
import type { AgentIdentity } from '../ports/agent-client.ts';
import { isAdvice } from './rule-kinds.ts';
import {
  actionOf,
  byText,
  countOf,
  field,
  fieldsOf,
  gpuIndexOf,
  identifierOf,
  rowsOf,
  textOf,
  verdictOf,
} from './untrusted-content.ts';

const maximumFindings = 200;
const maximumGaps = 200;
/** No machine has more. */
export const maximumGpus = 128;
const maximumWhat = 160;

/** A finding as an agent told it. `what` is its text, and stands nowhere but in this field. */
export interface NodeFinding {
  /** `unrecognised` for what is not the id of a rule. */
  readonly ruleId: string;
  readonly verdict: Verdict;
  readonly gpu?: number;
  readonly what: string;
  readonly action: Action;
}

export interface NodeGap {
  readonly field: string;
  readonly reason: string;
}

/** What one node contributes to an answer. */
export interface NodeReport {
  /** As the directory has it: a key, not text to show. */
  readonly node: string;
  readonly status: NodeStatus;
  readonly reason?: string;
  readonly said?: string;
  /** Who answered; absent when nobody was asked. */
  readonly agent?: AgentIdentity;
  /** It has no protocol, tool, argument or form of answer in common with this gateway. */
  readonly isIncompatible: boolean;
  /** `unknown` for a node that did not answer, or not in a form that is understood. */
  readonly verdict: Verdict;
  readonly gpuCount: number | null;
  /** In the order in which the agent ranks them. */
  readonly findings: readonly NodeFinding[];
  /** The finding that the node's one action is for. */
  readonly lead?: NodeFinding;
  readonly gaps: readonly NodeGap[];
  /** Whether its GPUs, and its kernel log, could be read; null when it does not say. */
  readonly canReadGpus: boolean | null;
  readonly canReadKernelLog: boolean | null;
  readonly isSimulated: boolean;
  /** What this tool shows of a node beyond what all do. */
  readonly row: StructuredContent;
}

/** What a tool makes of the content that one agent sent. */
export interface FamilyReading {
  readonly gpuCount: number | null;
  /** Verdicts besides those of findings and the agent's own. */
  readonly verdicts: readonly Verdict[];
  /** Instead of the agent's own verdict, where that is about something else or may be left out. */
  readonly told?: Verdict;
  /** Instead of the `findings` of the content. */
  readonly findings?: readonly NodeFinding[];
  readonly row: StructuredContent;
}

export type ReadFamily = (content: StructuredContent, node: string) => FamilyReading;

/** Nodes by name, so that the order in which they answered cannot be seen. */
export function readNodes(outcomes: readonly NodeOutcome[], read: ReadFamily): readonly NodeReport[] {
  return [...outcomes].sort((a, b) => byText(a.node, b.node)).map((outcome) => readNode(outcome, read));
}

function readNode(outcome: NodeOutcome, read: ReadFamily): NodeReport {
  const { agent } = outcome;
  return { ...readAnswer(outcome, read), ...(agent === undefined ? {} : { agent }) };
}

function readAnswer(outcome: NodeOutcome, read: ReadFamily): NodeReport {
  const { node, status } = outcome;
  if (status !== 'ok') {
    return {
      ...unreadNode(node, status),
      isIncompatible: outcome.failure === 'incompatible',
      reason: quarantine(outcome.reason, 200),
      ...(outcome.said === undefined ? {} : { said: quarantine(outcome.said, 200) }),
    };
  }
  const content = fieldsOf(outcome.content);
  const problem = answerVersionProblem(content);
  if (problem !== null) return { ...unreadNode(node, 'error'), isIncompatible: true, reason: problem };
  const family = read(content, node);
  const findings = family.findings ?? findingsOf(content);
  const coverage = fieldsOf(field(content, 'coverage'));
  const backend = fieldsOf(field(coverage, 'gpuBackend'));
  const log = fieldsOf(field(coverage, 'kernelLog'));
  const verdict = worstVerdict([
    family.told ?? verdictOf(field(content, 'verdict')) ?? 'unknown',
    ...family.verdicts,
    ...findings.map((finding) => finding.verdict),
  ]);
  const lead = leadOf(findings, verdict, content);
  return {
    node,
    status,
    isIncompatible: false,
    verdict,
    gpuCount: family.gpuCount,
    findings,
    ...(lead ? { lead } : {}),
    gaps: gapsOf(content),
    canReadGpus: readability(backend),
    canReadKernelLog: readability(log),
    isSimulated: field(backend, 'simulated') === true,
    row: family.row,
  };
}

function unreadNode(node: string, status: NodeStatus): NodeReport {
  return {
    node,
    status,
    isIncompatible: false,
    verdict: 'unknown',
    gpuCount: null,
    findings: [],
    gaps: [],
    canReadGpus: null,
    canReadKernelLog: null,
    isSimulated: false,
    row: {},
  };
}

function readability(source: StructuredContent): boolean | null {
  const readable = field(source, 'readable');
  return typeof readable === 'boolean' ? readable : null;
}

export function findingsOf(content: StructuredContent): readonly NodeFinding[] {
  return rowsOf(field(content, 'findings'), maximumFindings).flatMap((row): NodeFinding[] => {
    const verdict = verdictOf(field(row, 'verdict'));
    const action = actionOf(field(row, 'action'));
    // Without both it is no finding; the node's own verdict still counts.
    if (verdict === null || action === null) return [];
    const gpu = gpuIndexOf(field(row, 'gpu'));
    return [
      {
        ruleId: identifierOf(field(row, 'ruleId')) ?? 'unrecognised',
        verdict,
        ...(gpu === null ? {} : { gpu }),
        what: textOf(field(row, 'what'), maximumWhat) ?? '',
        action,
      },
    ];
  });
}

function gapsOf(content: StructuredContent): readonly NodeGap[] {
  return rowsOf(field(content, 'gaps'), maximumGaps).flatMap((row) => {
    const reason = identifierOf(field(row, 'reason'));
    const name = textOf(field(row, 'field'), 120);
    return reason === null || name === null ? [] : [{ field: name, reason }];
  });
}

/** The agent ranks its steps; but an action that no finding of it supports is not passed on. */
function leadOf(
  findings: readonly NodeFinding[],
  verdict: Verdict,
  content: StructuredContent,
): NodeFinding | undefined {
  const [step] = rowsOf(field(content, 'nextSteps'), 1);
  const asked = actionOf(field(step ?? {}, 'action'));
  const deciding = findings.filter((finding) => finding.verdict === verdict);
  const fitting = deciding.filter(({ action }) => action === asked);
  const lead = fitting.find((finding) => !isAdvice(finding)) ?? fitting[0] ?? deciding[0];
  return lead && isWorthTelling(lead) ? lead : undefined;
}

/** What is no fault, and needs nothing done, is left out. */
export function isWorthTelling({ verdict, action }: NodeFinding): boolean {
  return verdict !== 'ok' || !(action === 'none' || action === 'monitor' || isDisruptive(action));
}

/** The length of a list that is no longer than any node has GPUs, else null. */
export function gpuRowsOf(content: StructuredContent): readonly StructuredContent[] | null {
  const list = field(content, 'gpus');
  return Array.isArray(list) ? rowsOf(list, maximumGpus) : null;
}

export function gpuCountOf(content: StructuredContent): number | null {
  const list = field(content, 'gpus');
  if (!Array.isArray(list)) return null;
  const told = countOf(field(content, 'gpuCount'));
  return told !== null && told <= 1_024 ? told : Math.min(list.length, 1_024);
}
