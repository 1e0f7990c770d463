/** Worst first. `unknown` means that nothing was read that could support a better verdict. */
export const verdicts = ['critical', 'warning', 'unknown', 'ok'] as const;
export type Verdict = (typeof verdicts)[number];

/** The worst of several verdicts; `unknown` for none at all. */
export function worstVerdict(list: Iterable<Verdict>): Verdict {
  let worst: number = verdicts.length;
  for (const verdict of list) worst = Math.min(worst, verdicts.indexOf(verdict));
  return verdicts[worst] ?? 'unknown';
}

/** What to do, ordered by blast radius. */
export const actions = [
  'none',
  'monitor',
  'restart-app',
  'check-app',
  'restart-service',
  'update-software',
  'reset-gpu',
  'drain-node',
  'reboot-node',
  'power-cycle',
  'check-mechanicals',
  'run-field-diagnostic',
  'contact-support',
] as const;
export type Action = (typeof actions)[number];

/** An action of reset or worse needs an authoritative signal or two independent findings. */
export function isDisruptive(action: Action): boolean {
  return actions.indexOf(action) >= actions.indexOf('reset-gpu');
}

export function strongestAction(list: Iterable<Action>): Action {
  let strongest = 0;
  for (const action of list) strongest = Math.max(strongest, actions.indexOf(action));
  return actions[strongest] ?? 'none';
}

export const confidences = ['low', 'medium', 'high'] as const;
export type Confidence = (typeof confidences)[number];

export interface Finding {
  readonly ruleId: string;
  readonly verdict: Verdict;
  /** Index of the GPU; absent for node-wide findings. */
  readonly gpu?: number;
  /** One sentence made of our own words and numbers, never of log text. */
  readonly what: string;
  /** Readings, counts and times that support it. Untrusted text stands only in fields named `raw`. */
  readonly evidence: readonly Evidence[];
  readonly action: Action;
  /** Where the threshold or the action comes from. */
  readonly source: string;
  readonly confidence: Confidence;
}

export interface Evidence {
  /** Dotted path of the reading, or `kernelLog`. */
  readonly field: string;
  readonly value: string | number | boolean | null;
  readonly threshold?: string | number;
  readonly at?: string;
  /** Where it stands, when it was read from a file. */
  readonly file?: string;
  /** From 1. */
  readonly line?: number;
}
