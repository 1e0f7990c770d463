import type { GoldenIncident } from './scorer.js';

export interface Judgement {
  readonly given: Readonly<Record<string, unknown>>;
  readonly right: Readonly<Record<'verdict' | 'notYourCode' | 'cause' | 'action', boolean>>;
  /** What differs from the expectation. */
  readonly wrong: readonly string[];
  readonly forbiddenConclusions: readonly string[];
  /** What every answer owes, whatever it concludes. */
  readonly contract: readonly string[];
  readonly tokens: number;
}
export function judge(incident: GoldenIncident, answer: Readonly<Record<string, unknown>>): Judgement;
export function isRight(judgement: Judgement): boolean;
