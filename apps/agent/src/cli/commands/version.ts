import { agentVersion, programName } from '../../version.ts';
import type { CommandContext } from '../command.ts';

export async function version({ config, terminal }: CommandContext): Promise<number> {
  const facts = {
    name: programName,
    version: agentVersion(),
    node: process.versions.node,
    platform: `${process.platform}-${process.arch}`,
  };
  await terminal.write(
    config.json
      ? `${JSON.stringify(facts)}\n`
      : `${facts.name} ${facts.version} (Node.js ${facts.node}, ${facts.platform})\n`,
  );
  return 0;
}
