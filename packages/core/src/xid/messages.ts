import type { DecodedDetail, EventSeverity, KernelEventKind } from '../domain/event.ts';
import type { Action } from '../domain/verdict.ts';

/** What a message without a number is, and where its facts stand in the match. */
export interface MessagePattern {
  readonly kind: Exclude<KernelEventKind, 'xid' | 'sxid' | 'application-error'>;
  /** Named groups: `pci` (any spelling), `uuid`, `pid`, `name`, `link`; others are decoded as they are. Linear on hostile text. */
  readonly pattern: RegExp;
  readonly severity: EventSeverity;
  /** Disruptive only where the vendor says so; nothing here has a catalogue entry. */
  readonly action: Action;
  readonly decode?: (groups: Readonly<Record<string, string | undefined>>) => DecodedDetail;
}

const pci = '(?:PCI:)?(?<pci>[0-9a-fA-F]{4,8}:[0-9a-fA-F]{2}:[0-9a-fA-F]{2}(?:\\.[0-7])?)';
const uuid = '(?<uuid>GPU-[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})';
const re = (source: string) => new RegExp(source);

/** Drivers that the kernel names before the address of an NVIDIA GPU, or of a port above one; any other has a device of its own. */
const mayHoldGpu: ReadonlySet<string> = new Set(['nvidia', 'nouveau', 'pcieport', 'vfio-pci', 'pci']);

/** First match wins. Sources: open-gpu-kernel-modules message texts; Linux drivers/pci/pcie/aer.c, drivers/iommu/amd, mm/oom_kill.c, kernel/hung_task.c, arch/x86/mm/fault.c. */
export const messagePatterns: readonly MessagePattern[] = [
  {
    kind: 'bus-loss',
    pattern: re(`NVRM: GPU (?:at )?${pci}:? (?:GPU )?has fallen off the bus`),
    severity: 'fatal',
    // The condition of Xid 79, whose immediate action is RESTART_BM.
    action: 'reboot-node',
  },
  {
    kind: 'bus-loss',
    pattern: re(
      `NVRM: The NVIDIA GPU ${pci}[^\\n]{0,200}\\n(?:[^\\n]{0,300}\\n){0,4}?[^\\n]{0,100}fallen off the bus`,
    ),
    severity: 'fatal',
    action: 'reboot-node',
  },
  {
    kind: 'bus-loss',
    pattern: /^\s*NVRM: fallen off the bus and is not responding/,
    severity: 'fatal',
    action: 'reboot-node',
  },
  { kind: 'gpu-identity', pattern: re(`NVRM: GPU at ${pci}: ${uuid}`), severity: 'info', action: 'none' },
  {
    kind: 'gpu-identity',
    // With the loss of the GPU, when nothing else can tell it any more.
    pattern: re(`NVRM: GPU ${pci}: GPU serial number is (?<serial>[0-9A-Za-z]{1,32})\\.?(?:\\s|$)`),
    severity: 'info',
    action: 'none',
    decode: ({ serial }) => ({ ...(serial ? { serial } : {}) }),
  },
  {
    kind: 'init-failure',
    pattern: re(`NVRM: (?:GPU ${pci}: )?(?:RmInitAdapter failed!|rm_init_adapter(?:\\(\\d{1,3}\\))? failed)`),
    severity: 'critical',
    // The condition of Xid 143 (immediate action RESET_GPU); a GPU that was never brought up cannot be reset by its driver. Restart:
    // leptonai/gpud (NVML initialisation error).
    action: 'reboot-node',
  },
  {
    kind: 'version-mismatch',
    // A driver that cannot serve this GPU at all, or has no firmware for it.
    pattern:
      /NVRM: installed in this system (?:is not supported by|requires use of the NVIDIA open)|NVRM: RmFetchGspRmImages: No firmware image found/,
    severity: 'critical',
    action: 'update-software',
  },
  {
    kind: 'init-failure',
    pattern:
      /NVRM: (?:The NVIDIA probe routine failed for \d{1,3} device|None of the NVIDIA (?:graphics adapters|devices) were initialized)/,
    severity: 'critical',
    action: 'monitor',
  },
  {
    // Another driver has the devices (on a host that passes them through, as intended), or there is none.
    kind: 'init-failure',
    pattern:
      /NVRM: (?:The NVIDIA probe routine was not called for \d{1,3} device|No NVIDIA devices probed|No NVIDIA GPU found)/,
    severity: 'warning',
    action: 'monitor',
  },
  {
    kind: 'version-mismatch',
    pattern:
      /NVRM: API mismatch: (?:the client (?:'[^'\n]{0,64}' \(pid (?<pid>\d{1,10})\) )?has the version (?<client>\d[\d.]{0,20})(?:[^\n]{0,40}\n[^\n]{0,60}kernel module has the version (?<module>\d[\d.]{0,20}))?)?/,
    severity: 'warning',
    action: 'update-software',
    decode: ({ client, module }) => ({
      ...(client ? { clientVersion: trimDots(client) } : {}),
      ...(module ? { moduleVersion: trimDots(module) } : {}),
    }),
  },
  {
    kind: 'driver-load',
    pattern:
      /NVRM: loading NVIDIA UNIX [^\n]{0,80}?Kernel Module[^\n]{0,40}?\s(?<version>\d{3}\.\d{1,3}(?:\.\d{1,3})?)\s/,
    severity: 'info',
    action: 'none',
    decode: ({ version }) => ({ driverVersion: version ?? null }),
  },
  {
    kind: 'gpu-hang',
    pattern: /RC watchdog: GPU is probably locked/,
    severity: 'warning',
    action: 'monitor',
  },
  {
    kind: 'gsp-fault',
    // The driver itself says that the GPU likely needs to be reset.
    pattern: re(`NVRM: Rate limiting GSP RPC error prints for GPU at ${pci}`),
    severity: 'fatal',
    action: 'reset-gpu',
  },
  {
    kind: 'gsp-fault',
    // The line after it says that the GPU is likely in a bad state and may need to be reset.
    pattern: /unexpected WPR2 already up, cannot proceed with booting GSP/,
    severity: 'fatal',
    action: 'reset-gpu',
  },
  {
    kind: 'gsp-fault',
    pattern:
      /_kgspIsHeartbeatTimedOut: Heartbeat timed out|_kgspLogXid119: \*{3,}[* ]{0,60}GSP Timeout|_kgspLogRpcTimeout|GSP-CrashCat Report|^\s*GSP task (?:watchdog timeout|exception|panic)/,
    severity: 'critical',
    action: 'monitor',
  },
  {
    kind: 'memory-fault',
    pattern: /kgmmuCheckMemSubsysError_\w{1,10}: Memory Subsystem Error detected/,
    severity: 'critical',
    action: 'monitor',
  },
  {
    kind: 'nvlink-fault',
    pattern: re(`knvlinkDiscoverPostRxDetLinks_\\w{1,10}: Getting peer\\d{1,3}'s postRxDetLinkMask failed`),
    severity: 'warning',
    action: 'monitor',
  },
  {
    kind: 'pcie-error',
    pattern: re(
      `AER: (?:Multiple )?(?<class>Corrected|Correctable|Uncorrected|Uncorrectable)(?: \\((?<fatality>Fatal|Non-Fatal)\\))? error (?:message )?received(?: from|:)? ${pci}`,
    ),
    severity: 'warning',
    action: 'monitor',
    decode: ({ class: errorClass, fatality }) => ({
      correctable: errorClass?.startsWith('Correct') ?? null,
      ...(fatality ? { fatal: fatality === 'Fatal' } : {}),
    }),
  },
  {
    kind: 'pcie-error',
    pattern: re(
      `(?:(?:^|\\s)(?<driver>[\\w-]{1,32}) )?${pci}: PCIe Bus Error: (?:severity=)?(?<severity>[A-Z][A-Za-z() -]{1,40}), type=(?<layer>[A-Za-z ]{1,40})`,
    ),
    severity: 'warning',
    action: 'monitor',
    decode: ({ driver, severity, layer }) => ({
      correctable: severity?.startsWith('Correct') ?? null,
      layer: layer?.trim() ?? null,
      ...(driver === undefined || mayHoldGpu.has(driver) ? {} : { isOtherDevice: true }),
    }),
  },
  { kind: 'pcie-error', pattern: re(`${pci}: AER: can't recover`), severity: 'warning', action: 'monitor' },
  {
    kind: 'iommu-fault',
    pattern: re(`nvidia ${pci}: AMD-Vi: Event logged \\[IO_PAGE_FAULT`),
    severity: 'warning',
    action: 'monitor',
  },
  {
    kind: 'machine-check',
    pattern:
      /mce: \[Hardware Error\]: |^\s*\{\d{1,6}\}\[Hardware Error\]: Hardware error from APEI|EDAC \w{1,16}: \d{1,6} UE /,
    severity: 'warning',
    action: 'monitor',
  },
  {
    kind: 'oom-kill',
    pattern:
      /(?:Out of memory|emory cgroup out of memory): Kill(?:ed)? process (?<pid>\d{1,10}),?(?: UID \d{1,10},)? \((?<name>[^()\n]{0,64}|[^\n]{0,64}?)\)/,
    severity: 'warning',
    action: 'check-app',
  },
  {
    // Threads and tools of the driver; anybody can take such a name, so it is a warning and no more.
    kind: 'hung-task',
    pattern:
      /INFO: task (?<name>(?:nvidia|nv_|nv-|nvc:|UVM |cuda-|nv-hostengine|dcgm)[^\n]{0,60}?):(?<pid>\d{1,10}) blocked for more than (?<seconds>\d{1,6}) seconds/,
    severity: 'warning',
    action: 'monitor',
    decode: blockedFor,
  },
  {
    kind: 'hung-task',
    pattern:
      /INFO: task (?<name>[^\n]{1,64}?):(?<pid>\d{1,10}) blocked for more than (?<seconds>\d{1,6}) seconds/,
    severity: 'info',
    action: 'monitor',
    decode: blockedFor,
  },
  {
    kind: 'segfault',
    pattern:
      /(?:^|\s)(?<name>[^\n[\]]{1,16})\[(?<pid>\d{1,10})\]: segfault at [0-9a-f]{1,16} ip [0-9a-f]{1,16} sp [0-9a-f]{1,16} error [0-9a-f]{1,4} in (?<library>lib(?:cuda|nccl|nvidia-|cudnn|cublas|nvrtc)[\w.-]{0,40})/,
    severity: 'warning',
    action: 'check-app',
    decode: ({ library }) => ({ library: library ?? null }),
  },
  {
    kind: 'boot',
    pattern: /^Linux version \d{1,2}\.\d{1,3}[\w.+~-]{0,90} \(/,
    severity: 'info',
    action: 'none',
  },
];

function blockedFor({ seconds }: Readonly<Record<string, string | undefined>>): DecodedDetail {
  return { blockedSeconds: Number(seconds), isUninterruptible: true };
}

function trimDots(version: string): string {
  return version.replace(/\.+$/, '');
}
