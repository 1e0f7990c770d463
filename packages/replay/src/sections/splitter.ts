import { json, lspci, ps } from './other-grammars.ts';
import type { Membership, Section, SectionGrammar } from './section.ts';
import { gpuList, smiFailure, smiTable, smiText, smiXml, topology } from './smi-grammars.ts';

const grammars: readonly SectionGrammar[] = [
  smiXml,
  smiText,
  smiTable,
  gpuList,
  topology,
  smiFailure,
  lspci,
  ps,
  json,
];

/** Whether a section of any kind begins with this line. */
export function startsSection(line: string): boolean {
  return grammarOf(line) !== undefined;
}

/** The line that nvidia-bug-report.sh prints above each part. */
function isBanner(line: string): boolean {
  return line.startsWith('____') && /^_{20,200}\s*$/.test(line);
}

export interface SplitterSink {
  section(section: Section): void;
  /** A line outside of every section. */
  loose(line: string, lineNumber: number): void;
  banner(lineNumber: number): void;
}

interface OpenSection {
  readonly grammar: SectionGrammar;
  readonly judge: (line: string) => Membership;
  readonly firstLine: number;
  readonly lines: string[];
  characters: number;
  isCut: boolean;
}

/** Longer lines are no output of a known tool in lines; as XML or JSON without line ends they may be. */
const longestTextLine = 64 * 1024;
const heldLines = 2;

/** Cuts the lines of a file into the outputs of known commands and what stands between them. Memory is bounded by one section. */
export class Splitter {
  readonly #sink: SplitterSink;
  readonly #maximumCharacters: number;
  #open: OpenSection | undefined;
  /** Lines that belong to the next section if one begins now. */
  #held: { readonly grammar: SectionGrammar; readonly line: string; readonly lineNumber: number }[] = [];

  constructor(sink: SplitterSink, maximumCharacters: number) {
    this.#sink = sink;
    this.#maximumCharacters = maximumCharacters;
  }

  push(line: string, lineNumber: number): void {
    if (isBanner(line)) {
      this.end();
      this.#sink.banner(lineNumber);
      return;
    }
    const open = this.#open;
    if (open) {
      const membership = open.judge(line);
      if (membership !== 'out') {
        this.#add(open, line);
        if (membership === 'last') this.#close();
        return;
      }
      this.#close();
    }
    const grammar = grammarOf(line);
    if (grammar) {
      this.#begin(grammar, line, lineNumber);
      return;
    }
    const preceded = line.length < 400 ? precededBy(line) : undefined;
    if (preceded) {
      if (this.#held.length === heldLines) this.#releaseOne();
      this.#held.push({ grammar: preceded, line, lineNumber });
      return;
    }
    this.#release();
    this.#sink.loose(line, lineNumber);
  }

  /** Closes what is open, at a border of the format or at the end of the file. */
  end(endsMidLine = false): void {
    this.#close(endsMidLine);
    this.#release();
  }

  #begin(grammar: SectionGrammar, line: string, lineNumber: number): void {
    while (this.#held[0] && this.#held[0].grammar !== grammar) this.#releaseOne();
    const before = this.#held;
    this.#held = [];
    const open: OpenSection = {
      grammar,
      judge: grammar.open(line),
      firstLine: before[0]?.lineNumber ?? lineNumber,
      lines: [],
      characters: 0,
      isCut: false,
    };
    for (const held of before) this.#add(open, held.line);
    this.#add(open, line);
    this.#open = open;
    if (open.judge(line) === 'last') this.#close();
  }

  #add(open: OpenSection, line: string): void {
    open.characters += line.length + 1;
    const most = Math.min(
      this.#maximumCharacters,
      open.grammar.maximumCharacters ?? Number.POSITIVE_INFINITY,
    );
    if (open.characters > most) open.isCut = true;
    else open.lines.push(line);
  }

  #close(endsMidLine = false): void {
    const open = this.#open;
    if (!open) return;
    this.#open = undefined;
    const { grammar, firstLine, lines, isCut } = open;
    this.#sink.section({ kind: grammar.kind, firstLine, lines, isCut, endsMidLine });
  }

  #release(): void {
    while (this.#held.length > 0) this.#releaseOne();
  }

  #releaseOne(): void {
    const held = this.#held.shift();
    if (held) this.#sink.loose(held.line, held.lineNumber);
  }
}

const byFirstCharacter = new Map<string, readonly SectionGrammar[]>();
for (const grammar of grammars) {
  for (const character of grammar.firstCharacters) {
    byFirstCharacter.set(character, [...(byFirstCharacter.get(character) ?? []), grammar]);
  }
}

function firstCharacterOf(line: string): string {
  for (let at = 0; at < 32; at += 1) {
    const character = line[at];
    if (character !== ' ' && character !== '\t' && character !== '>') return character ?? '';
  }
  return '';
}

function grammarOf(line: string): SectionGrammar | undefined {
  const candidates = byFirstCharacter.get(firstCharacterOf(line));
  if (!candidates) return undefined;
  if (line.length > longestTextLine) return smiXml.starts(line) ? smiXml : undefined;
  return candidates.find((grammar) => grammar.starts(line));
}

/** The grammar of a section that can begin after this line: a frame, a date, the first line of XML. */
function precededBy(line: string): SectionGrammar | undefined {
  const first = firstCharacterOf(line);
  if (first !== '+' && first !== '<' && !(first >= 'A' && first <= 'Z')) return undefined;
  return grammars.find((grammar) => grammar.mayPrecede?.(line));
}
