import { exitCodeOf, exitCodeOfError, type Terminal } from '@k8s-gpu-mcp/command-line';
import type { StructuredContent } from '@k8s-gpu-mcp/core';
import { composeAgent } from '../../composition/compose-agent.ts';
import type { CommandAction, CommandContext } from '../command.ts';
import { renderDiagnosis } from '../render/diagnosis.ts';
import { renderHealth } from '../render/health.ts';
import { renderIncidents } from '../render/incidents.ts';
import { renderInventory } from '../render/inventory.ts';
import { renderProcesses } from '../render/processes.ts';
import { renderTopology } from '../render/topology.ts';

type Render = (answer: StructuredContent, terminal: Terminal) => string;

export const inventory: CommandAction = (context) => ask('get_gpu_inventory', renderInventory, context);
export const health: CommandAction = (context) => ask('get_gpu_health', renderHealth, context);
export const topology: CommandAction = (context) => ask('get_gpu_topology', renderTopology, context);
export const processes: CommandAction = (context) => ask('get_gpu_processes', renderProcesses, context);
export const diagnose: CommandAction = (context) => ask('explain_failure', renderDiagnosis, context);
export const xid: CommandAction = (context) => ask('analyze_xid_errors', renderIncidents, context);

/** One tool, asked as an assistant would, printed for a person. */
async function ask(toolName: string, render: Render, context: CommandContext): Promise<number> {
  const { config, terminal, note } = context;
  const agent = await composeAgent(config, await context.createLogger());
  try {
    const { gpu, pid, at, since } = config;
    const tool = agent.tools.find(({ name }) => name === toolName);
    if (!tool) throw new Error(`${toolName} is not among the tools`);
    const result = await tool.call({
      ...(gpu === undefined ? {} : { gpu }),
      ...(pid === undefined ? {} : { pid }),
      ...(at === undefined ? {} : { at }),
      ...(since === undefined ? {} : { since }),
    });
    if (result.isError) {
      note(result.text);
      return exitCodeOfError(result.code);
    }
    const { structuredContent: answer, text } = result;
    await terminal.write(config.json ? `${text}\n` : render(answer, terminal));
    return exitCodeOf(answer);
  } finally {
    await agent.close();
  }
}
