import {
  burst,
  gpuIdentityLines,
  gspTimeoutLine,
  hungTaskLines,
  offBusMessages,
  recoveredLine,
  recoveryLine,
  xidLine,
} from './messages.ts';
import type { GpuCondition, MigCut, Scenario } from './scenario.ts';

const minutes = 60;
const hours = 60 * minutes;

/** So many GPUs, healthy except for those named. */
const node = (count: number, special: Readonly<Record<number, GpuCondition>> = {}): readonly GpuCondition[] =>
  Array.from({ length: count }, (_, index) => special[index] ?? {});

const cut = (
  gpuInstanceId: number,
  profile: string,
  placementStart: number,
  usedMebibytes: number,
): MigCut => ({ gpuInstanceId, profile, placementStart, usedMebibytes });

/** Drivers 515 to 565 print this when no process is known; newer ones print nothing. */
const unknownProcess = "pid='<unknown>', name=<unknown>, ";

export const scenarios = {
  'healthy-8xh100': {
    description: 'Eight H100 GPUs in good order, seven at work and one idle.',
    model: 'h100-sxm5-80gb',
    gpus: node(8, { 7: { idle: true } }),
    messages: () => [],
  },
  'fallen-off-bus': {
    description: 'GPU 3 of eight H100 has fallen off the bus (Xid 79); it is counted, but does not answer.',
    model: 'h100-sxm5-80gb',
    gpus: node(8, { 3: { failure: 'off-bus' } }),
    messages: (gpu) => offBusMessages(42 * minutes, gpu(3)),
  },
  'ecc-uncorrectable': {
    description:
      'GPU 2 of eight A100 had an uncorrectable memory error (Xid 48, 63, 94); a row remap waits for a reset.',
    model: 'a100-sxm4-80gb',
    gpus: node(8, {
      2: {
        ecc: { uncorrectableVolatileCount: 1, uncorrectableAggregateCount: 1 },
        rowRemap: { uncorrectableRowCount: 1, pending: true },
      },
    }),
    messages: (gpu) =>
      burst(3 * hours, 4, [
        ...gpuIdentityLines(gpu(2)),
        xidLine(
          gpu(2),
          48,
          `${unknownProcess}An uncorrectable double bit error (DBE) has been detected on GPU in the framebuffer at physAddr 0xe9b9107e0 partition 3, subpartition 0.`,
        ),
        xidLine(
          gpu(2),
          63,
          `${unknownProcess}Row Remapper: New row (0x0000000e9b9107e0) marked for remapping, reset gpu to activate.`,
        ),
        xidLine(gpu(2), 94, 'pid=214877, name=python3, Contained: CE User Channel (0x9). RST: No, D-RST: No'),
        xidLine(gpu(2), 45, 'pid=214877, name=python3, Ch 00000008'),
      ]),
  },
  'row-remap-failed': {
    description: 'GPU 5 of eight H200 could not remap a broken row (Xid 64): a candidate for replacement.',
    model: 'h200-sxm5',
    gpus: node(8, {
      5: {
        ecc: { uncorrectableVolatileCount: 1, uncorrectableAggregateCount: 9 },
        rowRemap: { correctableRowCount: 2, uncorrectableRowCount: 8, failureOccurred: true },
        recoveryAction: 'drain-and-reset',
      },
    }),
    messages: (gpu) =>
      burst(95 * minutes, 4, [
        ...gpuIdentityLines(gpu(5)),
        xidLine(
          gpu(5),
          48,
          'An uncorrectable double bit error (DBE) has been detected on GPU in the framebuffer at physAddr 0x1c40a91e20 partition 7, subpartition 1.',
        ),
        xidLine(
          gpu(5),
          64,
          'Row Remapper Error: (0x0000001c40a91e20) - All reserved rows for bank are remapped',
        ),
        recoveryLine(gpu(5), 'drain-and-reset'),
      ]),
  },
  'retired-pages': {
    description:
      'GPU 1 of four T4 retired a memory page (Xid 48, 63); it takes effect when the driver reloads.',
    model: 't4',
    gpus: node(4, {
      1: {
        ecc: { uncorrectableVolatileCount: 1, uncorrectableAggregateCount: 1 },
        rowRemap: { retiredPageCount: 1, retiredPagesPending: true },
      },
    }),
    messages: (gpu) =>
      burst(5 * hours, 4, [
        ...gpuIdentityLines(gpu(1)),
        xidLine(
          gpu(1),
          48,
          `${unknownProcess}An uncorrectable double bit error (DBE) has been detected on GPU in the framebuffer at partition 4, subpartition 1.`,
        ),
        xidLine(
          gpu(1),
          63,
          `${unknownProcess}Dynamic Page Retirement: New retired page, reload the driver to activate. (0x00000000000a31c7)`,
        ),
      ]),
  },
  'thermal-throttle': {
    description:
      'GPU 1 of four L40S is beyond its slowdown limit and throttled by the hardware; no Xid goes with it.',
    model: 'l40s',
    gpus: node(4, {
      1: {
        celsiusBeyondLimit: 3.5,
        heldBack: {
          reasons: ['hardware-slowdown', 'software-thermal-slowdown', 'hardware-thermal-slowdown'],
          smClockShare: 0.4,
        },
      },
    }),
    messages: () => [],
  },
  'nvlink-down': {
    description:
      'GPU 4 of eight H100 reported a fatal NVLink error (Xid 74) and its link 6 is down; it is healthy otherwise.',
    model: 'h100-sxm5-80gb',
    gpus: node(8, { 4: { inactiveLinks: [6] } }),
    messages: (gpu) =>
      burst(18 * minutes, 4, [
        ...gpuIdentityLines(gpu(4)),
        xidLine(gpu(4), 74, 'NVLink: fatal error detected on link 6(0x10000, 0x0, 0x0, 0x0, 0x0, 0x0, 0x0)'),
      ]),
  },
  'gsp-timeout': {
    description:
      'The firmware processor of GPU 6 of eight H100 stopped answering (Xid 119); the driver wants a reset.',
    model: 'h100-sxm5-80gb',
    gpus: node(8, { 6: { failure: 'gsp-timeout' } }),
    messages: (gpu) => [
      ...burst(31 * minutes, 4, gpuIdentityLines(gpu(6))),
      ...[31, 30.25, 29.5].flatMap((ago, round) =>
        burst(ago * minutes - 0.001, 4, [
          gspTimeoutLine(gpu(6), 'pid=31877, name=nvidia-smi', 4121 + round),
          'NVRM: GPU6 GSP RPC buffer contains function 76 (GSP_RM_CONTROL) and data 0x0000000020801348 0x0000000000000410.',
        ]),
      ),
      ...burst(29 * minutes, 4, [
        `NVRM: Rate limiting GSP RPC error prints for GPU at PCI:${gpu(6).pciDevice} (printing 1 of every 30).  The GPU likely needs to be reset.`,
      ]),
    ],
  },
  'gsp-storm': {
    description:
      'Every caller of GPU 0 of eight H100 waits in vain for its firmware processor: 36 times Xid 119 of three programs.',
    model: 'h100-sxm5-80gb',
    gpus: node(8, { 0: { failure: 'gsp-timeout' } }),
    messages: (gpu) => [
      ...burst(27 * minutes + 1, 4, gpuIdentityLines(gpu(0))),
      ...Array.from({ length: 36 }, (_, round) => {
        const callers = [
          'pid=30412, name=python3',
          'pid=2210, name=nv-hostengine',
          'pid=31990, name=nvidia-smi',
        ];
        return burst((27 - round * 0.75) * minutes, 4, [
          gspTimeoutLine(gpu(0), callers[round % callers.length] ?? '', 9070 + round),
        ]);
      }).flat(),
      ...burst(0.5 * minutes, 4, [recoveryLine(gpu(0), 'reset-gpu')]),
    ],
  },
  'application-page-fault': {
    description:
      'A program on GPU 1 of eight H100 read an address that is not mapped (Xid 31, 43) and ended.',
    model: 'h100-sxm5-80gb',
    gpus: node(8, { 1: { idle: true } }),
    messages: (gpu) =>
      burst(9 * minutes, 4, [
        ...gpuIdentityLines(gpu(1)),
        xidLine(
          gpu(1),
          31,
          'pid=18340, name=python3, channel 0x0000000c, intr 00000000. MMU Fault: ENGINE GRAPHICS GPC2 GPCCLIENT_T1_7 faulted @ 0x7f3a_5c000000. Fault is of type FAULT_PDE ACCESS_TYPE_VIRT_READ',
        ),
        xidLine(gpu(1), 43, 'pid=18340, name=python3, channel 0x0000000c'),
      ]),
  },
  'power-brake': {
    description: 'The rack brakes all eight H100 of a node under full load; nothing in the log goes with it.',
    model: 'h100-sxm5-80gb',
    gpus: Array.from({ length: 8 }, () => ({
      load: 0.88,
      heldBack: { reasons: ['hardware-slowdown', 'hardware-power-brake'] as const, smClockShare: 0.5 },
    })),
    messages: () => [],
  },
  'stuck-process': {
    description:
      'The process on GPU 0 of eight H100 sleeps in the driver and cannot be ended; the kernel calls it blocked.',
    model: 'h100-sxm5-80gb',
    gpus: node(8, { 0: { pid: 48_213, holderStuck: true } }),
    messages: () =>
      [122, 245, 368].flatMap((blocked) =>
        burst(20 * minutes - blocked, 3, hungTaskLines('python3', 48_213, blocked)),
      ),
  },
  'recovered-by-reset': {
    description:
      'GPU 3 of eight H100 asked for a reset after Xid 119 and has had it: Xid 154 takes the request back.',
    model: 'h100-sxm5-80gb',
    gpus: node(8),
    messages: (gpu) => [
      ...burst(2 * hours, 4, [
        ...gpuIdentityLines(gpu(3)),
        gspTimeoutLine(gpu(3), 'pid=22871, name=python3', 611),
        recoveryLine(gpu(3), 'reset-gpu'),
      ]),
      ...burst(95 * minutes, 4, [recoveredLine(gpu(3), 'reset-gpu')]),
    ],
  },
  'hung-driver': {
    description: 'The driver never comes back for GPU 2 of eight B200; the others answer.',
    model: 'b200',
    gpus: node(8, { 2: { failure: 'hung', pid: 90_412 } }),
    messages: (gpu) => [
      ...burst(12 * minutes, 4, [
        'NVRM: krcWatchdog_IMPL: RC watchdog: GPU is probably locked!  Notify Timeout Seconds: 7',
      ]),
      ...burst(12 * minutes - 7, 4, [
        ...gpuIdentityLines(gpu(2)),
        xidLine(gpu(2), 8, 'pid=90412, name=python3, channel 0x00000010'),
      ]),
    ],
  },
  mig: {
    description: 'Two H100 GPUs with MIG enabled, one in four instances, one in seven.',
    model: 'h100-sxm5-80gb',
    gpus: [
      {
        // Instances as captured: nvidia_gpu_exporter, linux-x86_64__nvidia-h100-mig__590.48.01.txt.
        migDevices: [
          cut(2, '3g.40gb', 4, 18_226),
          cut(3, '2g.20gb', 0, 9_517),
          cut(9, '1g.10gb', 2, 9),
          cut(10, '1g.10gb', 3, 4_310),
        ],
      },
      { migDevices: [7, 8, 9, 10, 11, 12, 13].map((id) => cut(id, '1g.10gb', id - 7, 9 + id * 300)) },
    ],
    messages: () => [],
  },
  'vbios-drift': {
    description: 'GPU 6 of eight H100 has an older VBIOS than its siblings; nothing is broken.',
    model: 'h100-sxm5-80gb',
    gpus: node(8, { 6: { vbiosVersion: '96.00.74.00.01' } }),
    messages: () => [],
  },
  'memory-held-by-nobody': {
    description: 'GPU 1 of four L40S has most of its memory in use, and no process holds it.',
    model: 'l40s',
    gpus: node(4, { 1: { idle: true, heldByNobodyMebibytes: 38_912 } }),
    messages: () => [],
  },
  straggler: {
    description:
      'Eight H100 under equal load; GPU 5 runs at lower clocks than its siblings, without an error.',
    model: 'h100-sxm5-80gb',
    gpus: Array.from({ length: 8 }, (_, index) => ({
      load: 0.88,
      ...(index === 5 ? { heldBack: { reasons: ['software-power-cap'] as const, smClockShare: 0.72 } } : {}),
    })),
    messages: () => [],
  },
  'mixed-faults': {
    description:
      'Eight H100: GPU 1 off the bus, GPU 3 with a row remap pending, GPU 5 power-braked, GPU 6 on eight PCIe lanes, the others healthy.',
    model: 'h100-sxm5-80gb',
    gpus: node(8, {
      1: { failure: 'off-bus' },
      3: {
        ecc: { uncorrectableVolatileCount: 1, uncorrectableAggregateCount: 1 },
        rowRemap: { uncorrectableRowCount: 1, pending: true },
        recoveryAction: 'drain-and-reset',
      },
      5: { heldBack: { reasons: ['hardware-slowdown', 'hardware-power-brake'], smClockShare: 0.5 } },
      6: { pcie: { currentLinkWidthLanes: 8 } },
    }),
    messages: (gpu) => [
      ...burst(4 * hours, 4, [
        ...gpuIdentityLines(gpu(3)),
        xidLine(
          gpu(3),
          63,
          'Row Remapper: New row (0x0000000b27c04a60) marked for remapping, reset gpu to activate.',
        ),
        xidLine(
          gpu(3),
          94,
          'pid=77120, name=pt_main_thread, Contained: CE User Channel (0x9). physAddr: 0xb27c04a60 RST: No, D-RST: No',
        ),
        recoveryLine(gpu(3), 'drain-and-reset'),
      ]),
      ...offBusMessages(25 * minutes, gpu(1)),
    ],
  },
} as const satisfies Record<string, Scenario>;

export type MockScenarioName = keyof typeof scenarios;

export function isMockScenario(name: string): name is MockScenarioName {
  return Object.hasOwn(scenarios, name);
}

/** The scenarios by name, for help texts. */
export const mockScenarios: readonly { readonly name: MockScenarioName; readonly description: string }[] =
  Object.entries(scenarios).flatMap(([name, { description }]) =>
    isMockScenario(name) ? [{ name, description }] : [],
  );

export function findScenario(name: MockScenarioName): Scenario {
  return scenarios[name];
}
