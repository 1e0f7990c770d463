import type { UnreadPart } from '../recording.ts';
import { absenceOf } from './values.ts';

/** Where a document stands in a file. */
export interface SmiSource {
  /** As the person named it. */
  readonly file: string;
  /** The line of the file, from 1, on which the document begins. */
  readonly firstLine: number;
  /** The file ends with this document and without a line end: its last line may be half of a line. */
  readonly endsMidLine?: boolean;
}

/** One element of the XML or one line of the text: both forms of the output become the same tree. */
export interface SmiNode {
  /** In lower case. */
  readonly name: string;
  /** What is printed for it; null for an element with elements in it and for a heading. Untrusted. */
  value: string | null;
  readonly line: number;
  readonly children: SmiNode[];
}

export interface SmiGpuNode extends SmiNode {
  /** As printed: the `id` of the element, or what follows `GPU` in the heading. */
  readonly address: string | null;
  /** The output ends inside of this GPU. */
  isCut?: boolean;
}

/** A GPU that the tool names only to say that it cannot be reached. */
export interface UnreachableGpu {
  readonly index: number | null;
  readonly address: string | null;
  readonly state: 'lost' | 'reset-required' | 'unreadable';
  /** The driver failed, and did not refuse, to open it. */
  readonly isUnopened?: boolean;
  readonly line: number;
}

export interface SmiDocument {
  readonly format: 'nvidia-smi -q -x' | 'nvidia-smi -q';
  readonly line: number;
  /** What stands above the GPUs. */
  readonly header: SmiNode;
  readonly gpus: readonly SmiGpuNode[];
  readonly unreachable: readonly UnreachableGpu[];
  readonly unread: readonly UnreadPart[];
}

/**
 * What a document may hold. A full XML of 16 GPUs has about 100,000 elements, most of them supported clocks; the rest is room for what
 * comes, small enough that the tree of a hostile file stays below 100 MB.
 */
export const limits = {
  nodes: 500_000,
  depth: 24,
  gpus: 256,
  valueLength: 1_024,
  unreadParts: 50,
  processes: 4_096,
  migDevices: 64,
} as const;

export function newNode(name: string, line: number, value: string | null = null): SmiNode {
  return { name: name.toLowerCase(), value, line, children: [] };
}

/** A path of names as the field table writes it, in the spelling of the tree. */
export function pathOf(path: string): readonly string[] {
  return path.toLowerCase().split('/');
}

/**
 * The node at a path. Where a group is printed as one value (`Remapped Rows : N/A`) that node stands for everything in it. Undefined
 * where the document has no such thing.
 */
export function findNode(from: SmiNode, path: readonly string[]): SmiNode | undefined {
  let at = from;
  for (const name of path) {
    const next = at.children.find((child) => child.name === name);
    if (next !== undefined) at = next;
    else return at !== from && saysNothing(at) ? at : undefined;
  }
  return at;
}

function saysNothing({ value, children }: SmiNode): boolean {
  return value !== null && children.length === 0 && absenceOf(value) !== undefined;
}

/** Collects what was not understood; stops at a bound, because a hostile file could fill it. */
export class UnreadParts {
  readonly list: UnreadPart[] = [];
  readonly #file: string;

  constructor(file: string) {
    this.#file = file;
  }

  add(line: number, part: string, reason: string): void {
    if (this.list.length < limits.unreadParts) this.list.push({ file: this.#file, line, part, reason });
  }

  /** For what can happen on every line: the first time is enough. */
  addOnce(line: number, part: string, reason: string): void {
    if (!this.list.some((known) => known.part === part && known.reason === reason)) {
      this.add(line, part, reason);
    }
  }
}

export type Form = 'xml' | 'text';

/** Where a thing stands in each form. */
export type Spelling = Readonly<Record<Form, string>>;

/** A node that prints something: a group that was expected to be a value is not it. */
export function printedAt(
  gpu: SmiNode,
  form: Form,
  spelling: Spelling,
): { readonly line: number; readonly value: string } | undefined {
  const node = findNode(gpu, pathOf(spelling[form]));
  return node !== undefined && node.value !== null ? { line: node.line, value: node.value } : undefined;
}
