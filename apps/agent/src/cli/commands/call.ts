import { exitCodeOf, exitCodeOfError, UsageError } from '@k8s-gpu-mcp/command-line';
import { composeAgent } from '../../composition/compose-agent.ts';
import type { CommandContext } from '../command.ts';

/** `call TOOL ['{"json":1}']`: the structured result on stdout, or what was wrong on stderr. */
export async function call({
  config,
  operands,
  terminal,
  note,
  createLogger,
}: CommandContext): Promise<number> {
  const [name = '', argumentsText = '{}'] = operands;
  const input = parseArguments(argumentsText);
  const agent = await composeAgent(config, await createLogger());
  try {
    const tool = agent.tools.find((each) => each.name === name);
    if (!tool) {
      const known = agent.tools.map((each) => each.name).join(', ');
      throw new UsageError(`there is no tool ${JSON.stringify(name.slice(0, 60))}; tools: ${known}`);
    }
    const result = await tool.call(input);
    if (result.isError) {
      note(result.text);
      return exitCodeOfError(result.code);
    }
    await terminal.write(`${result.text}\n`);
    return exitCodeOf(result.structuredContent);
  } finally {
    await agent.close();
  }
}

function parseArguments(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    const why = error instanceof Error ? error.message.replaceAll(/\s+/g, ' ') : String(error);
    throw new UsageError(`the arguments are not JSON (${why}); write them like '{"gpu":0}'`);
  }
}
