import type { SectionGrammar } from './section.ts';

const device = /^(?:[0-9a-f]{4,8}:)?[0-9a-f]{2}:[0-9a-f]{2}\.[0-7] [A-Z0-9][^:]{2,80}: /;

/** `lspci`, with or without `-nn`, `-k` and `-v`. */
export const lspci: SectionGrammar = {
  kind: 'lspci',
  firstCharacters: '0123456789abcdef',
  starts: (line) => device.test(line),
  open: () => (line) =>
    device.test(line) || /^(?:\s|$|[0-9a-f]{2,3}: [0-9a-f]{2} )/.test(line) ? 'in' : 'out',
};

/** The header of `ps` with a column for the state. */
export const ps: SectionGrammar = {
  kind: 'ps',
  firstCharacters: 'ABCDEFGHIJKLMNOPQRSTUVWXYZ%',
  starts: (line) =>
    line.length < 400 &&
    /^\s*(?:[A-Z%]{1,10}\s+){0,12}PID\s/.test(line) &&
    /\s(?:STAT|S)\s/.test(line) &&
    /\s(?:COMMAND|CMD)\s*$/.test(line),
  open: () => (line) => (/^\s*\S+\s+\S*\d/.test(line) || /^\s*\d{1,10}\s/.test(line) ? 'in' : 'out'),
};

/** What a line of an indented JSON document can begin with. A brace in a program's log opens no document: the next line tells. */
const jsonLine =
  /^\s*(?:$|["{}\]]|-?\d[\w.+-]{0,40},?\s*$|(?:true|false|null),?\s*$|\[(?:\s*$|["{[]|[^\]]{0,1000}\],?\s*$))/;

/** A JSON object over several lines, or one of DCGM on one line; what it holds is seen when it is whole. */
export const json: SectionGrammar = {
  kind: 'json',
  firstCharacters: '{',
  maximumCharacters: 8 * 1024 * 1024,
  starts: (line) =>
    /^\s*\{\s*$/.test(line) || /^\s{0,32}\{\s{0,32}"(?:DCGM (?:GPU )?Diagnostic|body)"/.test(line),
  open() {
    let depth = 0;
    let isText = false;
    return (line) => {
      if (!jsonLine.test(line)) return 'out';
      let isEscaped = false;
      for (const character of line) {
        if (isText) {
          if (isEscaped) isEscaped = false;
          else if (character === '\\') isEscaped = true;
          else if (character === '"') isText = false;
        } else if (character === '"') isText = true;
        else if (character === '{' || character === '[') depth += 1;
        else if (character === '}' || character === ']') depth -= 1;
      }
      // No text of JSON goes over a line end.
      isText = false;
      return depth <= 0 ? 'last' : 'in';
    };
  },
};
