import { parsePciAddress } from '@k8s-gpu-mcp/core';
import {
  limits,
  newNode,
  type SmiDocument,
  type SmiGpuNode,
  type SmiNode,
  type SmiSource,
  type UnreachableGpu,
  UnreadParts,
} from './document.ts';
import { readUnreachable } from './failure.ts';

const title = 'NVSMI LOG';
/** Where people leave lines out of what they paste. */
const elisions = new Set(['...', '[...]', '…']);

/** `Key   : Value`; the rest of a line after four blanks is somebody's remark. Null for a value that is not there: a heading. */
function splitLine(trimmed: string): { readonly name: string; readonly value: string | null } {
  const at = trimmed.indexOf(' : ');
  if (at === -1) {
    return trimmed.endsWith(' :')
      ? { name: trimmed.slice(0, -2).trimEnd(), value: '' }
      : { name: trimmed, value: null };
  }
  const value = trimmed.slice(at + 3, at + 3 + limits.valueLength).trim();
  const remarkAt = value.indexOf('    ');
  return {
    name: trimmed.slice(0, at).trimEnd(),
    value: remarkAt === -1 ? value : value.slice(0, remarkAt),
  };
}

/** A whole output (parts of it have no product name) ends with the processes, or with what newer drivers print below them. */
function isCut({ children }: SmiGpuNode): boolean {
  const has = (name: string) => children.some((child) => child.name === name);
  return has('product name') && !has('processes') && !has('compute processes');
}

/** Reads `nvidia-smi -q`, whole or any `-d` part of it, into a tree by its indentation. Undefined when there is nothing of it in the text. */
export function readTextDocument(lines: readonly string[], source: SmiSource): SmiDocument | undefined {
  const unread = new UnreadParts(source.file);
  const header = newNode('', source.firstLine);
  const gpus: SmiGpuNode[] = [];
  const unreachable: UnreachableGpu[] = [];
  let stack: { readonly indent: number; readonly node: SmiNode }[] = [];
  let begin: number | undefined;
  let nodes = 0;
  // Half of a number looks like a number.
  const count = source.endsMidLine === true ? lines.length - 1 : lines.length;
  for (let position = 0; position < count; position += 1) {
    const full = lines[position] ?? '';
    const line = source.firstLine + position;
    const text = full.length > 4_096 ? full.slice(0, 4_096) : full;
    const trimmed = text.trim();
    if (trimmed === '') continue;
    if (trimmed.startsWith('=')) {
      if (trimmed.includes(title) && (gpus.length > 0 || header.children.length > 0)) {
        unread.add(line, 'another document', 'only the first one of a text is read');
        break;
      }
      begin ??= line;
      continue;
    }
    if (elisions.has(trimmed)) {
      unread.addOnce(line, 'lines that were left out', 'whoever saved this capture shortened it');
      continue;
    }
    const lost = readUnreachable(trimmed, line);
    if (lost !== undefined) {
      begin ??= line;
      if (unreachable.length < limits.gpus) unreachable.push(lost);
      continue;
    }
    nodes += 1;
    if (nodes > limits.nodes) {
      unread.add(line, 'the rest of the document', `more than ${limits.nodes} lines`);
      break;
    }
    const address = trimmed.startsWith('GPU ') ? trimmed.slice(4).trim() : undefined;
    const indent = text.length - text.trimStart().length;
    if (address !== undefined && address.length <= 20 && parsePciAddress(address) !== undefined) {
      const gpu: SmiGpuNode = { ...newNode('gpu', line), address };
      if (gpus.length < limits.gpus) gpus.push(gpu);
      else unread.addOnce(line, 'GPUs', `more than ${limits.gpus} of them`);
      stack = [{ indent, node: gpu }];
      begin ??= line;
      continue;
    }
    while (stack.length > 0 && (stack.at(-1)?.indent ?? 0) >= indent) stack.pop();
    const { name, value } = splitLine(trimmed);
    const node = newNode(name.slice(0, 100), line, value);
    const parent = stack.at(-1)?.node;
    if (parent === undefined) {
      // Above the GPUs there are values only; anything else is the neighbourhood of the capture.
      if (value === null || gpus.length > 0) continue;
      begin ??= line;
    }
    (parent ?? header).children.push(node);
    if (stack.length < limits.depth) stack.push({ indent, node });
    else unread.addOnce(line, 'lines', `indented deeper than ${limits.depth} levels`);
  }
  const last = gpus.at(-1);
  if (last !== undefined && isCut(last)) last.isCut = true;
  if (source.endsMidLine === true) {
    unread.add(
      source.firstLine + count,
      'the last line',
      'the file ends without a line end: it may be half of one',
    );
  }
  if (
    begin === undefined ||
    (gpus.length === 0 && unreachable.length === 0 && header.children.length === 0)
  ) {
    return undefined;
  }
  // A group above the GPUs would be a group of the last header line.
  return { format: 'nvidia-smi -q', line: begin, header, gpus, unreachable, unread: unread.list };
}
