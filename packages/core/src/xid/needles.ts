/**
 * Short ASCII strings such that every message that can become an event contains at least one. Few, and with rare first letters: a byte
 * scanner looks for each of them over gigabytes. The line after a hit belongs to it too (continuations, "last message repeated").
 */
export const kernelLogNeedles = [
  'NVRM',
  'Xid (',
  'AER:',
  'PCIe B',
  'IO_PAG',
  'Hardw',
  'EDAC',
  'Kill',
  'GSP ',
] as const satisfies readonly string[];

/** Whether a line or message can become an event. Cheap, and never false for one that does. */
export function isKernelLogCandidate(text: string): boolean {
  return kernelLogNeedles.some((needle) => text.includes(needle));
}
