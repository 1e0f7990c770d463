import type { EventSeverity } from '../domain/event.ts';
import { type Action, strongestAction } from '../domain/verdict.ts';

/** Which register word of an Xid 74 line (from 1), its bits, what they say. */
interface RegisterRule {
  readonly word: 1 | 3 | 4 | 5;
  readonly bits: readonly number[];
  readonly finding: string;
  readonly severity: EventSeverity;
  readonly action: Action;
}

/**
 * The seven words of Xid 74; the first, third, fourth and fifth have a published meaning on Hopper.
 * Rules that ask for a report or diagnostics only on repetition are `monitor` here: one line does not tell.
 * Source: NVIDIA Xid catalogue, workflow for NVLink errors.
 */
export const nvlinkRegisterRules = [
  { word: 1, bits: [0, 23, 30], finding: 'ignore', severity: 'info', action: 'none' },
  { word: 1, bits: [1, 20], finding: 'secondary', severity: 'info', action: 'none' },
  { word: 1, bits: [4, 5], finding: 'ecc-or-parity', severity: 'warning', action: 'monitor' },
  {
    word: 1,
    bits: [8, 9, 12, 16, 17, 24, 28],
    finding: 'possible-hardware',
    severity: 'critical',
    action: 'check-mechanicals',
  },
  { word: 1, bits: [21, 22], finding: 'marginal-signal', severity: 'critical', action: 'check-mechanicals' },
  { word: 1, bits: [27, 29], finding: 'report-when-repeated', severity: 'warning', action: 'monitor' },
  { word: 3, bits: [0, 1, 2, 6], finding: 'ecc', severity: 'warning', action: 'monitor' },
  { word: 3, bits: [13], finding: 'unexpected', severity: 'critical', action: 'contact-support' },
  {
    word: 3,
    bits: [16, 19],
    finding: 'field-diagnostic-when-repeated',
    severity: 'warning',
    action: 'monitor',
  },
  { word: 3, bits: [17, 18], finding: 'report-when-repeated', severity: 'warning', action: 'monitor' },
  { word: 4, bits: [16, 17], finding: 'secondary', severity: 'info', action: 'none' },
  { word: 4, bits: [18], finding: 'secondary-fabric-reset', severity: 'critical', action: 'reset-gpu' },
  {
    word: 5,
    bits: [18, 19, 21, 22, 24, 25, 27, 28],
    finding: 'ecc-hardware',
    severity: 'critical',
    action: 'run-field-diagnostic',
  },
  { word: 5, bits: [20, 23, 26, 29], finding: 'ecc-threshold', severity: 'info', action: 'monitor' },
] as const satisfies readonly RegisterRule[];

const ruleOf: ReadonlyMap<string, RegisterRule> = new Map(
  nvlinkRegisterRules.flatMap((rule) => rule.bits.map((bit) => [`${rule.word}.${bit}`, rule] as const)),
);

export interface NvlinkRegisterReading {
  /** `word.bit=finding`, words from 1; `report` for a set bit without a published meaning. */
  readonly findings: readonly string[];
  readonly severity: EventSeverity;
  readonly action: Action;
}

const rank: Readonly<Record<EventSeverity, number>> = { fatal: 3, critical: 2, warning: 1, info: 0 };

/** What the register words of an Xid 74 say; `undefined` when no word with a meaning has a bit set. */
export function readNvlinkRegisters(words: readonly number[]): NvlinkRegisterReading | undefined {
  const findings: string[] = [];
  const found: Action[] = [];
  let severity: EventSeverity = 'info';
  for (const word of [1, 3, 4, 5] as const) {
    const value = words[word - 1] ?? 0;
    for (let bit = 0; bit < 32; bit++) {
      if (((value >>> bit) & 1) === 0) continue;
      const rule = ruleOf.get(`${word}.${bit}`);
      findings.push(`${word}.${bit}=${rule?.finding ?? 'report'}`);
      found.push(rule?.action ?? 'contact-support');
      const told = rule?.severity ?? 'critical';
      if (rank[told] > rank[severity]) severity = told;
    }
  }
  return findings.length > 0 ? { findings, severity, action: strongestAction(found) } : undefined;
}
