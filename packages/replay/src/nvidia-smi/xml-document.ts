import {
  limits,
  newNode,
  type SmiDocument,
  type SmiGpuNode,
  type SmiNode,
  type SmiSource,
  UnreadParts,
} from './document.ts';
import { unreachableIn } from './failure.ts';

/*
 * A tokenizer of our own instead of an XML library. The format is a small part of XML (elements with text, one attribute), while the
 * files are untrusted and often cut: a library either refuses a document that is not well-formed or repairs it silently, and none says
 * both on which line an element stands and which elements were still open at the end. Nothing is ever expanded here: a DOCTYPE is
 * skipped with what it declares, and of the entities only the five that XML has of its own are known, so there is no bomb to defuse.
 * One pass; no character is looked at more than a fixed number of times.
 */

const entities: Readonly<Record<string, string>> = {
  '&lt;': '<',
  '&gt;': '>',
  '&amp;': '&',
  '&quot;': '"',
  '&apos;': "'",
};

function plainText(text: string): string {
  const bounded = text.length > limits.valueLength ? text.slice(0, limits.valueLength) : text;
  return bounded.includes('&')
    ? bounded.replace(/&(?:lt|gt|amp|quot|apos);/g, (entity) => entities[entity] ?? entity)
    : bounded;
}

/** Counts lines as the reading goes on: always forward, so the whole text is scanned once. */
class LineCounter {
  readonly #text: string;
  #at = 0;
  #line: number;

  constructor(text: string, firstLine: number) {
    this.#text = text;
    this.#line = firstLine;
  }

  lineAt(position: number): number {
    for (;;) {
      const next = this.#text.indexOf('\n', this.#at);
      if (next === -1) {
        this.#at = this.#text.length;
        return this.#line;
      }
      if (next >= position) return this.#line;
      this.#line += 1;
      this.#at = next + 1;
    }
  }
}

interface Open {
  readonly node: SmiNode;
  /** Where the text of the element begins, if it has any. */
  readonly textAt: number;
}

class Reader {
  readonly root = newNode('', 0);
  readonly gpus: SmiGpuNode[] = [];
  readonly unread: UnreadParts;
  readonly #text: string;
  readonly #lines: LineCounter;
  readonly #open: Open[] = [];
  #nodes = 0;
  /** Elements that are open below the depth that is kept. */
  #tooDeep = 0;
  isFull = false;

  constructor(text: string, source: SmiSource) {
    this.#text = text;
    this.#lines = new LineCounter(text, source.firstLine);
    this.unread = new UnreadParts(source.file);
  }

  lineAt(position: number): number {
    return this.#lines.lineAt(position);
  }

  /** `at` is the position of `<`, `end` that of `>`. */
  startTag(at: number, end: number): void {
    const isEmpty = this.#text[end - 1] === '/';
    if (this.#open.length >= limits.depth) {
      if (!isEmpty) this.#tooDeep += 1;
      this.unread.addOnce(this.lineAt(at), 'elements', `nested deeper than ${limits.depth} levels`);
      return;
    }
    this.#nodes += 1;
    if (this.#nodes > limits.nodes) {
      this.isFull = true;
      this.unread.add(this.lineAt(at), 'the rest of the document', `more than ${limits.nodes} elements`);
      return;
    }
    const tag = this.#text.slice(at + 1, Math.min(isEmpty ? end - 1 : end, at + 257));
    const name = /^[^\s/>]{1,64}/.exec(tag)?.[0] ?? '';
    const node = this.#nodeFor(name, tag, this.lineAt(at));
    if (isEmpty) {
      node.value = '';
      return;
    }
    this.#open.push({ node, textAt: end + 1 });
  }

  #nodeFor(name: string, tag: string, line: number): SmiNode {
    const parent = this.#open.at(-1)?.node ?? this.root;
    if (name === 'gpu' && this.#open.length === 1) {
      const address = /\bid="([^"]{1,64})"/.exec(tag)?.[1] ?? null;
      const gpu: SmiGpuNode = { ...newNode(name, line), address };
      if (this.gpus.length < limits.gpus) this.gpus.push(gpu);
      else this.unread.addOnce(line, 'GPUs', `more than ${limits.gpus} of them`);
      return gpu;
    }
    const node = newNode(name, line);
    parent.children.push(node);
    return node;
  }

  endTag(at: number, end: number): void {
    if (this.#tooDeep > 0) {
      this.#tooDeep -= 1;
      return;
    }
    const name = this.#text
      .slice(at + 2, Math.min(end, at + 66))
      .trim()
      .toLowerCase();
    const position = this.#open.findLastIndex(({ node }) => node.name === name);
    if (position !== this.#open.length - 1) {
      this.unread.addOnce(this.lineAt(at), 'an element', 'an end tag does not match its start tag');
    }
    if (position === -1) return;
    const closed = this.#open[position];
    this.#open.length = position;
    if (closed !== undefined && closed.node.children.length === 0) {
      closed.node.value = plainText(this.#text.slice(closed.textAt, at).trim());
    }
  }

  /** Nothing more is read: what is still open was cut. The group that is open in a GPU is dropped, because half of a list reads as a whole one. */
  finish(): void {
    const cutAt = this.lineAt(this.#text.length);
    const gpu = this.#open[1]?.node;
    if (this.#open.length === 0) return;
    const known = this.gpus.find((candidate) => candidate === gpu);
    if (known === undefined) {
      this.unread.add(cutAt, 'the end of the document', 'it is not there: the file was cut');
      return;
    }
    known.isCut = true;
    const group = this.#open[2]?.node;
    if (group !== undefined) known.children.splice(known.children.indexOf(group), 1);
    this.unread.add(group?.line ?? cutAt, 'a GPU', 'it has no end: kept as far as it is whole');
  }
}

const rootName = 'nvidia_smi_log';

/** Reads `nvidia-smi -q -x` of any driver generation into a tree. Undefined when the text is no such document. Never throws. */
export function readXmlDocument(text: string, source: SmiSource): SmiDocument | undefined {
  const rootAt = text.indexOf(`<${rootName}`);
  if (rootAt === -1) return undefined;
  const reader = new Reader(text, source);
  const line = reader.lineAt(rootAt);
  // Messages of the tool land before or behind its output.
  const unreachable = unreachableIn(text.slice(0, rootAt), source.firstLine);
  let at = rootAt;
  while (at !== -1 && !reader.isFull) {
    const special = specialEnd(text, at);
    const end = special ?? text.indexOf('>', at);
    if (end === -1) break;
    if (special === undefined) {
      if (text[at + 1] === '/') reader.endTag(at, end);
      else reader.startTag(at, end);
      if (text.startsWith(`</${rootName}`, at)) {
        const next = text.indexOf(`<${rootName}`, end);
        unreachable.push(
          ...unreachableIn(text.slice(end + 1, next === -1 ? undefined : next), reader.lineAt(end)),
        );
        if (next !== -1) {
          reader.unread.add(reader.lineAt(next), 'another document', 'only the first one of a text is read');
        }
        break;
      }
    }
    at = text.indexOf('<', end + 1);
  }
  reader.finish();
  const header = reader.root.children[0] ?? newNode(rootName, line);
  const { gpus, unread } = reader;
  return { format: 'nvidia-smi -q -x', line, header, gpus, unreachable, unread: unread.list };
}

/** The end of a comment, declaration or processing instruction that begins here; -1 when it has none, undefined when none begins. */
function specialEnd(text: string, at: number): number | undefined {
  const close = (mark: string) => {
    const found = text.indexOf(mark, at + 2);
    return found === -1 ? -1 : found + mark.length - 1;
  };
  if (text.startsWith('<!--', at)) return close('-->');
  if (text.startsWith('<![CDATA[', at)) return close(']]>');
  if (text.startsWith('<?', at)) return close('?>');
  return text.startsWith('<!', at) ? close('>') : undefined;
}
