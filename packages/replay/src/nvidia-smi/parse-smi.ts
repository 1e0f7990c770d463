import type { SmiCapture } from '../recording.ts';
import type { SmiSource } from './document.ts';
import { parseSmiFailure } from './failure.ts';
import { parseSmiList } from './list.ts';
import { parseSmiText, parseSmiXml } from './query.ts';
import { parseSmiTable } from './table.ts';

export type { SmiSource } from './document.ts';
export { parseSmiFailure } from './failure.ts';
export { parseSmiList } from './list.ts';
export { parseSmiText, parseSmiXml } from './query.ts';
export { parseSmiTable } from './table.ts';

/**
 * Reads one output of nvidia-smi in whichever form it is: `-q -x`, `-q`, the plain table, `-L`, or the line that says why there is none.
 * Undefined when it is none of them. Never throws; time and memory are linear in the text, which the caller has bounded.
 */
export function parseSmi(text: string, source: SmiSource): SmiCapture | undefined {
  if (text.includes('<nvidia_smi_log')) return withFailure(parseSmiXml(text, source), text, source);
  const lines = text.split('\n', mostLines);
  const isCutHere = lines.length === mostLines;
  const endsMidLine = source.endsMidLine ?? (text !== '' && !text.endsWith('\n') && !isCutHere);
  const capture = parseLines(text, lines, { ...source, endsMidLine });
  return withFailure(isCutHere && capture !== undefined ? shortened(capture) : capture, text, source);
}

/** Of 256 GPUs with 4,096 processes each nvidia-smi prints 7 million lines; what a file of 16 GPUs holds is below 100,000. */
const mostLines = 1_000_000;

function shortened(capture: SmiCapture): SmiCapture {
  const { file, line, unread } = capture;
  const reason = `more than ${mostLines} lines`;
  return { ...capture, unread: [...unread, { file, line, part: 'the rest of the document', reason }] };
}

function parseLines(text: string, lines: readonly string[], source: SmiSource): SmiCapture | undefined {
  if (text.includes('| NVIDIA-SMI ')) return parseSmiTable(lines, source);
  return parseSmiList(lines, source) ?? (looksLikeQuery(text) ? parseSmiText(lines, source) : undefined);
}

/** The title, or a heading of a GPU, or the line that counts them. */
function looksLikeQuery(text: string): boolean {
  return (
    text.includes('=NVSMI LOG=') ||
    /^Attached GPUs {1,80}: \d/m.test(text) ||
    /^ {0,8}GPU [0-9A-Fa-f]{4,8}:[0-9A-Fa-f]{2}:[0-9A-Fa-f]{2}\.[0-7]\s*$/m.test(text)
  );
}

/** Without a single GPU, a line that says why is the content. */
function withFailure(
  capture: SmiCapture | undefined,
  text: string,
  source: SmiSource,
): SmiCapture | undefined {
  if (capture !== undefined && capture.gpus.length > 0) return capture;
  const failed = parseSmiFailure(text, source);
  if (failed === undefined) return capture;
  return capture === undefined || failed.failure === undefined
    ? failed
    : { ...capture, failure: failed.failure };
}
