// What a file of deployment/ tells the agent, checked against the agent's own table of options.
import { environmentNameOf } from '@k8s-gpu-mcp/command-line';
import { type CommandName, optionTable } from '../../apps/agent/src/options.ts';

/** Flags and K8S_GPU_MCP_* variables that this command of the agent does not take. */
export function unknownOptions(command: CommandName, mentioned: readonly string[]): readonly string[] {
  const taken = Object.values(optionTable).filter((spec) =>
    (spec.commands as readonly CommandName[]).includes(command),
  );
  const known = new Set(taken.flatMap((spec) => [`--${spec.flag}`, environmentNameOf(spec)]));
  return [...new Set(mentioned)].filter((name) => !known.has(name));
}

/** The flags (without values) among arguments, and the agent's variables in any text. */
export const flagsIn = (args: readonly string[]): readonly string[] =>
  args.filter((arg) => arg.startsWith('--')).map((arg) => arg.replace(/=.*/s, ''));
export const variablesIn = (text: string): readonly string[] => text.match(/\bK8S_GPU_MCP_[A-Z_]+/g) ?? [];
