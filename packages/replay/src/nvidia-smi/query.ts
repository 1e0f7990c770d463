import { parsePciAddress, pciDeviceKey } from '@k8s-gpu-mcp/core';
import type { CapturedGpu, SmiCapture } from '../recording.ts';
import { readComposed } from './composed.ts';
import {
  type Form,
  findNode,
  type SmiDocument,
  type SmiGpuNode,
  type SmiNode,
  type SmiSource,
  UnreadParts,
} from './document.ts';
import { readErrorCounts } from './error-counts.ts';
import { placeUnreachable } from './failure.ts';
import { type Field, fields, otherGroups } from './fields.ts';
import { GpuCollector } from './gpu-collector.ts';
import { readLists } from './lists.ts';
import { readTextDocument } from './text-document.ts';
import { timeOf, versionOf } from './values.ts';
import { readXmlDocument } from './xml-document.ts';

/** Reads `nvidia-smi -q -x` of any driver generation. Undefined when the text is no such document. Never throws; linear in the text. */
export function parseSmiXml(text: string, source: SmiSource): SmiCapture | undefined {
  const document = readXmlDocument(text, source);
  return document && captureOf(document, 'xml', source);
}

/** Reads `nvidia-smi -q`, whole or some of its parts (`-d`). Undefined when there is nothing of it in the lines. Never throws. */
export function parseSmiText(lines: readonly string[], source: SmiSource): SmiCapture | undefined {
  const document = readTextDocument(lines, source);
  return document && captureOf(document, 'text', source);
}

const headerNames = {
  at: ['timestamp'],
  // The newer name first: the older one is deprecated and carries a remark.
  driver: ['kmd_version', 'kmd version', 'driver_version', 'driver version'],
  computeApi: ['cuda_umd_version', 'cuda umd version', 'cuda_version', 'cuda version'],
  count: ['attached_gpus', 'attached gpus'],
} as const;

function headerText(header: SmiNode, names: readonly string[]): string | undefined {
  for (const name of names) {
    const value = header.children.find((node) => node.name === name)?.value;
    if (value !== null && value !== undefined) return value;
  }
  return undefined;
}

function captureOf(document: SmiDocument, form: Form, source: SmiSource): SmiCapture {
  const { header, format, line } = document;
  const unread = new UnreadParts(source.file);
  const attached = headerText(header, headerNames.count) ?? '';
  const reserved = new Set(document.unreachable.map(({ index }) => index));
  const known = new Set<string>();
  const groups = knownGroups[form];
  let next = 0;
  const gpus = document.gpus.flatMap((node): CapturedGpu[] => {
    const key = pciDeviceKey(node.address) ?? findNode(node, ['uuid'])?.value ?? undefined;
    if (key !== undefined && known.has(key)) {
      unread.add(node.line, 'a GPU', 'it was printed before in this document: the first time is kept');
      return [];
    }
    if (key !== undefined) known.add(key);
    // A GPU that the tool could not open leaves a hole in the numbering.
    while (reserved.has(next)) next += 1;
    const gpu = readGpu(node, form, next, source, unread);
    next += 1;
    for (const group of node.children) {
      if (!groups.has(group.name)) {
        unread.addOnce(group.line, 'a section of a GPU', 'this version does not know its heading');
      }
    }
    return [gpu];
  });
  const indexes = gpus.map(({ ref }) => ref.index);
  return {
    file: source.file,
    line,
    format,
    at: timeOf(headerText(header, headerNames.at) ?? ''),
    driverVersion: versionOf(headerText(header, headerNames.driver)),
    computeApiVersion: versionOf(headerText(header, headerNames.computeApi)),
    attachedGpuCount: /^\d{1,4}$/.test(attached) ? Number(attached) : null,
    gpus: [...gpus, ...placeUnreachable(document.unreachable, indexes, source.file)],
    unread: [...document.unread, ...unread.list].toSorted((a, b) => a.line - b.line),
  };
}

const knownGroups: Readonly<Record<Form, ReadonlySet<string>>> = {
  xml: new Set([...fields.flatMap(({ xml }) => xml.map(([group = '']) => group)), ...otherGroups, 'pci']),
  text: new Set([...fields.flatMap(({ text }) => text.map(([group = '']) => group)), ...otherGroups, 'pci']),
};

function readGpu(
  node: SmiGpuNode,
  form: Form,
  index: number,
  { file }: SmiSource,
  unread: UnreadParts,
): CapturedGpu {
  const collector = new GpuCollector(file);
  const found = new Set<string>();
  for (const field of fields) {
    if (!found.has(field.reading) && readField(node, form, field, collector)) found.add(field.reading);
  }
  readErrorCounts(node, form, collector);
  readComposed(node, form, collector);
  readLists(node, form, collector, unread);
  const gpu = collector.gpu(index, addressOf(node, form));
  return node.isCut === true ? { ...gpu, isCut: true } : gpu;
}

/** The first spelling with a value, else the first that is there. False when the output has none of them. */
function readField(node: SmiNode, form: Form, field: Field, collector: GpuCollector): boolean {
  let first: { readonly line: number; readonly text: string } | undefined;
  for (const path of field[form]) {
    const at = findNode(node, path);
    if (at === undefined || at.value === null) continue;
    const found = { line: at.line, text: at.value };
    first ??= found;
    if (collector.read(at.value, field.decode, field.decodesAbsences).value === null) continue;
    first = found;
    break;
  }
  if (first === undefined) return false;
  collector.print(field.reading, first.line, first.text, field.decode, field.decodesAbsences);
  return true;
}

function addressOf(node: SmiGpuNode, form: Form): string | null {
  if (node.address !== null && parsePciAddress(node.address) !== undefined) return node.address;
  return findNode(node, form === 'xml' ? ['pci', 'pci_bus_id'] : ['pci', 'bus id'])?.value ?? null;
}
