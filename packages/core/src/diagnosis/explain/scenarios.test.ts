import { describe, expect, test } from 'vitest';
import {
  applicationError,
  holding,
  hostProcess,
  kindIncident,
  nodeEvidence,
  observedAt,
  xidIncident,
} from '../../../test/diagnostic-evidence.ts';
import { h100Reading } from '../../../test/h100.ts';
import type { Cause, Diagnosis, NotYourCode } from '../../domain/diagnosis.ts';
import type { Action, Finding, Verdict } from '../../domain/verdict.ts';
import { GpuError } from '../../errors.ts';
import type { DiagnosticEvidence } from '../evidence.ts';
import { explainFailure } from './explain.ts';

const newest = { kind: 'newest' } as const;

interface Scenario {
  readonly title: string;
  readonly evidence: DiagnosticEvidence;
  readonly verdict: Verdict;
  readonly cause: Cause;
  readonly notYourCode: NotYourCode;
  readonly action: Action;
  readonly gpu?: number;
  /** Why this is right, by a public source. */
  readonly source: string;
  readonly neverCause?: readonly Cause[];
  readonly neverAction?: readonly Action[];
}

const finding = (changes: Partial<Finding> & Pick<Finding, 'ruleId'>): Finding => ({
  verdict: 'warning',
  what: 'Something was found.',
  evidence: [],
  action: 'monitor',
  source: 'a test',
  confidence: 'medium',
  ...changes,
});

const lost = {
  ...h100Reading({}, [], 2),
  state: 'lost',
  stateDetail: 'NVML_ERROR_GPU_IS_LOST (15)',
  observedAt,
} as const;
const unreadable = (index: number) =>
  ({ gpu: h100Reading({}, [], index).gpu, gaps: [], state: 'unreadable', observedAt }) as const;
const fabricDown = { fabric: { state: 'not-started', status: null } } as const;
const all = <T>(value: T) => Object.fromEntries(Array.from({ length: 8 }, (_, index) => [index, value]));
const workflow = (id: string, action: Action) => ({
  id,
  steps: [],
  outcome: 'It ended there.',
  action,
  source: 'NVIDIA Xid catalogue',
});
const nvmlUnreadable = { source: null, readable: false, from: null, to: null } as const;
const disruptive: readonly Action[] = [
  'reset-gpu',
  'drain-node',
  'reboot-node',
  'power-cycle',
  'run-field-diagnostic',
  'contact-support',
];

const catalogue = 'NVIDIA Xid catalogue';

const scenarios: readonly Scenario[] = [
  {
    title: 'an idle node',
    evidence: nodeEvidence(),
    verdict: 'ok',
    cause: 'none',
    notYourCode: 'undecided',
    action: 'none',
    source: 'nothing is wrong with it',
  },
  {
    title: 'a node under full load: 95 % of the memory, power cap',
    evidence: nodeEvidence({
      gpus: all({
        ...holding(4711, 81_000_000_000),
        clocks: { eventReasons: ['software-power-cap'], smClockMegahertz: 1755 },
        utilization: { gpuPercent: 100, memoryPercent: 70 },
        power: { drawWatts: 699 },
      }),
      processes: [hostProcess({})],
    }),
    verdict: 'ok',
    cause: 'none',
    notYourCode: 'undecided',
    action: 'none',
    source: 'NVML clocks event reasons: the software power cap under load is normal',
    neverCause: ['application-gpu-memory', 'power'],
  },
  {
    title: 'Xid 31 once, the GPU well',
    evidence: nodeEvidence({ incidents: [xidIncident(31, 2)] }),
    verdict: 'warning',
    cause: 'application-fault',
    notYourCode: false,
    action: 'restart-app',
    gpu: 2,
    source: `${catalogue}, WORKFLOW_XID_31: a single fault is the application's`,
    neverAction: disruptive,
  },
  {
    title: 'Xid 31 in three runs on one GPU',
    evidence: nodeEvidence({
      incidents: [
        xidIncident(31, 2, {
          occurrenceCount: 3,
          verdict: 'warning',
          action: 'run-field-diagnostic',
          workflow: workflow('WORKFLOW_XID_31', 'run-field-diagnostic'),
        }),
      ],
    }),
    verdict: 'warning',
    cause: 'gpu-hardware',
    notYourCode: true,
    action: 'run-field-diagnostic',
    gpu: 2,
    source: `${catalogue}, WORKFLOW_XID_31: repeats on one GPU over several runs -> EUD, field diagnostics`,
  },
  {
    title: 'Xid 31 in three runs on one GPU, no workflow walked',
    evidence: nodeEvidence({ incidents: [xidIncident(31, 2, { occurrenceCount: 3 })] }),
    verdict: 'warning',
    cause: 'gpu-hardware',
    notYourCode: true,
    action: 'restart-app',
    gpu: 2,
    source: `${catalogue}, WORKFLOW_XID_31; no disruptive action on one number alone`,
    neverAction: disruptive,
  },
  {
    title: 'Xid 31 twice on each of four GPUs',
    evidence: nodeEvidence({
      incidents: [0, 1, 2, 3].map((gpu) => xidIncident(31, gpu, { occurrenceCount: 2 })),
    }),
    verdict: 'warning',
    cause: 'application-fault',
    notYourCode: false,
    action: 'restart-app',
    source: `${catalogue}, WORKFLOW_XID_31: on different GPUs -> the application`,
    neverCause: ['gpu-hardware'],
  },
  {
    title: 'Xid 13 on one TPC once',
    evidence: nodeEvidence({ incidents: [xidIncident(13, 1, { decoded: { gpc: 7, tpc: 7 } })] }),
    verdict: 'warning',
    cause: 'application-fault',
    notYourCode: false,
    action: 'restart-app',
    gpu: 1,
    source: `${catalogue}, WORKFLOW_XID_13: solo -> the application`,
    neverAction: disruptive,
  },
  {
    title: 'Xid 43 alone',
    evidence: nodeEvidence({ incidents: [xidIncident(43, 1)] }),
    verdict: 'ok',
    cause: 'application-fault',
    notYourCode: false,
    action: 'none',
    gpu: 1,
    source: `${catalogue}, Xid 43: IGNORE, the consequence of a crash of the application`,
    neverAction: disruptive,
  },
  {
    title: 'a flood of 11,760 Xid 45',
    evidence: nodeEvidence({
      incidents: [
        xidIncident(45, 4, { count: 11_760, action: 'none', workflow: workflow('WORKFLOW_XID_45', 'none') }),
      ],
    }),
    verdict: 'ok',
    cause: 'none',
    notYourCode: 'undecided',
    action: 'none',
    source: 'NVIDIA/NVSentinel#1710: 45 is noise, one line for each channel',
    neverCause: ['gpu-hardware', 'gpu-service', 'gpu-memory', 'gpu-bus', 'nvlink'],
    neverAction: disruptive,
  },
  {
    title: 'Xid 68 once',
    evidence: nodeEvidence({ incidents: [xidIncident(68, 0)] }),
    verdict: 'warning',
    cause: 'application-fault',
    notYourCode: false,
    action: 'restart-app',
    gpu: 0,
    source: 'NVIDIA/k8s-device-plugin#945: a video decoder exception is the application first',
    neverAction: disruptive,
  },
  {
    title: 'Xid 137 from an application',
    evidence: nodeEvidence({
      incidents: [
        xidIncident(137, 0, { action: 'check-app', workflow: workflow('XID_137_FLOW', 'check-app') }),
      ],
    }),
    verdict: 'warning',
    cause: 'application-fault',
    notYourCode: false,
    action: 'check-app',
    gpu: 0,
    source: `${catalogue}, XID_137_FLOW: a peer-to-peer access bug of the application`,
    neverCause: ['nvlink'],
  },
  {
    title: 'Xid 48 alone',
    evidence: nodeEvidence({ incidents: [xidIncident(48, 6)] }),
    verdict: 'critical',
    cause: 'gpu-memory',
    notYourCode: true,
    action: 'reset-gpu',
    gpu: 6,
    source: `${catalogue}, WORKFLOW_XID_48: solo -> reset`,
    neverCause: ['application-fault'],
  },
  {
    title: 'Xid 48 with 63 and a contained 94, a remap pending',
    evidence: nodeEvidence({
      gpus: { 6: { ecc: { uncorrectableVolatileCount: 1 }, rowRemap: { pending: true } } },
      incidents: [
        xidIncident(48, 6),
        xidIncident(63, 6),
        xidIncident(94, 6, { standing: 'sympathetic', verdict: 'ok', action: 'none', severity: 'info' }),
      ],
    }),
    verdict: 'critical',
    cause: 'gpu-memory',
    notYourCode: true,
    action: 'reset-gpu',
    gpu: 6,
    source: `${catalogue}, WORKFLOW_XID_48: with 63/64 -> drain and reset`,
  },
  {
    title: 'Xid 94 alone',
    evidence: nodeEvidence({ incidents: [xidIncident(94, 0)] }),
    verdict: 'warning',
    cause: 'gpu-memory',
    notYourCode: true,
    action: 'restart-app',
    gpu: 0,
    source: `${catalogue}, Xid 94: RESTART_APP; NVIDIA/k8s-device-plugin#1974`,
    neverAction: disruptive,
  },
  {
    title: 'Xid 95',
    evidence: nodeEvidence({ incidents: [xidIncident(95, 0)] }),
    verdict: 'critical',
    cause: 'gpu-memory',
    notYourCode: true,
    action: 'reset-gpu',
    gpu: 0,
    source: `${catalogue}, Xid 95: RESET_GPU`,
  },
  {
    title: 'Xid 63 alone',
    evidence: nodeEvidence({ incidents: [xidIncident(63, 0)] }),
    verdict: 'ok',
    cause: 'gpu-memory',
    notYourCode: true,
    action: 'none',
    gpu: 0,
    source: `${catalogue}, Xid 63: IGNORE; not an outage`,
    neverAction: disruptive,
  },
  {
    title: 'row remapping failed, by the flag of the driver',
    evidence: nodeEvidence({ gpus: { 5: { rowRemap: { failureOccurred: true } } } }),
    verdict: 'critical',
    cause: 'gpu-memory',
    notYourCode: true,
    action: 'run-field-diagnostic',
    gpu: 5,
    source: 'NVIDIA GPU memory error management: remap failure -> field diagnostic, replacement',
  },
  {
    title: 'a row remap pending and nothing else',
    evidence: nodeEvidence({ gpus: { 5: { rowRemap: { pending: true } } } }),
    verdict: 'warning',
    cause: 'gpu-memory',
    notYourCode: true,
    action: 'monitor',
    gpu: 5,
    source: 'NVIDIA GPU memory error management: work may go on until the next reset',
    neverAction: disruptive,
  },
  {
    title: 'Xid 79, the GPU lost',
    evidence: nodeEvidence({ gpus: { 2: lost }, incidents: [xidIncident(79, 2)] }),
    verdict: 'critical',
    cause: 'gpu-bus',
    notYourCode: true,
    action: 'reboot-node',
    gpu: 2,
    source: `${catalogue}, Xid 79: RESTART_BM`,
    neverCause: ['application-fault'],
  },
  {
    title: 'lines that tell a bus loss without a number',
    evidence: nodeEvidence({
      count: 7,
      incidents: [
        kindIncident('bus-loss', null, {
          pciAddress: '0000:db:00',
          severity: 'fatal',
          verdict: 'critical',
          action: 'reboot-node',
        }),
      ],
    }),
    verdict: 'critical',
    cause: 'gpu-bus',
    notYourCode: true,
    action: 'reboot-node',
    source: `the condition of Xid 79 (${catalogue}); open-gpu-kernel-modules message texts`,
  },
  {
    title: 'Xid 79 after which the driver asks for less (Xid 154)',
    evidence: nodeEvidence({
      incidents: [
        xidIncident(79, 2),
        xidIncident(154, 2, { severity: 'fatal', verdict: 'critical', action: 'reset-gpu' }),
      ],
    }),
    verdict: 'critical',
    cause: 'gpu-bus',
    notYourCode: true,
    action: 'reset-gpu',
    gpu: 2,
    source: `${catalogue}, Xid 154: take the action printed`,
  },
  {
    title: 'Xid 48, and NVML asks for a reboot',
    evidence: nodeEvidence({
      gpus: { 2: { recovery: { action: 'reboot' } } },
      incidents: [xidIncident(48, 2)],
    }),
    verdict: 'critical',
    cause: 'gpu-memory',
    notYourCode: true,
    action: 'reboot-node',
    gpu: 2,
    source: 'NVML recovery action outranks the catalogue; NVIDIA/DCGM#263',
  },
  {
    title: 'nothing but the wish of the driver for a reset',
    evidence: nodeEvidence({ gpus: { 2: { recovery: { action: 'drain-and-reset' } } } }),
    verdict: 'critical',
    cause: 'gpu-hardware',
    notYourCode: true,
    action: 'reset-gpu',
    gpu: 2,
    source: 'NVML recovery action 4; NVIDIA/DCGM#263',
  },
  {
    title: 'Xid 154 that says that nothing is asked for any more',
    evidence: nodeEvidence({ incidents: [xidIncident(154, 2, { action: 'none' })] }),
    verdict: 'ok',
    cause: 'none',
    notYourCode: 'undecided',
    action: 'none',
    source: `${catalogue}, Xid 154: 0x0 (None)`,
  },
  {
    title: 'a storm of Xid 119',
    evidence: nodeEvidence({ incidents: [xidIncident(119, 3, { count: 240 })] }),
    verdict: 'critical',
    cause: 'gpu-firmware',
    notYourCode: true,
    action: 'reset-gpu',
    gpu: 3,
    source: `${catalogue}, Xid 119: RESET_GPU`,
  },
  {
    title: 'Xid 109',
    evidence: nodeEvidence({ incidents: [xidIncident(109, 3)] }),
    verdict: 'critical',
    cause: 'application-fault',
    notYourCode: 'undecided',
    action: 'reset-gpu',
    gpu: 3,
    source: `${catalogue}, Xid 109: RESET_GPU; a stuck program can be behind it, so neither is concluded`,
  },
  {
    title: 'Xid 109 with the Xid 154 that always goes with it',
    evidence: nodeEvidence({
      incidents: [
        xidIncident(109, 3),
        xidIncident(154, 3, { severity: 'fatal', verdict: 'critical', action: 'reset-gpu' }),
      ],
    }),
    verdict: 'critical',
    cause: 'application-fault',
    notYourCode: 'undecided',
    action: 'reset-gpu',
    gpu: 3,
    source: `${catalogue}: 154 goes with 109 since R570, so it is no second witness against the GPU`,
  },
  {
    title: 'Xid 74 with links down',
    evidence: nodeEvidence({
      gpus: {
        1: {
          nvlink: {
            links: h100Reading().nvlink?.links?.map((link) => ({ ...link, active: link.link !== 5 })) ?? null,
          },
        },
      },
      incidents: [xidIncident(74, 1, { links: [5] })],
    }),
    verdict: 'critical',
    cause: 'nvlink',
    notYourCode: true,
    action: 'reset-gpu',
    gpu: 1,
    source: `${catalogue}, WORKFLOW_NVLINK_ERR`,
  },
  {
    title: 'Xid 74 with the bits of a loose connection',
    evidence: nodeEvidence({ incidents: [xidIncident(74, 1, { action: 'check-mechanicals' })] }),
    verdict: 'critical',
    cause: 'nvlink',
    notYourCode: true,
    action: 'check-mechanicals',
    gpu: 1,
    source: `${catalogue}, WORKFLOW_NVLINK_ERR: bits 8, 9, 12, 16, 17, 24, 28 of the first word -> reseat`,
  },
  {
    title: 'a fatal NVSwitch error that the GPUs repeat as Xid 74',
    evidence: nodeEvidence({
      incidents: [
        kindIncident('sxid', null, {
          sxid: 20034,
          pciAddress: '0000:07:00',
          severity: 'fatal',
          verdict: 'critical',
          action: 'reset-gpu',
        }),
        ...[0, 1].map((gpu) =>
          xidIncident(74, gpu, { standing: 'sympathetic', severity: 'info', verdict: 'ok', action: 'none' }),
        ),
      ],
    }),
    verdict: 'critical',
    cause: 'nvswitch',
    notYourCode: true,
    action: 'reset-gpu',
    source: 'NVIDIA Fabric Manager user guide DU-09883: a fatal SXid is propagated as Xid 74, reported once',
    neverCause: ['nvlink'],
  },
  {
    title: 'Fabric Manager does not run',
    evidence: nodeEvidence({ gpus: all(fabricDown) }),
    verdict: 'critical',
    cause: 'gpu-service',
    notYourCode: true,
    action: 'restart-service',
    source: 'NVSentinel PR#1382; leptonai/gpud PR#1147: restart Fabric Manager',
    neverAction: disruptive,
  },
  {
    title: 'a link at x8 and PCI Express errors of the same GPU',
    evidence: nodeEvidence({
      gpus: { 3: { pcie: { currentLinkWidthLanes: 8 } } },
      incidents: [
        kindIncident('pcie-error', 3, {
          severity: 'warning',
          verdict: 'warning',
          action: 'monitor',
          applicationCommon: false,
        }),
      ],
    }),
    verdict: 'warning',
    cause: 'pcie-link',
    notYourCode: true,
    action: 'check-mechanicals',
    gpu: 3,
    source: 'NVIDIA/NVSentinel#890; two independent findings justify looking at the seating',
  },
  {
    title: 'a link at generation 1 while idle',
    evidence: nodeEvidence({
      gpus: all({ pcie: { currentGeneration: 1, currentSpeedMegatransfersPerSecond: 2_500 } }),
    }),
    verdict: 'ok',
    cause: 'none',
    notYourCode: 'undecided',
    action: 'none',
    source: 'an idle link runs slow to save power (canonical/hardware-observer-operator PR#331)',
    neverCause: ['pcie-link'],
  },
  {
    title: 'margin used up and thermal slowdown',
    evidence: nodeEvidence({
      gpus: {
        7: {
          thermal: { marginCelsius: -3 },
          clocks: { eventReasons: ['hardware-slowdown', 'hardware-thermal-slowdown'] },
        },
      },
    }),
    verdict: 'critical',
    cause: 'thermal',
    notYourCode: true,
    action: 'check-mechanicals',
    gpu: 7,
    source: 'NVSentinel ADR-042 (margin below the slowdown offset); NVML clocks event reasons',
  },
  {
    title: 'the power brake',
    evidence: nodeEvidence({
      gpus: { 7: { clocks: { eventReasons: ['hardware-slowdown', 'hardware-power-brake'] } } },
    }),
    verdict: 'critical',
    cause: 'power',
    notYourCode: true,
    action: 'monitor',
    gpu: 7,
    source: 'NVML clocks event reasons, 0x80; one reading justifies no more than watching',
    neverAction: disruptive,
  },
  {
    title: 'the auxiliary power plug (Xid 54)',
    evidence: nodeEvidence({ incidents: [xidIncident(54, 0)] }),
    verdict: 'critical',
    cause: 'power',
    notYourCode: true,
    action: 'check-mechanicals',
    gpu: 0,
    source: `${catalogue}, Xid 54: CHECK_MECHANICALS`,
  },
  {
    title: 'host memory ran out, and the GPU work of the killed process ended',
    evidence: nodeEvidence({
      incidents: [
        kindIncident('oom-kill', null, {
          severity: 'warning',
          verdict: 'ok',
          action: 'check-app',
          applicationCommon: true,
          processes: [{ pid: 4711, name: 'python3' }],
        }),
        xidIncident(45, 0, { lastAt: '2026-01-01T00:00:02.000Z' }),
        xidIncident(43, 0, { lastAt: '2026-01-01T00:00:02.000Z' }),
      ],
    }),
    verdict: 'warning',
    cause: 'host-memory',
    notYourCode: false,
    action: 'check-app',
    source: 'Linux mm/oom_kill.c: main memory, not GPU memory',
    neverCause: ['application-gpu-memory', 'gpu-memory', 'gpu-hardware'],
  },
  {
    title: 'a program out of GPU memory, by its own log',
    evidence: nodeEvidence({
      applicationErrors: [
        applicationError('torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 20.00 GiB'),
      ],
    }),
    verdict: 'warning',
    cause: 'application-gpu-memory',
    notYourCode: false,
    action: 'check-app',
    source: 'PyTorch and CUDA error names',
    neverCause: ['host-memory', 'gpu-memory'],
  },
  {
    title: 'an illegal access, by the log of the program',
    evidence: nodeEvidence({
      applicationErrors: [
        applicationError('torch.AcceleratorError: CUDA error: an illegal memory access was encountered'),
      ],
    }),
    verdict: 'warning',
    cause: 'application-fault',
    notYourCode: false,
    action: 'check-app',
    source: 'CUDA error names: what the driver logs as Xid 31',
    neverCause: ['gpu-hardware', 'gpu-memory'],
  },
  {
    title: 'one Xid 45 of a program that was ended',
    evidence: nodeEvidence({ incidents: [xidIncident(45, 4)] }),
    verdict: 'ok',
    cause: 'application-fault',
    notYourCode: false,
    action: 'monitor',
    gpu: 4,
    source: `${catalogue}, WORKFLOW_XID_45: follows from something else`,
    neverAction: disruptive,
  },
  {
    title: 'a process stuck in the kernel, by the process list and by the log',
    evidence: nodeEvidence({
      gpus: { 0: holding(4711, 40 * 1024 ** 3) },
      processes: [hostProcess({ state: 'D' })],
      incidents: [
        kindIncident('hung-task', null, { severity: 'warning', verdict: 'warning', action: 'monitor' }),
      ],
    }),
    verdict: 'warning',
    cause: 'leftover-process',
    notYourCode: 'undecided',
    action: 'reboot-node',
    gpu: 0,
    source: 'Azure healthagent; leptonai/gpud (D state: reboot); two independent findings',
  },
  {
    title: 'a process stuck in the kernel, by the process list alone',
    evidence: nodeEvidence({
      gpus: { 0: holding(4711, 40 * 1024 ** 3) },
      processes: [hostProcess({ state: 'D' })],
    }),
    verdict: 'warning',
    cause: 'leftover-process',
    notYourCode: 'undecided',
    action: 'monitor',
    gpu: 0,
    source: 'one finding alone justifies nothing disruptive',
    neverAction: disruptive,
  },
  {
    title: 'a GPU off the bus, and the switches that lose its links twelve seconds later',
    evidence: nodeEvidence({
      count: 0,
      incidents: [
        xidIncident(79, null, { pciAddress: '0000:3a:00' }),
        kindIncident('sxid', null, {
          sxid: 20034,
          pciAddress: '0000:07:00',
          severity: 'fatal',
          verdict: 'critical',
          action: 'reset-gpu',
          firstAt: '2026-01-01T00:00:12.000Z',
          lastAt: '2026-01-01T00:00:12.000Z',
        }),
      ],
    }),
    verdict: 'critical',
    cause: 'gpu-bus',
    notYourCode: true,
    action: 'reboot-node',
    source: 'NVIDIA Fabric Manager user guide: a link goes when the device at its end goes',
  },
  {
    title: 'errors that an NVSwitch corrected',
    evidence: nodeEvidence({
      incidents: [
        kindIncident('sxid', null, {
          sxid: 11012,
          pciAddress: '0000:07:00',
          severity: 'info',
          verdict: 'ok',
          action: 'none',
        }),
      ],
    }),
    verdict: 'ok',
    cause: 'none',
    notYourCode: 'undecided',
    action: 'none',
    source: 'NVIDIA Fabric Manager user guide DU-09883: corrected by the hardware',
    neverCause: ['nvswitch', 'nvlink'],
  },
  {
    title: 'library and kernel module differ',
    evidence: nodeEvidence({
      count: 0,
      nodeError: new GpuError('DRIVER_MISMATCH', 'NVML_ERROR_LIB_RM_VERSION_MISMATCH (18)'),
    }),
    verdict: 'critical',
    cause: 'driver',
    notYourCode: true,
    action: 'update-software',
    source: 'NVIDIA/gpu-operator#898, NVIDIA/k8s-device-plugin#1431',
    neverAction: disruptive,
  },
  {
    title: 'the driver cannot be asked, the log has Xid 79',
    evidence: nodeEvidence({
      count: 0,
      nodeError: new GpuError('DRIVER_UNRESPONSIVE', 'no answer'),
      incidents: [xidIncident(79, null, { pciAddress: '0000:3a:00' })],
    }),
    verdict: 'critical',
    cause: 'gpu-bus',
    notYourCode: true,
    action: 'reboot-node',
    source: 'the kernel log answers when the driver hangs; NVIDIA/NVSentinel#1748',
  },
  {
    title: 'a GPU on the bus that the driver does not list, its initialisation failed',
    evidence: nodeEvidence({
      count: 7,
      incidents: [
        kindIncident('init-failure', null, {
          pciAddress: '0000:db:00',
          severity: 'critical',
          verdict: 'critical',
          action: 'monitor',
        }),
      ],
      observations: [
        {
          ruleId: 'gpu.missing-from-driver',
          verdict: 'critical',
          pciDevice: '0000:db:00',
          what: 'The PCI bus has a GPU that the driver does not list.',
          evidence: [{ field: 'pciBus.pciAddress', value: '0000:db:00.0' }],
          action: 'reboot-node',
          actionAlone: 'monitor',
          confirmedBy: ['log.'],
          confidence: 'high',
          source: 'leptonai/gpud; AKS GPUMissing',
        },
      ],
    }),
    verdict: 'critical',
    cause: 'gpu-missing',
    notYourCode: true,
    action: 'reboot-node',
    source: 'leptonai/gpud, AKS GPUMissing: GPU count mismatch is fatal; two independent findings',
  },
  {
    title: 'a zombie holds memory',
    evidence: nodeEvidence({
      gpus: { 0: holding(4711, 40 * 1024 ** 3) },
      processes: [hostProcess({ state: 'Z' })],
    }),
    verdict: 'warning',
    cause: 'leftover-process',
    notYourCode: 'undecided',
    action: 'restart-app',
    gpu: 0,
    source: 'NVIDIA/k8s-device-plugin#12: memory held by what has ended',
    neverAction: disruptive,
  },
  {
    title: 'memory in use by nobody',
    evidence: nodeEvidence({ gpus: { 0: { memory: { usedBytes: 40 * 1024 ** 3 } } } }),
    verdict: 'warning',
    cause: 'leftover-process',
    notYourCode: 'undecided',
    action: 'check-app',
    gpu: 0,
    source: 'NVIDIA/gpu-operator#2880; Meta GCM (leftover memory with no job)',
    neverAction: disruptive,
  },
  {
    title: 'all GPUs spin in a collective but one',
    evidence: nodeEvidence({
      extraFindings: [finding({ ruleId: 'compare.stalled-collective', action: 'check-app' })],
    }),
    verdict: 'warning',
    cause: 'stalled-collective',
    notYourCode: 'undecided',
    action: 'check-app',
    source: 'NVIDIA/nccl#968: full utilization at low power',
    neverAction: disruptive,
  },
  {
    title: 'the host reports an error of its own memory',
    evidence: nodeEvidence({
      incidents: [
        kindIncident('machine-check', null, { severity: 'warning', verdict: 'warning', action: 'monitor' }),
      ],
    }),
    verdict: 'warning',
    cause: 'host-hardware',
    notYourCode: true,
    action: 'monitor',
    source: 'Linux machine-check and APEI messages',
    neverCause: ['gpu-hardware', 'gpu-memory'],
  },
  {
    title: 'power smoothing disengaged and engaged again (163, 162)',
    evidence: nodeEvidence({
      incidents: [
        xidIncident(163, 0, { standing: 'cancelled', severity: 'info', verdict: 'ok', action: 'none' }),
        xidIncident(162, 0),
      ],
    }),
    verdict: 'ok',
    cause: 'none',
    notYourCode: 'undecided',
    action: 'none',
    source: 'NVIDIA/NVSentinel#1252: 162 cancels 163',
    neverCause: ['power', 'thermal'],
  },
  {
    title: 'Xid 79 that a reboot ended',
    evidence: nodeEvidence({ incidents: [xidIncident(79, 2, { standing: 'recovered' })] }),
    verdict: 'ok',
    cause: 'none',
    notYourCode: 'undecided',
    action: 'none',
    source: 'aws/eks-node-monitoring-agent#266: sticky conditions must clear',
  },
  {
    title: 'Xid 79 that a program wrote into the log',
    evidence: nodeEvidence({ incidents: [xidIncident(79, 2, { trusted: false, verdict: 'unknown' })] }),
    verdict: 'ok',
    cause: 'none',
    notYourCode: 'undecided',
    action: 'none',
    source: 'the facility of the kernel log tells who wrote it',
    neverCause: ['gpu-bus'],
    neverAction: disruptive,
  },
  {
    title: 'a program that claims in its own log that the GPU is off the bus',
    evidence: nodeEvidence({
      applicationErrors: [{ ...applicationError('GPU has fallen off the bus'), xid: 79 }],
    }),
    verdict: 'ok',
    cause: 'none',
    notYourCode: 'undecided',
    action: 'none',
    source: "a program's word about hardware is anybody's",
    neverCause: ['gpu-bus'],
  },
  {
    title: 'nothing can be read',
    evidence: nodeEvidence({
      gpus: Object.fromEntries(Array.from({ length: 8 }, (_, index) => [index, unreadable(index)])),
      kernelLog: nvmlUnreadable,
    }),
    verdict: 'unknown',
    cause: 'unknown',
    notYourCode: 'undecided',
    action: 'none',
    source: 'aws/eks-node-monitoring-agent#241: unreadable is not healthy',
  },
  {
    title: 'an application fault on one GPU, and another off the bus',
    evidence: nodeEvidence({
      incidents: [xidIncident(79, 5), xidIncident(31, 2, { lastAt: '2026-01-01T00:04:00.000Z' })],
    }),
    verdict: 'critical',
    cause: 'gpu-bus',
    notYourCode: true,
    action: 'reboot-node',
    gpu: 5,
    source: `${catalogue}: 31 is the application's, 79 is not`,
  },
  {
    title: 'firmware differs from the siblings',
    evidence: nodeEvidence({
      extraFindings: [
        finding({ ruleId: 'drift.vbios-version', action: 'update-software', confidence: 'high' }),
      ],
    }),
    verdict: 'warning',
    cause: 'configuration',
    notYourCode: true,
    action: 'update-software',
    source: 'Meta GCM; Imbue host-health (any mismatch warns)',
    neverAction: disruptive,
  },
  {
    title: 'hardware slowdown caught once, without a reason beside it',
    evidence: nodeEvidence({ gpus: { 1: { clocks: { eventReasons: ['hardware-slowdown'] } } } }),
    verdict: 'warning',
    cause: 'unknown',
    notYourCode: 'undecided',
    action: 'monitor',
    source: 'leptonai/gpud asks for six in ten minutes: one sign of low confidence is no explanation',
    neverAction: disruptive,
  },
];

describe('scenarios', () => {
  test.each(scenarios)('$title', (scenario) => {
    const diagnosis = explainFailure(scenario.evidence, newest);
    const { verdict, cause, notYourCode, action, gpu } = diagnosis;
    expect({ verdict, cause, notYourCode, action, gpu }, JSON.stringify(diagnosis.hypotheses)).toEqual({
      verdict: scenario.verdict,
      cause: scenario.cause,
      notYourCode: scenario.notYourCode,
      action: scenario.action,
      gpu: scenario.gpu,
    });
    const likely = diagnosis.hypotheses.filter(({ likelihoodPercent }) => likelihoodPercent >= 20);
    for (const never of scenario.neverCause ?? [])
      expect(likely.map((each) => each.cause)).not.toContain(never);
    for (const never of scenario.neverAction ?? []) {
      expect([action, ...diagnosis.findings.map((each) => each.action)]).not.toContain(never);
    }
    sound(diagnosis);
  });

  test('there are enough of them, and a wrong expectation turns red', () => {
    expect(scenarios.length).toBeGreaterThanOrEqual(25);
    const planted = explainFailure(nodeEvidence({ incidents: [xidIncident(79, 2)] }), newest);
    expect(planted.cause).not.toBe('application-fault');
    expect(() => sound({ ...planted, action: 'none' })).toThrow();
    expect(() => sound({ ...planted, hypotheses: planted.hypotheses.slice(1) })).toThrow();
  });
});

/** What holds of every diagnosis. */
function sound({ hypotheses, action, findings, cause, confidence }: Diagnosis): void {
  expect(hypotheses.reduce((sum, { likelihoodPercent }) => sum + likelihoodPercent, 0)).toBe(100);
  expect(hypotheses[0]).toMatchObject({ cause, action });
  if (findings.length > 0) expect(findings[0]?.action).toBe(action);
  if (cause === 'unknown') expect(confidence).toBe('low');
}
