// What nvidia-smi prints, as plain data. Nothing here knows our own readings.
import { XMLParser } from 'fast-xml-parser';

const xml = new XMLParser({
  ignoreAttributes: false,
  attributeNamePrefix: '@',
  parseTagValue: false,
  trimValues: true,
  processEntities: true,
  isArray: (name) => ['gpu', 'mig_device', 'process_info', 'accounted_process_info'].includes(name),
});

/** The document of `nvidia-smi -q -x`: one tree per GPU, and what stands above them. */
export function parseQuery(text) {
  const document = xml.parse(text)?.nvidia_smi_log;
  if (document === undefined) throw new Error('this is no output of nvidia-smi -q -x');
  const { gpu = [], ...node } = document;
  return { node, gpus: gpu };
}

/** The text at `a.b.c` of a GPU's tree; undefined where the tree has no such element. */
export function textAt(tree, path) {
  let at = tree;
  for (const name of path.split('.')) {
    if (typeof at !== 'object' || at === null) return undefined;
    at = at[name];
  }
  return typeof at === 'string' ? at : undefined;
}

/** The same value has had several names over the drivers: the first of them that is there. */
export function firstTextAt(tree, paths) {
  for (const path of [paths].flat()) {
    const text = textAt(tree, path);
    if (text !== undefined) return text;
  }
  return undefined;
}

const absences = new Set([
  '',
  'N/A',
  '[N/A]',
  'Unknown Error',
  'Insufficient Permissions',
  'Requested functionality has been deprecated',
  '[Requested functionality has been deprecated]',
  '[Not Supported]',
  'Not Supported',
]);

/** Whether nvidia-smi says by this text that it has no value. */
export const isAbsent = (text) => text === undefined || absences.has(text);

/** Rows of `--format=csv` output, by the names in its head line (units in brackets left out). */
export function parseCsv(text) {
  const [head = '', ...lines] = text.split('\n').filter((line) => line.trim() !== '');
  const names = head.split(',').map((name) => name.replace(/\[.*\]/, '').trim());
  return lines.map((line) => {
    const cells = line.split(',').map((cell) => cell.trim());
    return Object.fromEntries(names.map((name, index) => [name, cells[index]]));
  });
}

/** The matrix of `nvidia-smi topo -m`: a row per GPU, by column heading. */
export function parseTopology(text) {
  // The head line is underlined by an escape sequence.
  const plain = text.replaceAll(new RegExp(`${String.fromCharCode(27)}\\[\\d*m`, 'g'), '');
  const lines = plain.split('\n');
  const headAt = lines.findIndex((line) => /^\s+GPU0\b/.test(line));
  const head = lines[headAt];
  if (head === undefined) return [];
  const headings = ['', ...cellsOf(head.trimStart())];
  return lines.slice(headAt + 1).flatMap((line) => {
    const cells = cellsOf(line);
    const gpu = /^GPU(\d+)$/.exec(cells[0] ?? '');
    if (!gpu) return [];
    const byHeading = Object.fromEntries(headings.map((heading, index) => [heading, cells[index] ?? '']));
    return [{ index: Number(gpu[1]), cells: byHeading }];
  });
}

/** nvidia-smi separates by tabs; a table that went through a document has blanks. */
function cellsOf(line) {
  return line.split(line.includes('\t') ? '\t' : / {2,}/).map((cell) => cell.trim());
}
