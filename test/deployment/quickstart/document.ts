/** A fenced block of a Markdown document. */
export interface Block {
  /** The headings above it, outermost first. */
  readonly headings: readonly string[];
  readonly language: string;
  readonly text: string;
  readonly line: number;
}

export interface Command {
  readonly text: string;
  /** As a comment behind the command says: `# exit code 2`. */
  readonly exitCode: number;
  readonly line: number;
}

export function blocksOf(markdown: string): readonly Block[] {
  const blocks: Block[] = [];
  const headings: string[] = [];
  let open: { language: string; lines: string[]; line: number } | undefined;
  for (const [index, line] of markdown.split('\n').entries()) {
    const fence = /^```(\w*)/.exec(line);
    const heading = /^(#+) (.+)$/.exec(line);
    if (open !== undefined && fence !== null) {
      blocks.push({
        headings: [...headings],
        language: open.language,
        text: open.lines.join('\n'),
        line: open.line,
      });
      open = undefined;
    } else if (open !== undefined) open.lines.push(line);
    else if (fence !== null) open = { language: fence[1] ?? '', lines: [], line: index + 2 };
    else if (heading !== null)
      headings.splice((heading[1] ?? '').length - 1, headings.length, heading[2] ?? '');
  }
  return blocks;
}

/** A reader types line by line, so each line is a command; a backslash at its end goes on. */
export function commandsOf({ text, line }: Block): readonly Command[] {
  const commands: Command[] = [];
  let pending = '';
  for (const [index, each] of text.split('\n').entries()) {
    pending += each;
    if (pending.endsWith('\\')) {
      pending = pending.slice(0, -1);
      continue;
    }
    const [, command = '', comment = ''] = /^(.*?)(?:\s+#\s(.*)|#.*)?$/.exec(pending) ?? [];
    const exitCode = Number(/\bexit code (\d+)/.exec(comment)?.[1] ?? 0);
    if (command.trim() !== '') commands.push({ text: command.trim(), exitCode, line: line + index });
    pending = '';
  }
  return commands;
}

/** How an MCP host would start the servers that a block configures. */
export function serversOf({ language, text }: Block): readonly (readonly string[])[] {
  if (language === 'json') {
    const { mcpServers, servers } = JSON.parse(text) as Record<
      'mcpServers' | 'servers',
      Record<string, { command: string; args: string[] }> | undefined
    >;
    return Object.values(mcpServers ?? servers ?? {}).map(({ command, args }) => [command, ...args]);
  }
  if (language === 'toml') {
    const value = (key: string) => JSON.parse(new RegExp(`^${key} = (.+)$`, 'm').exec(text)?.[1] ?? 'null');
    return [[String(value('command')), ...(value('args') as string[])]];
  }
  const added = /^claude mcp add \S+ -- (.+)$/m.exec(text)?.[1];
  return added === undefined ? [] : [added.split(' ')];
}
