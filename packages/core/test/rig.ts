import type { KernelLogRecord } from '../src/domain/event.ts';
import type { NodeDescription } from '../src/domain/gpu.ts';
import type { GpuError } from '../src/errors.ts';
import { GpuReader } from '../src/gpu-reader.ts';
import type { GpuProvider } from '../src/ports/gpu-provider.ts';
import type { HostDevices, HostDevicesReading, PciGpu } from '../src/ports/host-devices.ts';
import type { KernelLog } from '../src/ports/kernel-log.ts';
import type { Logger } from '../src/ports/runtime.ts';
import { FlightRecorder } from '../src/recorder/flight-recorder.ts';
import { recorderOptions } from '../src/recorder/options.ts';
import { fixedClock, inMemoryKernelLog, type StubGpu, stubProvider } from '../src/testing.ts';
import { createGpuTools } from '../src/tools/create-gpu-tools.ts';
import type { ToolContext } from '../src/tools/tool.ts';
import { h100Node, h100Ref } from './h100.ts';

export const startedAt = '2026-11-21T12:00:00.000Z';

export interface RigOptions {
  readonly gpus?: readonly StubGpu[];
  readonly describe?: Partial<NodeDescription> | GpuError | 'hang';
  readonly provider?: GpuProvider;
  readonly log?: KernelLog | readonly KernelLogRecord[];
  readonly host?: HostDevices | HostDevicesReading;
  readonly deadlineMilliseconds?: number;
}

type Answer = Readonly<Record<string, unknown>> & {
  readonly summary: string;
  readonly verdict?: string;
  readonly gpus: readonly Readonly<Record<string, unknown>>[];
  readonly incidents: readonly Readonly<Record<string, unknown>>[];
  readonly findings: readonly Readonly<Record<string, unknown>>[];
  readonly gaps: readonly Readonly<Record<string, unknown>>[];
  readonly nextSteps: readonly Readonly<Record<string, unknown>>[];
  readonly coverage: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
};

/** The tools on a node made of plain data, and a clock that the test moves. */
export function rig(options: RigOptions = {}) {
  const clock = fixedClock(startedAt);
  const errors: Readonly<Record<string, unknown>>[] = [];
  const logger: Logger = {
    debug() {},
    info() {},
    warn() {},
    error: (message, fields) => errors.push({ message, ...fields }),
  };
  const provider =
    options.provider ??
    stubProvider({
      gpus: options.gpus ?? h100Node(),
      ...(options.describe === undefined ? {} : { describe: options.describe }),
    });
  const log = options.log ?? [];
  const kernelLog = 'read' in log ? log : inMemoryKernelLog(log);
  const { host, deadlineMilliseconds } = options;
  const hostDevices = host && ('read' in host ? host : { read: async () => host });
  // Never started: tests of it have their own.
  const recorder = new FlightRecorder(
    new GpuReader(provider, clock, logger),
    clock,
    logger,
    recorderOptions(),
  );
  const tools = createGpuTools(
    { gpuProvider: provider, kernelLog, recorder, clock, logger, ...(hostDevices ? { hostDevices } : {}) },
    { nodeName: 'gpu-node-7', ...(deadlineMilliseconds === undefined ? {} : { deadlineMilliseconds }) },
  );
  const call = (name: string, input: unknown = {}, context?: ToolContext) => {
    const tool = tools.find((each) => each.name === name);
    if (!tool) throw new Error(`no tool ${name}`);
    return tool.call(input, context);
  };
  return {
    tools,
    clock,
    errors,
    call,
    /** The structured answer of a call that must not fail. */
    async answer(name: string, input: unknown = {}): Promise<Answer> {
      const result = await call(name, input);
      if (result.isError) throw new Error(result.text);
      return result.structuredContent as Answer;
    },
  };
}

/** The bus of the eight H100s as sysfs shows it, with a graphics chip of the board's own beside them; `changed` by index. */
export function h100Bus(changed: Readonly<Record<number, Partial<PciGpu>>> = {}): PciGpu[] {
  const gpus = Array.from({ length: 8 }, (_, index) => ({
    pciAddress: h100Ref(index).pciAddress ?? '',
    vendorId: '10de',
    deviceId: '2330',
    deviceClass: '3d' as const,
    driver: 'nvidia',
    respondsOnBus: true,
    numaNode: index < 4 ? 0 : 1,
    currentSpeedGigatransfersPerSecond: 32,
    maxSpeedGigatransfersPerSecond: 32,
    currentLinkWidthLanes: 16,
    maxLinkWidthLanes: 16,
    ...changed[index],
  }));
  const [first] = gpus;
  if (!first) throw new RangeError('no GPUs');
  return [
    {
      ...first,
      pciAddress: '0000:03:00.0',
      vendorId: '1a03',
      deviceId: '2000',
      deviceClass: 'vga',
      driver: 'ast',
    },
    ...gpus,
  ];
}
export const deviceNodesOf = (...minorNumbers: readonly number[]) =>
  minorNumbers.map((minorNumber) => ({ path: `/dev/nvidia${minorNumber}`, minorNumber, accessible: true }));
export const h100Host = (changes: Partial<HostDevicesReading> = {}): HostDevicesReading => ({
  pciGpus: h100Bus(),
  deviceNodes: deviceNodesOf(0, 1, 2, 3, 4, 5, 6, 7),
  gaps: [],
  ...changes,
});

/** Lets everything that is ready run. */
export const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

/** A record as a kernel-log adapter hands it on. */
export function record(text: string, changes: Partial<KernelLogRecord> = {}): KernelLogRecord {
  return { text, raw: text, at: '2026-11-21T11:30:00.000Z', uptimeSeconds: null, trusted: true, ...changes };
}

/** As the driver prints it. Source: open-gpu-kernel-modules, the Xid prefix of nvErrorLog. */
export const xidLine = (code: number, pciAddress: string, rest: string) =>
  `NVRM: Xid (PCI:${pciAddress}): ${code}, ${rest}`;
export const fellOffTheBus = (pciAddress: string) =>
  xidLine(79, pciAddress, "pid='<unknown>', name=<unknown>, GPU has fallen off the bus.");
export const applicationFault = (pciAddress: string) =>
  xidLine(
    13,
    pciAddress,
    'pid=4711, name=python3, Graphics SM Warp Exception on (GPC 7, TPC 7, SM 0): Illegal Instruction Parameter',
  );
