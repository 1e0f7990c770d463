import type { ProgressNote } from './gateway-session.ts';

type ErrorStream = NodeJS.WritableStream & { readonly isTTY?: boolean | undefined };

export interface ProgressLine {
  note(note: ProgressNote): void;
  /** Takes the line off a terminal, so that nothing of it stays beside the result. */
  clear(): void;
}

const eraseLine = '\r\u001b[K';
const maximumLines = 200;

/** One line on a terminal that is written over, else a line for each note. */
export function createProgressLine(stream: ErrorStream, isAsked: boolean): ProgressLine {
  const isTerminal = stream.isTTY === true;
  if (!isTerminal && !isAsked) return { note: () => {}, clear: () => {} };
  let isShown = false;
  let last = '';
  let lines = 0;
  return {
    note(note) {
      const words = sayProgress(note);
      if (words === last || lines >= maximumLines) return;
      last = words;
      lines += 1;
      isShown = true;
      stream.write(isTerminal ? `${eraseLine}${words}` : `${words}\n`);
    },
    clear() {
      if (isTerminal && isShown) stream.write(eraseLine);
      isShown = false;
    },
  };
}

/** The gateway says `12 of 64 nodes`; what an agent says of its own work is passed on. */
export function sayProgress({ done, total, message }: ProgressNote): string {
  const count = total === undefined || total <= 0 ? String(done) : `${done}/${total}`;
  const isOfNodes = message === undefined || message === '' || /^\d+ of \d+ nodes?$/.test(message);
  return isOfNodes ? `${count} nodes answered` : `${count} ${message}`;
}
