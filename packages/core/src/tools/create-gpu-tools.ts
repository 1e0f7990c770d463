import type { z } from 'zod';
import { GpuReader } from '../gpu-reader.ts';
import { ReadingHistory } from '../health/baseline.ts';
import type { ThresholdOverrides } from '../health/thresholds.ts';
import type { GpuProvider } from '../ports/gpu-provider.ts';
import type { HostDevices } from '../ports/host-devices.ts';
import type { HostProcesses } from '../ports/host-processes.ts';
import type { KernelLog } from '../ports/kernel-log.ts';
import type { RecordedEvidence } from '../ports/recorded-evidence.ts';
import { type Clock, type Logger, silentLogger, systemClock } from '../ports/runtime.ts';
import type { FlightRecorder } from '../recorder/flight-recorder.ts';
import { analyzeXidErrors } from './analyze-xid-errors.ts';
import { compareGpusTool } from './compare-gpus.ts';
import { explainFailureTool } from './explain-failure.ts';
import { getGpuHealth } from './get-gpu-health.ts';
import { getGpuInventory } from './get-gpu-inventory.ts';
import { getGpuProcesses } from './get-gpu-processes.ts';
import { getGpuTelemetry } from './get-gpu-telemetry.ts';
import { getGpuTimeline } from './get-gpu-timeline.ts';
import { getGpuTopology } from './get-gpu-topology.ts';
import { getIncidentReport } from './get-incident-report.ts';
import { makeTool } from './run-tool.ts';
import type { GpuTool, ToolDefinition } from './tool.ts';
import type { Toolkit } from './toolkit.ts';

export interface GpuToolPorts {
  readonly gpuProvider: GpuProvider;
  readonly kernelLog: KernelLog;
  /** PCI bus and device files, for the cross-check with the driver and for answers while the driver hangs. */
  readonly hostDevices?: HostDevices;
  /** Names, users and containers of the processes that hold a GPU. */
  readonly hostProcesses?: HostProcesses;
  /** The flight recorder; without it `get_gpu_timeline` is not among the tools. Every call wakes it. */
  readonly recorder?: FlightRecorder;
  /** What only files tell, when the other ports answer from files. */
  readonly recorded?: RecordedEvidence;
  readonly clock?: Clock;
  readonly logger?: Logger;
}

export interface GpuToolOptions {
  /** Name of the node in every answer. */
  readonly nodeName: string;
  /** After this a tool answers with what it has. Default 10,000; from 1,000 to 600,000. */
  readonly deadlineMilliseconds?: number;
  /** Other thresholds for health rules; see `parseThresholds`. */
  readonly thresholds?: ThresholdOverrides;
  /** How far back the kernel log is weighed when a caller does not say. Default `24h`; null for all that it has. */
  readonly lookback?: string | null;
}

/** The toolkit that tools, resources and prompts share. */
export function createToolkit(ports: GpuToolPorts, options: GpuToolOptions): Toolkit {
  const clock = ports.clock ?? systemClock;
  const logger = ports.logger ?? silentLogger;
  const history = new ReadingHistory();
  for (const reading of ports.recorded?.earlierReadings ?? []) history.remember(reading);
  return {
    nodeName: options.nodeName,
    reader: new GpuReader(ports.gpuProvider, clock, logger),
    kernelLog: ports.kernelLog,
    hostDevices: ports.hostDevices ?? null,
    hostProcesses: ports.hostProcesses ?? null,
    recorder: ports.recorder ?? null,
    recorded: ports.recorded ?? null,
    history,
    thresholds: options.thresholds ?? {},
    lookback: options.lookback === undefined ? '24h' : options.lookback,
    clock,
    logger,
  };
}

/** Every tool, in the order in which a client lists them. Built once; registering them on a server costs microseconds. */
export function createGpuTools(ports: GpuToolPorts, options: GpuToolOptions): readonly GpuTool[] {
  const toolkit = createToolkit(ports, options);
  const { deadlineMilliseconds = 10_000 } = options;
  if (!(deadlineMilliseconds >= 1_000 && deadlineMilliseconds <= 600_000)) {
    throw new RangeError(`deadlineMilliseconds = ${deadlineMilliseconds} is not from 1000 to 600000`);
  }
  const make = <Input extends z.ZodObject>(definition: ToolDefinition<Input>) =>
    makeTool(definition, { clock: toolkit.clock, logger: toolkit.logger, deadlineMilliseconds });
  return [
    make(getGpuHealth(toolkit)),
    make(explainFailureTool(toolkit)),
    make(getGpuInventory(toolkit)),
    make(getGpuTelemetry(toolkit, deadlineMilliseconds)),
    make(analyzeXidErrors(toolkit)),
    make(getGpuTopology(toolkit)),
    make(getGpuProcesses(toolkit)),
    make(compareGpusTool(toolkit, deadlineMilliseconds)),
    ...(toolkit.recorder ? [make(getGpuTimeline(toolkit))] : []),
    make(getIncidentReport(toolkit)),
  ].map((tool) => waking(tool, toolkit.recorder));
}

/** A call is a sign that somebody looks at this node: it keeps the recorder awake. */
function waking(tool: GpuTool, recorder: FlightRecorder | null): GpuTool {
  if (!recorder) return tool;
  return {
    ...tool,
    call(input, context) {
      recorder.touch();
      return tool.call(input, context);
    },
  };
}
