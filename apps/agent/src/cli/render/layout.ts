import { quarantine } from '@k8s-gpu-mcp/core';

/** Longest text of one field on a terminal; `--json` has it whole. */
const maximumFieldLength = 600;

/** Any field of an answer as text that is safe on a terminal: log text can hold escape sequences. */
export function clean(value: unknown): string {
  return quarantine(String(value ?? ''), maximumFieldLength);
}

/** Breaks at spaces so that lines stay within `width`; later lines are indented by `indent` more. */
export function wrap(text: string, width: number, indent = ''): string {
  if (text.length <= width) return text;
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    const candidate = line === '' ? word : `${line} ${word}`;
    if (candidate.length <= width || line.trim() === '') line = candidate;
    else {
      lines.push(line);
      line = indent + word;
    }
  }
  return [...lines, line].join('\n');
}
