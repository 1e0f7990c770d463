import { readFileSync } from 'node:fs';
import { readText, scanKernelLog } from '@k8s-gpu-mcp/host-linux';
import { openRecordings } from '../src/open-recordings.ts';
import type { OpenRecordingsOptions, Recordings, ReplayReaders } from '../src/recordings.ts';

/** The readers that the agent hands in. */
export const readers: ReplayReaders = { readText, scanKernelLog };

export const nowMilliseconds = Date.parse('2026-01-01T00:00:00Z');

export const fixtureOf = (path: string): string =>
  readFileSync(new URL(`../fixtures/${path}`, import.meta.url), 'utf8');

export async function* chunked(content: string | Uint8Array, size = 65_536): AsyncGenerator<Uint8Array> {
  const bytes = Buffer.from(content);
  for (let start = 0; start < bytes.length; start += size) yield bytes.subarray(start, start + size);
}

/** Opens contents as streams under the given names, in order. */
export function openTexts(
  contents: Readonly<Record<string, string | Uint8Array>>,
  options: OpenRecordingsOptions = {},
): Promise<Recordings> {
  const inputs = Object.entries(contents).map(([name, content]) => ({ name, stream: chunked(content) }));
  return openRecordings(inputs, readers, { nowMilliseconds, ...options });
}

export const unaborted = (): AbortSignal => new AbortController().signal;

export async function recordsOf(recordings: Recordings) {
  return (await recordings.kernelLog.read({ signal: unaborted() })).records;
}

export const describeOf = (recordings: Recordings) => recordings.gpuProvider.describeNode(unaborted());

// The shape of the line: open-gpu-kernel-modules, NVRM Xid printf.
export const xidLine = (seconds: number, pci = '0000:3b:00', xid = 79): string =>
  `[${seconds.toFixed(6).padStart(12)}] NVRM: Xid (PCI:${pci}): ${xid}, pid=1234, name=python3, GPU has fallen off the bus.`;

/** A report in the layout of nvidia-bug-report.sh: banner, blank line, heading, blank line, content. */
export function bugReport(parts: readonly (readonly [heading: string, content: string])[]): string {
  const banner = '_'.repeat(44);
  const title = [
    banner,
    '',
    'Start of NVIDIA bug report log file.  Please include this file, along',
    'with a detailed description of your problem.',
    '',
    'nvidia-bug-report.sh Version: 31831145',
    '',
  ];
  return [...title, ...parts.flatMap(([heading, content]) => [banner, '', heading, '', content, ''])].join(
    '\n',
  );
}
