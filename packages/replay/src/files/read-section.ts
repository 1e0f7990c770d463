import { parseDcgmDiag } from '../formats/dcgm-diag.ts';
import { parseLspci } from '../formats/lspci.ts';
import { parseNvlinks } from '../formats/nvlink.ts';
import { parsePs } from '../formats/ps.ts';
import { parseTopology } from '../formats/topology.ts';
import {
  parseSmiFailure,
  parseSmiList,
  parseSmiTable,
  parseSmiText,
  parseSmiXml,
} from '../nvidia-smi/parse-smi.ts';
import type { CapturedGpu, SmiCapture, UnreadPart } from '../recording.ts';
import type { RecordedFormat } from '../recordings.ts';
import type { Section, SectionKind } from '../sections/section.ts';
import { quotePrefix } from '../sections/smi-grammars.ts';
import type { Findings } from './findings.ts';

export interface ReadSection {
  readonly formats: readonly RecordedFormat[];
  readonly gpuCount: number;
  readonly unread: readonly UnreadPart[];
}

interface Place {
  readonly file: string;
  readonly firstLine: number;
  readonly endsMidLine?: boolean;
  /** Of the section. */
  readonly characters: number;
}
type Read = (section: Section, place: Place, findings: Findings) => ReadSection | undefined;

const parsers: Readonly<Record<SectionKind, Read>> = {
  'nvidia-smi -q -x': ({ lines }, place, findings) =>
    capture('nvidia-smi -q -x', parseSmiXml(lines.join('\n'), place), place, findings),
  'nvidia-smi -q': ({ lines }, place, findings) =>
    capture('nvidia-smi -q', parseSmiText(unquoted(lines), place), place, findings),
  'nvidia-smi': ({ lines }, place, findings) =>
    capture('nvidia-smi', parseSmiTable(unquoted(lines), place), place, findings),
  failure: ({ lines }, place, findings) =>
    capture('nvidia-smi', parseSmiFailure(lines.join('\n'), place), place, findings),
  'nvidia-smi nvlink': readGpuList,
  'nvidia-smi topo -m'({ lines }, place, findings) {
    const gpus = parseTopology(lines, place);
    if (gpus.length === 0) return undefined;
    complete('topology', gpus, place, findings);
    return { formats: ['nvidia-smi topo -m'], gpuCount: gpus.length, unread: [] };
  },
  lspci({ lines }, _place, findings) {
    const bus = parseLspci(lines);
    if (bus.deviceCount === 0) return undefined;
    findings.addPciGpus(bus);
    return { formats: ['lspci'], gpuCount: 0, unread: [] };
  },
  ps({ lines }, _place, findings) {
    const processes = parsePs(lines);
    if (processes.length === 0) return undefined;
    findings.addProcesses(processes);
    return { formats: ['ps'], gpuCount: 0, unread: [] };
  },
  json({ lines }, place, findings) {
    const results = parseDcgmDiag(parseJson(lines.join('\n')), lines, place);
    if (!results) return undefined;
    findings.addTestResults(results);
    return { formats: ['dcgmi diag'], gpuCount: 0, unread: [] };
  },
};

/** Hands a section to its parser and what the parser found to `findings`. */
export function readSection(
  section: Section,
  file: string,
  findings: Findings,
): ReadSection | 'not-understood' {
  const { firstLine, endsMidLine, lines } = section;
  const characters = lines.reduce((sum, line) => sum + line.length, 0);
  const place = { file, firstLine, characters, ...(endsMidLine ? { endsMidLine } : {}) };
  return parsers[section.kind](section, place, findings) ?? 'not-understood';
}

function capture(
  format: RecordedFormat,
  found: SmiCapture | undefined,
  { characters }: Place,
  findings: Findings,
): ReadSection | undefined {
  if (!found) return undefined;
  findings.addSmi(found, characters);
  return { formats: [format], gpuCount: found.gpus.length, unread: found.unread };
}

function readGpuList({ lines }: Section, place: Place, findings: Findings): ReadSection | undefined {
  const linked = parseNvlinks(lines, place);
  if (linked.length > 0) {
    complete('nvidia-smi -L', linked, place, findings);
    return { formats: ['nvidia-smi nvlink'], gpuCount: linked.length, unread: [] };
  }
  return capture('nvidia-smi -L', parseSmiList(lines, place), place, findings);
}

/** Adds what completes a run of nvidia-smi. */
function complete(
  format: 'nvidia-smi -L' | 'topology',
  gpus: readonly CapturedGpu[],
  { file, firstLine, characters }: Place,
  findings: Findings,
): void {
  findings.addCapture(
    {
      file,
      line: firstLine,
      format,
      at: null,
      driverVersion: null,
      computeApiVersion: null,
      attachedGpuCount: null,
      gpus,
    },
    characters,
  );
}

/** Without the indentation or the quote marks that all lines share. */
function unquoted(lines: readonly string[]): readonly string[] {
  const prefix = lines.map((line) => quotePrefix.exec(line)?.[0]).find((found) => found !== undefined);
  if (!prefix) return lines;
  return lines.map((line) => (line.startsWith(prefix) ? line.slice(prefix.length) : line));
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
