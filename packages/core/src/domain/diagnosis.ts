import type { Action, Confidence, Evidence, Finding, Verdict } from './verdict.ts';

/** What can be behind a failure. Closed: each has a row in `causeCatalogue`, which says whose it is. */
export const causes = [
  /** Nothing is wrong that can be seen, and enough was seen to say so. */
  'none',
  /** The evidence does not tell. */
  'unknown',
  /** The program did something wrong: illegal access, exception, abort. */
  'application-fault',
  /** The program asked for more GPU memory than there is. */
  'application-gpu-memory',
  /** The host or a container ran out of main memory and the kernel ended a process. */
  'host-memory',
  /** A collective waits for a rank that does not come. */
  'stalled-collective',
  /** Memory or the GPU itself is held by what no longer does any work: nobody, a zombie, a process stuck in the kernel. */
  'leftover-process',
  /** Memory cells of the GPU: ECC, row remapping, page retirement. */
  'gpu-memory',
  /** The GPU does not answer on its bus. */
  'gpu-bus',
  /** The link to the host is slower, narrower or less reliable than it should be. */
  'pcie-link',
  'nvlink',
  /** An NVSwitch, or the fabric as a whole. */
  'nvswitch',
  /** A service that the GPUs need: Fabric Manager, IMEX, persistence. */
  'gpu-service',
  /** The firmware of the GPU (GSP, PMU), or how the driver gets on with it. */
  'gpu-firmware',
  /** Anything else inside the GPU. */
  'gpu-hardware',
  'gpu-missing',
  'thermal',
  'power',
  /** Library and kernel module differ, or the driver cannot be used at all. */
  'driver',
  /** Everything works as it was set; it was set wrongly. */
  'configuration',
  /** Memory, processor or buses of the host. */
  'host-hardware',
] as const;
export type Cause = (typeof causes)[number];

/** Each cause in a few words that can follow "not your code: ". */
export const causeWords = {
  none: 'nothing wrong is seen',
  unknown: 'the evidence does not tell the cause',
  'application-fault': 'the program did something wrong',
  'application-gpu-memory': 'the program ran out of GPU memory',
  'host-memory': 'out of main memory',
  'stalled-collective': 'a collective waits for a rank',
  'leftover-process': 'a leftover process holds the GPU',
  'gpu-memory': 'hardware (GPU memory)',
  'gpu-bus': 'hardware (GPU off its bus)',
  'pcie-link': 'hardware (PCIe link)',
  nvlink: 'hardware (NVLink)',
  nvswitch: 'hardware (NVSwitch or fabric)',
  'gpu-service': 'a service that the GPUs need',
  'gpu-firmware': 'GPU firmware',
  'gpu-hardware': 'hardware (GPU)',
  'gpu-missing': 'hardware (a GPU is missing)',
  thermal: 'heat',
  power: 'power',
  driver: 'the driver',
  configuration: 'how the node is set up',
  'host-hardware': 'hardware (host)',
} as const satisfies Readonly<Record<Cause, string>>;

/** Whether the person's own program is out of suspicion. */
export type NotYourCode = true | false | 'undecided';

/** One explanation, weighed. */
export interface Hypothesis {
  readonly cause: Cause;
  readonly notYourCode: NotYourCode;
  /** Index of the GPU it is about; absent for the node. */
  readonly gpu?: number;
  /** One or two sentences of our own words. */
  readonly what: string;
  /** Of all hypotheses, `unknown` among them; together 100. See docs/diagnosis.md for how it is reckoned. */
  readonly likelihoodPercent: number;
  readonly action: Action;
  readonly supports: readonly Evidence[];
  readonly contradicts: readonly Evidence[];
}

/** What an explanation was asked for. `newest`: whatever happened last, or is wrong now. */
export type DiagnosisQuestion =
  | { readonly kind: 'newest' }
  | { readonly kind: 'gpu'; readonly index: number }
  | { readonly kind: 'pid'; readonly pid: number }
  | { readonly kind: 'time'; readonly at: string };

export interface Diagnosis {
  readonly verdict: Verdict;
  readonly notYourCode: NotYourCode;
  readonly cause: Cause;
  readonly confidence: Confidence;
  /** The one thing to do. */
  readonly action: Action;
  /** Index of the GPU it is about; absent for the node, or several. */
  readonly gpu?: number;
  /** One or two sentences a person can act on. */
  readonly summary: string;
  /** Likeliest first. */
  readonly hypotheses: readonly Hypothesis[];
  /** Of what was asked about; the one that the action comes from first. */
  readonly findings: readonly Finding[];
  /** What would have to be seen to conclude otherwise: sentences of our own words. */
  readonly wouldChange: readonly string[];
  /** What could not be seen, in our own words. */
  readonly notSeen: readonly string[];
}
