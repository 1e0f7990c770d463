import type { SectionGrammar } from './section.ts';

/** An output that was indented or quoted as a whole (`> `, code in a ticket): what stands before its first mark is left out of each line. */
export const quotePrefix = /^[ \t>]{0,32}(?=[|+=])/;

const address = /^GPU [0-9A-Fa-f]{4,8}:[0-9A-Fa-f]{2}:[0-9A-Fa-f]{2}\.[0-7]/;
const header = /^[ \t>]{0,32}={5,40}NVSMI LOG={5,40}/;
/** Lines at the margin before the first GPU. */
const facts = /^(?:Timestamp|Driver Version|CUDA Version|Attached (?:GPUs|Units)) {1,60}: /;
const otherFacts = /^[A-Z][A-Za-z ]{2,40} {2,60}: /;
const elision = /^\[?\.{3}\]?$/;
const noHandle = /^Unable to determine the device handle/;

/** `nvidia-smi -q`, also without its first lines. */
export const smiText: SectionGrammar = {
  kind: 'nvidia-smi -q',
  firstCharacters: '=TDCAG',
  starts: (line) => header.test(line) || facts.test(line) || address.test(line),
  open(firstLine) {
    const prefix = quotePrefix.exec(firstLine)?.[0] ?? '';
    let hasGpu = address.test(firstLine);
    let hasHeader = header.test(firstLine);
    let wasBlank = false;
    return (line) => {
      const text = line.startsWith(prefix) ? line.slice(prefix.length) : line.trim() === '' ? '' : undefined;
      if (text === undefined) return 'out';
      const isAfterBlank = wasBlank;
      wasBlank = text.trim() === '';
      if (wasBlank) return 'in';
      if (header.test(text)) return 'out';
      // No part of the output is indented after an empty line: another command's is.
      if (isAfterBlank && /^\s{0,32}(?:[|+]|PID\s|(?:[A-Z%]{1,10}\s{1,20}){1,12}PID\s)/.test(text))
        return 'out';
      // The head of another run whose header was not copied.
      if (hasGpu && /^(?:Timestamp|Attached (?:GPUs|Units)) {1,60}: /.test(text)) return 'out';
      if (address.test(text)) {
        hasGpu = true;
        return 'in';
      }
      hasHeader ||= facts.test(text);
      if (/^\s/.test(text) || noHandle.test(text) || elision.test(text.trim())) return 'in';
      return otherFacts.test(text) || (hasHeader && facts.test(text)) ? 'in' : 'out';
    };
  },
};

/** The table of plain `nvidia-smi`, with the date above it. */
export const smiTable: SectionGrammar = {
  kind: 'nvidia-smi',
  firstCharacters: '|',
  starts: (line) => /^[ \t>]{0,32}\| NVIDIA-SMI /.test(line),
  mayPrecede: (line) =>
    /^[ \t>]{0,32}\+-{10,200}\+?\s*$/.test(line) ||
    /^[ \t>]{0,32}[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d{2}:\d{2}:\d{2} (?:[A-Z]{1,5} )?\d{4}\s*$/.test(line),
  open(firstLine) {
    const prefix = quotePrefix.exec(firstLine)?.[0] ?? '';
    let isBetween = false;
    return (line) => {
      const text = line.startsWith(prefix) ? line.slice(prefix.length) : line;
      if (text.trim() === '') {
        isBetween = true;
        return 'in';
      }
      if (/^\| NVIDIA-SMI /.test(text)) return 'out';
      // Two runs one under the other: the frame of the second belongs to it.
      if (isBetween && !/^[ \t]{0,32}[|+]/.test(text)) return noHandle.test(text) ? 'in' : 'out';
      isBetween = false;
      return /^[|+]/.test(text) || noHandle.test(text) ? 'in' : 'out';
    };
  },
};

/** `nvidia-smi -q -x`. */
export const smiXml: SectionGrammar = {
  kind: 'nvidia-smi -q -x',
  firstCharacters: '<',
  starts: (line) => /<nvidia_smi_log[\s>]/.test(line) || /<!DOCTYPE nvidia_smi_log/.test(line),
  mayPrecede: (line) => /^\s{0,32}<\?xml /.test(line),
  open() {
    let hasRoot = false;
    return (line) => {
      if (line.includes('</nvidia_smi_log>')) return 'last';
      // A document that was cut: what follows is no longer XML.
      if (header.test(line) || /^_{20,}$/.test(line) || /^\s{0,32}<\?xml /.test(line)) return 'out';
      if (/^[^\s<]/.test(line) && !line.includes('<')) return 'out';
      if (/<nvidia_smi_log[\s>]/.test(line)) {
        if (hasRoot) return 'out';
        hasRoot = true;
      }
      return 'in';
    };
  },
};

/** What nvidia-smi prints instead of anything else when it cannot work. */
export const smiFailure: SectionGrammar = {
  kind: 'failure',
  firstCharacters: 'FNU',
  starts: (line) =>
    /^\s{0,32}(?:Failed to initialize NVML: |NVIDIA-SMI has failed because|No devices were found|Unable to determine the device handle)/.test(
      line,
    ),
  open: () => (line) =>
    /^\s{0,32}(?:NVML library version: |Make sure that the latest NVIDIA driver|Reboot the system to recover|Unable to determine the device handle)/.test(
      line,
    )
      ? 'in'
      : 'out',
};

/** `nvidia-smi -L` and `nvidia-smi nvlink -s`, `-e`, `-R`: a line for each GPU, and what belongs to it under it. */
export const gpuList: SectionGrammar = {
  kind: 'nvidia-smi nvlink',
  firstCharacters: 'G',
  starts: (line) => /^\s{0,32}GPU \d{1,4}: .{1,100}\(UUID: /.test(line),
  open: () => (line) =>
    /^\s*(?:$|GPU \d{1,4}: .{1,100}\(UUID: |MIG \S|Links? \d|\[?\.{3}\]?$|NVML: )/.test(line) ? 'in' : 'out',
};

const pathWord = '(?:X|NV\\d{1,3}|SYS|NODE|PHB|PXB|PIX|PSB)';
const topoRow = new RegExp(`^(?:GPU|NIC)\\d{1,3}\\s{1,20}${pathWord}(?:\\s|$)`);

/** `nvidia-smi topo -m`. */
export const topology: SectionGrammar = {
  kind: 'nvidia-smi topo -m',
  firstCharacters: 'GN\u001b',
  starts: (line) => topoRow.test(line) || (line.includes('CPU Affinity') && /GPU\d/.test(line)),
  open: () => (line) =>
    topoRow.test(line) ||
    /^\s*$|^(?:NIC )?Legend:|^\s{1,10}(?:X|SYS|NODE|PHB|PXB|PIX|NV#|PSB|NIC\d{1,3})\s*[=:]|^\S{1,20}\s{1,20}(?:X|NODE|PIX|PXB|PHB|SYS)\s/.test(
      line,
    )
      ? 'in'
      : 'out',
};
