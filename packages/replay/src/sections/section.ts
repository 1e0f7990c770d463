import type { RecordedFormat } from '../recordings.ts';

/** Formats that span several lines. JSON is told apart once it is whole. */
export type SectionKind =
  | Extract<
      RecordedFormat,
      | 'nvidia-smi'
      | 'nvidia-smi -q'
      | 'nvidia-smi -q -x'
      | 'nvidia-smi nvlink'
      | 'nvidia-smi topo -m'
      | 'lspci'
      | 'ps'
    >
  | 'failure'
  | 'json';

/** One output of one command, cut out of a file. */
export interface Section {
  readonly kind: SectionKind;
  /** From 1. */
  readonly firstLine: number;
  readonly lines: readonly string[];
  /** It was longer than we keep. */
  readonly isCut: boolean;
  /** The file broke off in its last line. */
  readonly endsMidLine: boolean;
}

/** What to do with a line while a section is open. `last`: it belongs to it and ends it. */
export type Membership = 'in' | 'last' | 'out';

export interface SectionGrammar {
  readonly kind: SectionKind;
  /** What the first line begins with, blanks and quote marks apart: most lines of a log are told by it. */
  readonly firstCharacters: string;
  /** When less than what other sections may have. */
  readonly maximumCharacters?: number;
  /** Whether a section begins with this line. Cheap, and linear on hostile text. */
  starts(line: string): boolean;
  /** A fresh judge of the lines after the first, and of the first where one line can be a whole section. */
  open(firstLine: string): (line: string) => Membership;
  /** Whether this line belongs to a section when the next one begins it. */
  mayPrecede?(line: string): boolean;
}
