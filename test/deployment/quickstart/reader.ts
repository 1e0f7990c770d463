import { expect } from 'vitest';
import type { Outcome } from '../../programs/run-program.ts';
import { type Block, blocksOf, type Command, commandsOf, serversOf } from './document.ts';
import type { Workstation } from './workstation.ts';

export interface Done extends Command, Outcome {}

export interface ReaderOptions {
  /** What else to say where a command does not end as the document says. */
  readonly explain?: () => string;
  /** By command, where this machine differs from the reader's in a way that the test names. */
  readonly exitCodes?: Readonly<Record<string, number>>;
}

/** Somebody who follows a document from the top to the bottom, and stops where it is not as the document says. */
export class Reader {
  readonly #blocks: readonly Block[];
  readonly #workstation: Workstation;
  readonly #options: ReaderOptions;

  constructor(markdown: string, workstation: Workstation, options: ReaderOptions = {}) {
    this.#options = options;
    this.#blocks = blocksOf(markdown);
    this.#workstation = workstation;
  }

  blocks(heading: string): readonly Block[] {
    const found = this.#blocks.filter(({ headings }) => headings.includes(heading));
    if (found.length === 0) throw new Error(`the document has no block under "${heading}"`);
    return found;
  }

  /** Every `sh` block under the heading, command by command. `after` sees each before the next one runs. */
  async follow(
    heading: string,
    after: (done: Done) => Promise<void> | void = () => {},
  ): Promise<readonly Done[]> {
    const all: Done[] = [];
    for (const command of this.blocks(heading)
      .filter(({ language }) => language === 'sh')
      .flatMap(commandsOf)) {
      const outcome = await this.#workstation.run(command.text);
      const said = `line ${command.line}: ${command.text}\n${outcome.stdout}${outcome.stderr}`;
      const expected = this.#options.exitCodes?.[command.text] ?? command.exitCode;
      const more = outcome.code === expected ? '' : (this.#options.explain?.() ?? '');
      expect(outcome.code, `${said}\n${more}`).toBe(expected);
      const done = { ...command, ...outcome };
      all.push(done);
      await after(done);
    }
    return all;
  }

  /** The commands that the configurations under the heading give to an MCP host, each once. */
  servers(heading: string): readonly (readonly string[])[] {
    const all = this.blocks(heading)
      .filter(({ headings }) => headings.at(-1) === heading)
      .flatMap(serversOf);
    return [...new Map(all.map((command) => [command.join(' '), command])).values()];
  }
}
