import type { z } from 'zod';
import type { AuditLog } from '../../ports/audit-log.ts';
import type { GpuControl } from '../../ports/gpu-control.ts';
import type { HostProcesses } from '../../ports/host-processes.ts';
import type { ProcessControl } from '../../ports/process-control.ts';
import { createToolkit, type GpuToolOptions, type GpuToolPorts } from '../create-gpu-tools.ts';
import { makeTool } from '../run-tool.ts';
import type { GpuTool, ToolDefinition } from '../tool.ts';
import { killGpuProcess } from './kill-gpu-process.ts';
import type { OperatorDesk } from './operation.ts';
import { PlanStore } from './plan-store.ts';
import { resetGpu } from './reset-gpu.ts';

/** The ports of operator mode. What only reads is never given the first three. */
export interface OperatorPorts extends GpuToolPorts {
  readonly gpuControl: GpuControl;
  readonly processControl: ProcessControl;
  readonly auditLog: AuditLog;
  readonly hostProcesses: HostProcesses;
}

/** What operator mode may do: end processes, reset GPUs, or both. */
export type OperatorActions = 'all' | 'kill' | 'reset';

export interface OperatorOptions extends GpuToolOptions {
  /** A tool of what is left out does not exist. Default all. */
  readonly actions?: OperatorActions;
  /** Act on the plan id alone where the client cannot ask a person. Default false: refuse. */
  readonly confirmWithoutElicitation?: boolean;
  /** Must not be guessable. Default: random UUIDs. */
  readonly newPlanId?: () => string;
}

/**
 * The tools that change something. Make them once per process: they share their plans. They exist in operator mode only, and a server
 * registers them only for callers that may use them.
 */
export function createOperatorTools(ports: OperatorPorts, options: OperatorOptions): readonly GpuTool[] {
  const toolkit = createToolkit(ports, options);
  const newId = options.newPlanId ?? (() => crypto.randomUUID());
  return operatorToolsWith(new PlanStore(toolkit.clock, newId), ports, options);
}

/** With a plan store of the caller's making, for tests. */
export function operatorToolsWith(
  plans: PlanStore,
  ports: OperatorPorts,
  options: OperatorOptions,
): readonly GpuTool[] {
  const toolkit = createToolkit(ports, options);
  const { deadlineMilliseconds = 10_000, confirmWithoutElicitation = false, actions = 'all' } = options;
  const { clock, logger } = toolkit;
  const { auditLog, gpuControl, processControl } = ports;
  const desk: OperatorDesk = {
    toolkit,
    auditLog,
    plans,
    confirmWithoutElicitation,
    readDeadlineMilliseconds: deadlineMilliseconds,
    acting: undefined,
  };
  const make = <Input extends z.ZodObject>(definition: ToolDefinition<Input>) =>
    makeTool(definition, { clock, logger, deadlineMilliseconds });
  return [
    ...(actions === 'reset' ? [] : [make(killGpuProcess(desk, processControl))]),
    ...(actions === 'kill' ? [] : [make(resetGpu(desk, gpuControl))]),
  ];
}
