import type { GpuRef } from '../src/domain/gpu.ts';
import type { NvLink } from '../src/domain/readings/nvlink.ts';
import type { GpuProcess } from '../src/domain/readings/process.ts';
import { GpuError } from '../src/errors.ts';
import type { AuditRecord } from '../src/ports/audit-log.ts';
import type { ResetOutcome, ResetReadiness } from '../src/ports/gpu-control.ts';
import type { HostProcess } from '../src/ports/host-processes.ts';
import type { ProcessIdentity, Termination } from '../src/ports/process-control.ts';
import { fixedClock, inMemoryKernelLog, type StubGpu, stubProvider } from '../src/testing.ts';
import {
  type OperatorOptions,
  type OperatorPorts,
  operatorToolsWith,
} from '../src/tools/operator/create-operator-tools.ts';
import { PlanStore } from '../src/tools/operator/plan-store.ts';
import type { ToolContext } from '../src/tools/tool.ts';
import { type Changes, h100Link, h100Ref, h100Sample } from './h100.ts';
import { startedAt } from './rig.ts';

export const trainer: HostProcess = {
  pid: 4711,
  startTicks: 880_011,
  startedAt: '2026-11-21T09:00:00.000Z',
  state: 'S',
  userId: 1000,
  userName: 'alice',
  name: 'python3',
  command: 'python3 train.py --epochs 10',
  parentPid: 4000,
  container: { id: 'ab'.repeat(32), runtime: 'containerd' },
  podUid: '11111111-2222-3333-4444-555555555555',
  slurmJobId: null,
};

export const gpuProcess = (pid: number, changes: Partial<GpuProcess> = {}): GpuProcess => ({
  pid,
  kinds: ['compute'],
  memoryUsedBytes: 40 * 2 ** 30,
  gpuInstanceId: null,
  computeInstanceId: null,
  smPercent: null,
  memoryPercent: null,
  encoderPercent: null,
  decoderPercent: null,
  ...changes,
});

/** A direct NVLink to the GPU of this index. */
export const linkTo = (index: number): NvLink =>
  h100Link(0, { remoteDeviceType: 'gpu', remotePciAddress: h100Ref(index).pciAddress });

/** What the machine is made of; a test changes it between calls. */
export interface Machine {
  gpus: (Changes | GpuError)[];
  /** Pids in the driver's list of each GPU. */
  clients: Record<number, GpuProcess[] | null>;
  hosts: HostProcess[];
  seesAllProcesses: boolean | null;
  refusal: { result: 'gone' | 'not-permitted' | 'protected'; detail: string } | undefined;
  readiness: ResetReadiness;
  terminate: (process: ProcessIdentity) => Promise<Termination>;
  reset: (gpus: readonly GpuRef[]) => Promise<ResetOutcome>;
  auditFails: (record: AuditRecord) => boolean;
}

export const ready: ResetReadiness = {
  requirements: [
    { name: 'nvidia-smi', met: true, detail: '/usr/bin/nvidia-smi' },
    { name: 'CAP_SYS_ADMIN', met: true, detail: 'this process has it' },
  ],
  holders: [],
};

export interface OperatorRigOptions extends Partial<OperatorOptions> {
  readonly plans?: (clock: OperatorPorts['clock'] & object, newId: () => string) => PlanStore;
}

interface Structured {
  readonly outcome: string;
  readonly canAct: boolean;
  readonly summary: string;
  readonly planId?: string;
  readonly reasons: readonly string[];
  readonly warnings: readonly string[];
  readonly plan: Readonly<Record<string, unknown>>;
  readonly verification?: readonly { check: string; passed: boolean | null }[];
  readonly nextSteps: readonly unknown[];
}

/** The operator tools on a machine of plain data: an H100 node whose GPU 2 is held by one trainer. */
export function operatorRig({ plans, ...options }: OperatorRigOptions = {}) {
  const clock = fixedClock(startedAt);
  const done: string[] = [];
  const audit: AuditRecord[] = [];
  const machine: Machine = {
    gpus: Array.from({ length: 8 }, () => ({})),
    clients: { 2: [gpuProcess(4711)] },
    hosts: [trainer],
    seesAllProcesses: true,
    refusal: undefined,
    readiness: ready,
    terminate: async ({ pid }) => {
      end(pid);
      return { result: 'ended-by-sigterm', detail: 'it ended' };
    },
    reset: async () => ({ succeeded: true, exitCode: 0, output: 'All done.' }),
    auditFails: () => false,
  };
  const end = (pid: number) => {
    machine.hosts = machine.hosts.filter((host) => host.pid !== pid);
    for (const [gpu, list] of Object.entries(machine.clients))
      machine.clients[Number(gpu)] = list?.filter((each) => each.pid !== pid) ?? null;
  };
  const sampleOf = (index: number, changes: Changes | GpuError) => {
    if (changes instanceof GpuError) return changes;
    const running = machine.clients[index] === undefined ? [] : (machine.clients[index] ?? null);
    return h100Sample(index, { ...changes, processes: { running, accountingEnabled: false, accounted: [] } });
  };
  const ports: OperatorPorts = {
    clock,
    kernelLog: inMemoryKernelLog([]),
    gpuProvider: live(() =>
      machine.gpus.map((changes, index) => ({ ref: h100Ref(index), sample: sampleOf(index, changes) })),
    ),
    hostProcesses: {
      describe: async (pids) => ({
        processes: machine.hosts.filter(({ pid }) => pids.includes(pid)),
        seesAllProcesses: machine.seesAllProcesses,
        gaps: [],
      }),
    },
    processControl: {
      refusal: async () => machine.refusal,
      terminate: async (process, graceMilliseconds) => {
        done.push(`kill ${process.pid} ${process.startTicks} ${graceMilliseconds}`);
        return machine.terminate(process);
      },
    },
    gpuControl: {
      checkReset: async () => machine.readiness,
      reset: async (gpus) => {
        done.push(`reset ${gpus.map(({ index }) => index).join(' ')}`);
        return machine.reset(gpus);
      },
    },
    auditLog: {
      record: async (entry) => {
        if (machine.auditFails(entry)) throw new Error('disk full');
        audit.push(entry);
      },
    },
  };
  let ids = 0;
  const newPlanId = options.newPlanId ?? (() => `plan-${++ids}`);
  const store = plans ? plans(clock, newPlanId) : new PlanStore(clock, newPlanId);
  const tools = operatorToolsWith(store, ports, { nodeName: 'gpu-node-7', ...options, newPlanId });
  const call = (name: string, input: unknown, context?: ToolContext) => {
    const tool = tools.find((each) => each.name === name);
    if (!tool) throw new Error(`no tool ${name}`);
    return tool.call(input, context);
  };
  const answer = async (name: string, input: unknown, context?: ToolContext): Promise<Structured> => {
    const result = await call(name, input, context);
    if (result.isError) throw new Error(result.text);
    return result.structuredContent as unknown as Structured;
  };
  return {
    clock,
    machine,
    ports,
    tools,
    /** What reached the control ports, in order. */
    done,
    audit,
    end,
    call,
    answer,
    /** The id of a fresh plan. */
    async plan(name: string, input: unknown, context?: ToolContext): Promise<string> {
      const { planId, reasons } = await answer(name, input, context);
      if (planId === undefined) throw new Error(`no plan: ${reasons.join(' ')}`);
      return planId;
    },
    /** Phase and outcome of every record. */
    trail: () => audit.map(({ phase, outcome }) => `${phase} ${outcome}`),
  };
}

/** A provider whose GPUs are looked up anew at every call. */
function live(gpus: () => readonly StubGpu[]): OperatorPorts['gpuProvider'] {
  const now = () => stubProvider({ gpus: gpus() });
  return {
    manifest: now().manifest,
    describeNode: (signal) => now().describeNode(signal),
    readGpu: (gpu, sections, signal) => now().readGpu(gpu, sections, signal),
    close: async () => {},
  };
}

export const yes: ToolContext = { confirm: async () => 'accepted' };
