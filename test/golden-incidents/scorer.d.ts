import type { Judgement } from './judge.js';

export interface Question {
  readonly gpu?: string | number;
  readonly pid?: number;
  readonly at?: string;
}

/** What stands in incident.json; README.md says what each part means. */
export interface IncidentDocument {
  readonly title: string;
  readonly question: Question;
  readonly expected: {
    readonly verdict: readonly string[];
    readonly notYourCode: readonly (boolean | 'undecided')[];
    readonly cause: readonly string[];
    readonly action: readonly string[];
    readonly gpu?: string | number;
  };
  readonly forbidden?: {
    readonly verdicts?: readonly string[];
    readonly notYourCode?: readonly (boolean | 'undecided')[];
    readonly causes?: readonly string[];
    readonly actions?: readonly string[];
  };
  readonly planted?: readonly string[];
  readonly maximumTokens?: number;
  readonly sources: readonly string[];
  readonly why: string;
  readonly origin: 'recorded' | 'reconstructed';
}

export interface GoldenIncident {
  readonly name: string;
  readonly directory: string;
  readonly inputs: readonly string[];
  readonly document: IncidentDocument;
  /** What the kernel and programs wrote, of all inputs. */
  readonly logText: string;
  readonly lineCounts: ReadonlyMap<string, number>;
  /** GPUs of the capture in their order, `domain:bus:device` in lower case. */
  readonly gpuAddresses: readonly string[];
  /** Inputs as text, unpacked. */
  readonly texts: ReadonlyMap<string, string>;
}

export interface Score extends Partial<Judgement> {
  readonly name: string;
  readonly ok: boolean;
  /** Why there is no judgement. */
  readonly failure?: string;
}

export function readIncidents(folder: string, only?: string): GoldenIncident[];
export function runIncident(incident: GoldenIncident): Promise<Readonly<Record<string, unknown>>>;
export function score(incident: GoldenIncident): Promise<Score>;
export function plantFault(incident: GoldenIncident): GoldenIncident;
