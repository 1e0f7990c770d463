import type { LoggedGpu, LoggedMessage } from './scenario.ts';

/** Microseconds between lines that the driver prints in one go. */
const lineGapSeconds = 0.000_02;

/** Lines printed together, the first so many seconds before the clock's start. */
export function burst(
  secondsAgo: number,
  level: LoggedMessage['level'],
  texts: readonly string[],
): readonly LoggedMessage[] {
  return texts.map((text, line) => ({ secondsAgo: secondsAgo - line * lineGapSeconds, level, text }));
}

export function xidLine(gpu: LoggedGpu, xid: number, detail: string): string {
  return `NVRM: Xid (PCI:${gpu.pciDevice}): ${xid}, ${detail}`;
}

/** Printed before the first Xid of a GPU since the driver was loaded. */
export function gpuIdentityLines(gpu: LoggedGpu): readonly string[] {
  return [`NVRM: GPU at PCI:${gpu.pciDevice}: ${gpu.uuid}`, `NVRM: GPU Board Serial Number: ${gpu.serial}`];
}

/** Number and text of the driver's recovery actions. Source: open-gpu-kernel-modules 570 to 595, Xid 154. */
const recoveryTexts = {
  'reset-gpu': '0x1 (GPU Reset Required)',
  'reboot-node': '0x2 (Node Reboot Required)',
  'drain-and-reset': '0x4 (Drain and Reset)',
} as const;

const noRecovery = '0x0 (None)';

export function recoveryLine(gpu: LoggedGpu, action: keyof typeof recoveryTexts): string {
  return xidLine(gpu, 154, `GPU recovery action changed from ${noRecovery} to ${recoveryTexts[action]}`);
}

/** What was asked for has been done. */
export function recoveredLine(gpu: LoggedGpu, action: keyof typeof recoveryTexts): string {
  return xidLine(gpu, 154, `GPU recovery action changed from ${recoveryTexts[action]} to ${noRecovery}`);
}

/** A caller that waited in vain for the firmware processor. Source: open-gpu-kernel-modules 575 to 595, Xid 119. */
export function gspTimeoutLine(gpu: LoggedGpu, process: string, sequence: number): string {
  return xidLine(
    gpu,
    119,
    `${process}, Timeout after 45s of waiting for RPC response from GPU${gpu.index} GSP! Expected function 76 (GSP_RM_CONTROL) sequence ${sequence} (0x20801348 0x410).`,
  );
}

/** What the kernel prints of a task that has slept without a break. Source: Linux kernel/hung_task.c, show_stack of 6.8. */
export function hungTaskLines(name: string, pid: number, blockedSeconds: number): readonly string[] {
  return [
    `INFO: task ${name}:${pid} blocked for more than ${blockedSeconds} seconds.`,
    '      Tainted: P           OE      6.8.0-60-generic #63-Ubuntu',
    `task:${name.padEnd(15)} state:D stack:0     pid:${pid} tgid:${pid} ppid:1      flags:0x00004006`,
    ' nvidia_unlocked_ioctl+0x21/0x40 [nvidia]',
  ];
}

/** A GPU vanishing from PCIe: the port complains first, then the driver notices. */
export function offBusMessages(secondsAgo: number, gpu: LoggedGpu): readonly LoggedMessage[] {
  const address = `${gpu.pciDevice}.0`;
  return [
    ...burst(secondsAgo, 3, [
      `pcieport 0000:00:01.0: AER: Uncorrectable (Fatal) error message received from ${address}`,
      `nvidia ${address}: AER: can't recover (no error_detected callback)`,
    ]),
    ...burst(secondsAgo - 0.4, 4, [
      ...gpuIdentityLines(gpu),
      xidLine(gpu, 79, 'GPU has fallen off the bus.'),
      `NVRM: GPU ${address}: GPU has fallen off the bus.`,
      `NVRM: GPU ${address}: GPU serial number is ${gpu.serial}.`,
      recoveryLine(gpu, 'reboot-node'),
      [
        'NVRM: A GPU crash dump has been created. If possible, please run',
        'NVRM: nvidia-bug-report.sh as root to collect this data before',
        'NVRM: the NVIDIA kernel module is unloaded.',
      ].join('\n'),
    ]),
  ];
}
